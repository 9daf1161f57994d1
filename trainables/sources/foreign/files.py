"""What lies in a file of others: a plain pickle, torch's two formats, safetensors, or a hub's folder."""

import mmap
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from spaces.errors import UserError
from trainables.sources.foreign.contents import Contents, Plain, flat
from trainables.sources.foreign.meanings import meanings, storage_of
from trainables.sources.foreign.pickles import Interpreter, Persistent, Stream, no_persistent
from trainables.sources.foreign.tensors import Allowance, Lazy, Storage, UnreadableError
from trainables.storage.json_files import read_json
from trainables.storage.weights import read_tensors

PICKLED = b"\x80"
"""With what a pickle begins, of protocol 2 or later."""
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""With what torch's files begin that are no zip."""

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".pkl")
"""Of a hub's folder, those that are read, the first kind that is there."""

CONFIG = "config.json"
"""Of a hub's folder: what its networks were made with; its values stand below "config."."""

Tree = tuple[Any, Mapping[str, int]]
"""What a pickle made, and the names in it that mean nothing here, with how many objects each made."""

_CAUSED = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, struct.error, zipfile.BadZipFile)
"""What Python, NumPy and torch raise over data that are not what they say."""

_LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a zip's entry, as far as the lengths of its name and extra field."""


def _has_header(path: Path) -> bool:
    """Whether a file, whatever its name, begins as safetensors do: a length, then JSON."""
    try:
        with path.open("rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:  # which the reading says
        return False


def read_contents(path: Path) -> Contents:
    """What a file, or a hub's folder, holds, read without running or importing anything that it names.

    UserError in one line if it is missing, of no format that is known here, damaged, or made to do harm.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".safetensors" or _has_header(path):
        return Contents(read_tensors(path)[0])
    with refusing(path), _mapped(path) as mapped:
        data = memoryview(mapped)
        if zipfile.is_zipfile(path):
            return flat(*_read_zip(path, data))
        if bytes(data[:1]) == PICKLED:
            return flat(*_read_stream(mapped, data))
    raise UserError(
        f"{path} is none of the files that are read here: a pickle (.pkl), a file of torch.save (.pt, .pth), .safetensors, or a "
        "hub's folder with its config.json"
    )


@contextmanager
def refusing(path: Path | str) -> Iterator[None]:
    """In the block, whatever a damaged or hostile file causes is a UserError in one line that names the file.

    For what a file's own data go through alone: a mistake of ours in there would be taken for the file's.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error})") from None
    except (RecursionError, MemoryError) as error:
        raise UserError(
            f"{path} is damaged, or made to do harm ({type(error).__name__}); nothing of it was run"
        ) from None
    except _CAUSED as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"{path} is damaged, or made to do harm: {said}; nothing of it was run") from None


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """The file's bytes; what is read of them later keeps the map open."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise UnreadableError("it is empty")
        yield mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _read_stream(stream: mmap.mmap, data: memoryview) -> Tree:
    """A plain pickle, or torch's files from before they were zips, which begin with a pickle of one number."""
    allowance = Allowance(len(data))
    machine = Interpreter(meanings(allowance, lambda inner: _nested(inner, allowance)), no_persistent, allowance)
    root = machine.run(stream)
    if root != MAGIC:
        return root, machine.strangers
    stream.seek(0)
    return _of_legacy(stream, data, allowance)


def _nested(stream: BytesIO, allowance: Allowance) -> Any:
    """The storage in a pickle's bytes, in which no further file is looked for."""
    return _of_legacy(stream, stream.getbuffer(), allowance)[0]


def _of_legacy(stream: Stream, data: memoryview, allowance: Allowance) -> Tree:
    """The object, then the storages behind it, in the order of a list of their keys."""
    plain = Interpreter({}, no_persistent, allowance)
    if plain.run(stream) != MAGIC or plain.run(stream) != PROTOCOL:
        raise UnreadableError("it begins as no file of torch.save does")
    about = plain.run(stream)
    if not isinstance(about, dict) or about.get("little_endian") is not True:
        raise UnreadableError("its numbers are not little-endian")
    storages: dict[str, Storage] = {}
    machine = Interpreter(meanings(allowance, None), _persistent(storages, len(data)), allowance)
    root = machine.run(stream)
    keys = plain.run(stream)
    start = stream.tell()
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, str) or key not in storages:
            raise UnreadableError("it has a storage that nothing is a view of")
        (count,) = struct.unpack("<q", data[start : start + 8])
        storage, start = storages[key], start + 8
        if count != storage.count:
            raise UnreadableError(f"a storage has {count:,} numbers, {storage.count:,} according to its pickle")
        storage.lies_in(data[start:])
        start += count * storage.dtype.itemsize
    return root, machine.strangers


def _persistent(storages: dict[str, Storage], limit: int) -> Persistent:
    """What a persistent id stands for in a file of torch.save: a storage, the same one for the same key."""

    def storage(what: Any) -> Storage:
        if not (isinstance(what, tuple) and len(what) in (5, 6) and what[0] == "storage" and isinstance(what[2], str)):
            raise UnreadableError("its pickle refers to something outside of it that is no storage")
        if len(what) == 6 and what[5] is not None:
            raise UnreadableError("a storage is a view of another, as torch has not written since 2017")
        if what[2] not in storages:
            storages[what[2]] = storage_of(what[1], what[4], limit)
        return storages[what[2]]

    return storage


def _read_zip(path: Path, data: memoryview) -> Tree:
    """torch.save's format since torch 1.6: data.pkl, and beside it the storages as they are."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise UnreadableError(f"a zip with {len(pickles)} data.pkl, where torch.save writes one")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries:
        raise UnreadableError(
            "it is a TorchScript program; give the weights, as torch.save(model.state_dict(), FILE) writes them"
        )
    order = entries.get(f"{folder}byteorder")
    if order is not None and bytes(_entry(data, order)) != b"little":
        raise UnreadableError("its numbers are not little-endian")
    allowance, storages = Allowance(len(data)), dict[str, Storage]()
    machine = Interpreter(meanings(allowance, None), _persistent(storages, len(data)), allowance)
    with BytesIO(_entry(data, entries[pickles[0]])) as stream:
        root = machine.run(stream)
    for key, storage in storages.items():
        if (info := entries.get(f"{folder}data/{key}")) is None:
            raise UnreadableError(f"the storage {key!r:.40} is not in the zip")
        storage.lies_in(_entry(data, info))
    return root, machine.strangers


def _entry(data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """An entry's bytes, where they lie; UnreadableError if it is compressed, as torch's are not, or not all there."""
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise UnreadableError("its zip is compressed, as torch.save writes none")
    name, extra = _LOCAL_HEADER.unpack_from(data, info.header_offset)
    start = info.header_offset + _LOCAL_HEADER.size + name + extra
    if info.header_offset < 0 or start + info.file_size > len(data):
        raise UnreadableError("an entry of its zip lies beyond the file")
    return data[start : start + info.file_size]


def _read_folder(path: Path) -> Contents:
    """A hub's folder: the weights of the first kind of `WEIGHTS` that is there, and its config.json.

    Several files are one network in parts where an index says so; else each is a network, by its file's name.
    """
    files = next((found for ending in WEIGHTS if (found := sorted(path.glob(f"*{ending}")))), None)
    if files is None:
        raise UserError(f"{path} has no weights: no file in it ends in {', '.join(WEIGHTS)}")
    in_parts = len(files) == 1 or any(path.glob("*.index.json"))
    tensors: dict[str, Lazy] = {}
    values: dict[str, Plain] = {}
    strangers: dict[str, int] = {}
    for file in files:
        before, inside = "" if in_parts else f"{file.stem}.", read_contents(file)
        tensors |= {before + name: tensor for name, tensor in inside.tensors.items()}
        values |= {before + name: value for name, value in inside.values.items()}
        strangers |= inside.strangers
    if (path / CONFIG).is_file():
        try:
            values |= {f"config.{name}": value for name, value in flat(read_json(path / CONFIG), {}).values.items()}
        except (OSError, ValueError) as error:
            raise UserError(f"{path / CONFIG} can't be read ({error})") from None
    return Contents(tensors, values, strangers)
