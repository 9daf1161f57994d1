"""Files made to do harm: each is refused in a line, nothing that it names is run or imported, and nothing is left."""

import io
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import write_nvlabs, zipped

from spaces.errors import UserError
from trainables.sources.foreign.files import read_contents
from trainables.sources.importing import add_source
from trainables.storage.home import Home

RAN = "ran"
"""A file, in the working directory, that only harm makes."""

P2 = b"\x80\x02"


class Harm:
    """Touches a file where its pickle is run."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {RAN}",)


class Stateful:
    def __getstate__(self) -> Any:
        return {"state": Harm()}


class OfState:
    def __reduce__(self) -> Any:
        return OrderedDict, ([("a", Harm())],)


class Args:
    """A call of a function that is known, with these arguments."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> Any:
        return self.function, self.args


def text(words: str) -> bytes:
    return b"X" + struct.pack("<I", len(words)) + words.encode()


def legacy(pickled: bytes, keys: list[str] = [], data: bytes = b"") -> bytes:  # noqa: B006
    """A file of torch.save from before it was a zip, with this as its object."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    return b"".join(pickle.dumps(part, 2) for part in head) + pickled + pickle.dumps(keys, 2) + data


def archive(pickled: bytes, method: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr("archive/data.pkl", pickled)
        for name, data in entries.items():
            file.writestr(f"archive/{name.replace('__', '/')}", data)
    return stream.getvalue()


def storage_id(count: int) -> bytes:
    """The opcodes of a storage "0" of floats."""
    words = (
        text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"\x8a\x08" + struct.pack("<q", count)
    )
    return b"(" + words + b"tQ"


def view(count: int, offset: int, size: str, stride: str, times: int = 1) -> bytes:
    """The pickle of a dict of tensors, each such a view of a storage of `count` floats; sizes as protocol 0 writes them."""
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage_id(count) + f"I{offset}\n({size}t({stride}t".encode()
    made += b"I00\nccollections\nOrderedDict\n)RtR"
    entries = b"".join(text(f"t{i}") + made for i in range(times))
    return P2 + b"}(" + entries + b"u."


def of_floats(pickled: bytes, count: int = 4) -> bytes:
    return archive(pickled, data__0=bytes(4 * count))


def hash_bomb() -> bytes:
    """A key of tuples of tuples, 60 deep, each twice the one before: its hash takes 2^60 steps."""
    return P2 + b"}" + b")q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(60)) + b"h\x00K\x01s."


def doubled_lists() -> bytes:
    """A list of the list before, twice, 60 times: a walk through it takes 2^60 steps."""
    return P2 + b"]q\x00" + b"".join(b"](h\x00h\x00eq\x00" for _ in range(60)) + b"."


def as_bytes(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def again_and_again(what: bytes, made: bytes, times: int = 20_000) -> bytes:
    """A list of so many things, each `made` anew of `what`, which lies in the memo at 0."""
    return P2 + what + b"q\x000(" + made * times + b"l."


def entries(count: int) -> bytes:
    return b"}(" + b"".join(b"J" + struct.pack("<i", number) + b"N" for number in range(count)) + b"u"


def beyond_the_file() -> bytes:
    data = bytearray(zipped({"a": torch.zeros(4)}))
    place = data.index(b"PK\x01\x02")
    sizes = struct.pack("<II", 2**30, 2**30)
    data[place + 20 : place + 28] = sizes
    return bytes(data)


def of_version(number: int) -> bytes:
    """A zip that says that it takes such a version to read it."""
    data = bytearray(zipped({"a": torch.zeros(4)}))
    place = data.index(b"PK\x01\x02")
    data[place + 6 : place + 8] = struct.pack("<H", number)
    return bytes(data)


def tiny_kernels() -> bytes:
    """A DCGAN of 128 pixels and width 1,024, of 3 billion weights, as far as one side of each kernel tells."""
    channels = (1, 1, 1, 1, 1, 1024, 3)
    return zipped({f"main.{3 * i}.weight": torch.zeros(*channels[i : i + 2], 4, 4) for i in range(6)})


def tiny_styles() -> bytes:
    """A StyleGAN2 of 1,024 pixels without a mean of w, as far as a side of some of its tensors tells."""
    sides = [2**i for i in range(2, 11)]
    tensors = {f"synthesis.b{side}.conv1.weight": torch.zeros(2**12 // side, 1, 1, 1) for side in sides}
    tensors |= {"synthesis.b4.const": torch.zeros(1), "synthesis.b4.conv1.affine.weight": torch.zeros(1, 8)}
    return zipped(tensors | {"mapping.fc0.weight": torch.zeros(8, 8)})


def records(name: str, count: int) -> bytes:
    """So many objects of a class that is named but once."""
    return P2 + b"]c" + name.encode() + b"\nX\nq\x000(" + b"h\x00)\x81" * count + b"e."


def module_source(path: Path) -> bytes:
    tensors = {"layer.weight": torch.zeros(2, 2)}
    return write_nvlabs(
        path, {"G": ("Generator", tensors, {}), "harm": ("Generator", tensors, {"x": Harm()})}
    ).read_bytes()


def dumped(value: Any, protocol: int = 4) -> bytes:
    return pickle.dumps(value, protocol)


FROM_BYTES = torch.storage._load_from_bytes
CALL = b"cposix\nsystem\n" + text(f"touch {RAN}") + b"\x85R"
CANARY = b"ccanary_of_imports\nharm\n"

FILES: dict[str, Callable[[], bytes]] = {
    "a call": lambda: dumped(Harm()),
    "a call in a dict": lambda: dumped({"G_ema": {"weight": Harm()}}),
    "a call in a list in a tuple": lambda: dumped(([Harm()], {"a": [(Harm(),)]})),
    "a call as a key": lambda: dumped({Harm(): 1}),
    "a call in an object's state": lambda: dumped(Stateful()),
    "a call in what is known": lambda: dumped(OfState()),
    "a call in a set": lambda: dumped({Harm()}),
    "a call, 1,000 deep": lambda: P2 + b"(" * 1000 + CALL + b"t" * 1000 + b".",
    "an instance by INST": lambda: P2 + b"(" + text(f"touch {RAN}") + b"iposix\nsystem\n.",
    "an instance by OBJ": lambda: P2 + b"(cposix\nsystem\n" + text(f"touch {RAN}") + b"o.",
    "an instance by NEWOBJ": lambda: P2 + b"csubprocess\nPopen\n" + text(f"touch {RAN}") + b"\x85\x81.",
    "an instance by NEWOBJ_EX": lambda: (
        b"\x80\x04csubprocess\nPopen\n)}" + text("args") + text(f"touch {RAN}") + b"s\x92."
    ),
    "eval": lambda: P2 + b"cbuiltins\neval\n" + text(f"open({RAN!r}, 'w')") + b"\x85R.",
    "a method by getattr": lambda: (
        P2 + b"cbuiltins\ngetattr\ncposix\nsystem\n" + text("__call__") + b"\x86R" + text(f"touch {RAN}") + b"\x85R."
    ),
    "an import alone": lambda: P2 + CANARY + b".",
    "an import by STACK_GLOBAL": lambda: b"\x80\x04" + text("canary_of_imports") + text("harm") + b"\x93.",
    "a function's defaults by BUILD": lambda: (
        P2 + b"ctorch._utils\n_rebuild_tensor_v2\nN}" + text("__defaults__") + b"(K\x01tsN\x86b."
    ),
    "an extension": lambda: P2 + b"\x82\x01.",
    "a buffer from outside": lambda: b"\x80\x05\x97.",
    "a pickle in a storage's bytes": lambda: dumped({"w": Args(FROM_BYTES, dumped(Harm()))}),
    "a torch file in a storage's bytes": lambda: dumped({"w": Args(FROM_BYTES, legacy(dumped(Harm(), 2)))}),
    "storages' bytes in storages' bytes": lambda: dumped(
        Args(FROM_BYTES, legacy(dumped(Args(FROM_BYTES, dumped(Harm())), 2)))
    ),
    "a torch zip in a storage's bytes": lambda: dumped({"w": Args(FROM_BYTES, archive(dumped(Harm(), 2)))}),
    "a persistent id": lambda: P2 + text("module") + b"Q.",
    "a persistent id by name": lambda: P2 + b"Pmodule\n.",
    "a persistent id that is no storage": lambda: archive(P2 + text("module") + b"Q."),
    "a call in a torch zip": lambda: archive(dumped({"state_dict": Harm()}, 2)),
    "a call in an old torch file": lambda: legacy(dumped({"g_ema": Harm()}, 2)),
    "a TorchScript program": lambda: archive(dumped({}, 2), **{"constants.pkl": dumped((), 2)}),
    "a tensor beyond its storage": lambda: of_floats(view(4, 0, "I5\n", "I1\n")),
    "a tensor that begins beyond it": lambda: of_floats(view(4, 2**40, "I1\n", "I1\n")),
    "a tensor with strides beyond it": lambda: of_floats(view(4, 0, "I2\nI2\n", f"I{2**62}\nI1\n")),
    "a tensor of negative size": lambda: of_floats(view(4, 0, "I-2\nI-2\n", "I1\nI1\n")),
    "a tensor of negative strides": lambda: of_floats(view(4, 0, "I2\n", "I-1\n")),
    "one number as 10^12": lambda: of_floats(view(4, 0, "I1000000\nI1000000\n", "I0\nI0\n")),
    "a storage larger than the file": lambda: of_floats(view(2**40, 0, "I1\n", "I1\n")),
    "a storage larger than its entry": lambda: of_floats(view(8, 0, "I8\n", "I1\n")),
    "a storage of a negative size": lambda: of_floats(view(-1, 0, "I1\n", "I1\n")),
    "one storage as 1,000 tensors": lambda: of_floats(view(4096, 0, "I4096\n", "I1\n", times=1000), 4096),
    "an old storage larger than the file": lambda: legacy(
        view(2**40, 0, "I1\n", "I1\n"), ["0"], struct.pack("<q", 2**40)
    ),
    "an old storage of another size": lambda: legacy(
        view(4, 0, "I1\n", "I1\n"), ["0"], struct.pack("<q", 2) + bytes(8)
    ),
    "an array without its numbers": lambda: dumped(np.zeros(64)).replace(struct.pack("<I", 512), struct.pack("<I", 8)),
    "an array of objects": lambda: dumped(np.array([Harm()], dtype=object)),
    "a key whose hash has no end": hash_bomb,
    "an OrderedDict of such keys": lambda: hash_bomb()[:-1] + b"0ccollections\nOrderedDict\n(]h\x00K\x01\x86atR.",
    "lists of one list": doubled_lists,
    "copies of one dict": lambda: again_and_again(entries(5000), named("collections", "OrderedDict") + b"h\x00\x85R"),
    "one dict as many objects' state": lambda: again_and_again(
        entries(5000), named("dnnlib.util", "EasyDict") + b")Rh\x00b"
    ),
    "one text as bytes, again and again": lambda: again_and_again(
        text("a" * 10**6), named("_codecs", "encode") + b"h\x00" + text("latin1") + b"\x86R"
    ),
    "one file inside of it, again and again": lambda: again_and_again(
        as_bytes(legacy(P2 + storage_id(4) + b".", ["0"], struct.pack("<q", 4) + bytes(10**6))),
        named("torch.storage", "_load_from_bytes") + b"h\x00\x85R",
    ),
    "a class whose name has no end": lambda: (
        doubled_lists()[:-1]
        + b"0"
        + named("torch_utils.persistence", "_reconstruct_persistent_obj")
        + b"}("
        + text("class_name")
        + b"h\x00u\x85R."
    ),
    "a list that holds itself": lambda: P2 + b"]q\x00h\x00a.",
    "100,000 lists in lists": lambda: P2 + b"]" * 100_000 + b"a" * 99_999 + b".",
    "bytes that are not there": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b".",
    "a byte array that is not there": lambda: b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "a number of 10^6 digits": lambda: P2 + b"I" + b"9" * 10**6 + b"\n.",
    "a place in the memo far away": lambda: P2 + b"Nr" + struct.pack("<I", 2**32 - 1) + b"0.",
    "more from the stack than there is": lambda: P2 + b"000R.",
    "half a pickle": lambda: dumped({"a": [1, 2, 3]})[:-6],
    "a class of a name without end": lambda: records("a" * 10**5, 10),
    "a tensor with a stride beyond all numbers": lambda: of_floats(view(4, 0, "I1\n", f"I{2**70}\n")),
    "an empty tensor of a size beyond all numbers": lambda: of_floats(view(4, 0, f"I0\nI{2**70}\n", "I1\nI1\n")),
    "an empty tensor of sizes beyond all numbers": lambda: of_floats(
        view(4, 0, "I0\n" + f"I{2**40}\n" * 3, "I1\n" * 4)
    ),
    "an empty array of a size beyond all numbers": lambda: dumped(np.zeros((0, 97))).replace(
        b"Ka", b"\x8a\x09" + b"\x7f" * 9
    ),
    "an array of numbers wider than torch's": lambda: dumped({"main.0.weight": np.zeros((1, 1, 4, 4), np.longdouble)}),
    "a zip of a version to come": lambda: of_version(99),
    "a constant of no dimension": lambda: zipped(
        {"synthesis.b4.const": torch.zeros(()), "synthesis.b4.conv1.affine.weight": torch.zeros(())}
    ),
    "a StyleGAN2 of one tensor": lambda: zipped({"synthesis.b4.const": torch.zeros(1, 4, 4)}),
    "a critic of no dimension": lambda: zipped(
        {"b4.out.weight": torch.zeros(()), "b4.conv.weight": torch.zeros(()), "synthesis.b4.const": torch.zeros(1)}
    ),
    "a StyleGAN2 of TensorFlow whose noise has no dimension": lambda: dumped(
        {f"synthesis.{name}": np.zeros(()) for name in ("4x4/Const/const", "4x4/Conv/mod_weight", "noise0")}
    ),
    "a ResNet of no dimension": lambda: zipped({"generator.from_z.weight": torch.zeros(4)}),
    "a DCGAN of a few tiny kernels": tiny_kernels,
    "a StyleGAN2 of a few tiny tensors": tiny_styles,
    "a compressed zip": lambda: archive(dumped({"a": "b" * 10**6}, 2), zipfile.ZIP_DEFLATED),
    "a zip's entry beyond the file": beyond_the_file,
    "a protocol without a beginning": lambda: pickle.dumps(Harm(), 0),
    "nothing": lambda: b"",
}
"""By what is wrong with it, a file."""


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Whether anything was run or imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "canary_of_imports.py").write_text(f"open({RAN!r}, 'w')\ndef harm(*args): open({RAN!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return lambda: (tmp_path / RAN).exists() or "canary_of_imports" in sys.modules


def test_there_are_more_than_twenty() -> None:
    assert len(FILES) >= 50


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("ending", [".pkl", ".pt"])
def test_a_hostile_file_is_refused_in_a_line_and_nothing_of_it_runs(
    home: Home, tmp_path: Path, canary: Callable[[], bool], what: str, ending: str
) -> None:
    path = tmp_path / f"faces{ending}"
    path.write_bytes(FILES[what]())
    with pytest.raises(UserError) as refused:
        add_source(home, "faces", [path], {}, {})
    assert not canary()
    assert len(str(refused.value).splitlines()) == 1
    assert str(path) in str(refused.value)
    assert not home.source("faces").exists()


def test_a_source_of_a_class_that_travels_along_is_not_run(
    home: Home, tmp_path: Path, canary: Callable[[], bool]
) -> None:
    path = tmp_path / "faces.pkl"
    module_source(path)
    with pytest.raises(UserError, match="of no generator known here"):
        add_source(home, "faces", [path], {}, {})
    assert not canary()


def test_the_files_do_harm_where_they_are_unpickled(tmp_path: Path) -> None:
    """Else they would prove nothing."""
    code = "import pickle, sys\ntry: pickle.load(open(sys.argv[1], 'rb'))\nexcept Exception: pass"
    for what in ("a call", "a call as a key", "an instance by INST", "eval"):
        (tmp_path / "file.pkl").write_bytes(FILES[what]())
        (tmp_path / RAN).unlink(missing_ok=True)
        environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parents[4]}:{Path(__file__).parent}"}
        subprocess.run([sys.executable, "-c", code, "file.pkl"], cwd=tmp_path, env=environment, check=True)
        assert (tmp_path / RAN).exists(), what


@pytest.mark.parametrize("file", [tiny_kernels, tiny_styles])
def test_nothing_is_made_of_a_network_that_its_tensors_only_hint_at(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Callable[[], bytes]
) -> None:
    (tmp_path / "faces.pt").write_bytes(file())
    monkeypatch.setattr(torch.nn.Module, "to_empty", lambda *_, **__: pytest.fail("memory is taken for all of it"))
    with pytest.raises(UserError, match=r"in the file, |mapping network has no"):
        add_source(home, "faces", [tmp_path / "faces.pt"], {}, {})


def test_objects_of_one_class_share_its_name(tmp_path: Path) -> None:
    (tmp_path / "file.pkl").write_bytes(records("a" * 900, 20_000))
    tracemalloc.start()
    read_contents(tmp_path / "file.pkl")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20_000 * 900, f"{most:,} bytes"


def test_an_export_with_damaged_facts_is_refused_in_a_line(home: Home, tmp_path: Path) -> None:
    (tmp_path / "source.json").write_text('{"name": ')
    with pytest.raises(UserError, match=r"source\.json can't be read .*; export the source model again$"):
        add_source(home, "faces", [tmp_path], {}, {})


def test_what_one_file_did_to_a_function_is_not_there_for_the_next(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(4.0)}
    (tmp_path / "good.pt").write_bytes(zipped(tensors))
    (tmp_path / "bad.pkl").write_bytes(FILES["a function's defaults by BUILD"]())
    read_contents(tmp_path / "bad.pkl")
    found = read_contents(tmp_path / "good.pt").tensors["a"]
    assert torch.equal(found.tensor(), tensors["a"])  # type: ignore[union-attr]
