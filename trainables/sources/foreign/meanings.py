"""The few names that a pickle may mean something by: what holds tensors, and plain containers."""

import re
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np

from trainables.sources.foreign.pickles import Meaning, Name, Record, safe_key
from trainables.sources.foreign.tensors import STORAGES, Allowance, Array, Dtype, Storage, UnreadableError, View

_NUMBER = re.compile(r"[<>=|]?[biuf?][0-9]{0,2}")

Nested = Callable[[BytesIO], Any]
"""Reads a torch file that lies in a pickle as bytes."""


def meanings(allowance: Allowance, nested: Nested | None) -> Mapping[tuple[str, str], Meaning]:
    """By module and name, functions of a tuple of arguments; without `nested`, a file in a file in a file means nothing."""
    modules = ("numpy.core", "numpy._core")
    found: dict[tuple[str, str], Meaning] = {
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
        ("torch._utils", "_rebuild_parameter"): _first,
        ("torch._utils", "_rebuild_parameter_with_state"): _first,
        ("torch._utils", "_rebuild_tensor"): lambda args: _view(args, allowance),
        ("torch._utils", "_rebuild_tensor_v2"): lambda args: _view(args, allowance),
        ("torch", "Size"): _first,
        ("collections", "OrderedDict"): lambda args: _ordered(args, allowance),
        ("collections", "defaultdict"): lambda args: _ordered(args[1:], allowance),
        ("dnnlib.util", "EasyDict"): lambda args: Record("dnnlib.util.EasyDict"),
        ("dnnlib", "EasyDict"): lambda args: Record("dnnlib.EasyDict"),
        ("numpy", "dtype"): _dtype,
        ("_codecs", "encode"): lambda args: _encoded(args, allowance),
        **{(f"{name}.multiarray", "_reconstruct"): lambda args: Array(allowance) for name in modules},
        **{(f"{name}.multiarray", "scalar"): _scalar for name in modules},
        **{(f"{name}.numeric", "_frombuffer"): lambda args: _from_buffer(args, allowance) for name in modules},
    }
    if nested is not None:
        found["torch.storage", "_load_from_bytes"] = lambda args: nested(BytesIO(_bytes(args, allowance)))
    return found


def _bytes(args: tuple[Any, ...], allowance: Allowance) -> bytes:
    (data,) = args if len(args) == 1 else (None,)
    if not isinstance(data, bytes):
        raise UnreadableError("a storage's file is no bytes")
    allowance.make_bytes(len(data))
    return data


def _first(args: tuple[Any, ...]) -> Any:
    if not args:
        raise UnreadableError("a parameter without its tensor")
    return args[0]


def _view(args: tuple[Any, ...], allowance: Allowance) -> View:
    if len(args) < 4:
        raise UnreadableError("a tensor without storage, offset, size and stride")
    storage, offset, size, stride = args[:4]
    return View.of(storage, offset, size, stride, allowance)


def _persistent_object(args: tuple[Any, ...]) -> Record:
    """NVlabs' modules carry the source of their class along, which is not looked at."""
    (meta,) = args if len(args) == 1 else (None,)
    meta = meta.entries if isinstance(meta, Record) else meta
    if not isinstance(meta, dict):
        raise UnreadableError("a persistent object without its state")
    name = meta.get("class_name")
    return Record(name if isinstance(name, str) else "", state=meta.get("state"))


def _ordered(args: tuple[Any, ...], allowance: Allowance) -> dict[Any, Any]:
    pairs = args[0] if args else []
    if isinstance(pairs, dict | list | tuple):
        allowance.take_steps(len(pairs))  # a pickle can ask for a copy of one thing again and again
    if isinstance(pairs, dict):
        return dict(pairs)
    if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise UnreadableError("an OrderedDict of no pairs")
    return {safe_key(key): value for key, value in pairs}


def _dtype(args: tuple[Any, ...]) -> Dtype:
    if not args or not isinstance(args[0], str) or not _NUMBER.fullmatch(args[0]):
        raise UnreadableError("an array of what are no plain numbers")
    return Dtype(args[0])


def _scalar(args: tuple[Any, ...]) -> Any:
    if len(args) != 2:
        return Record("numpy scalar", args)
    kind, data = args
    data = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(kind, Dtype):
        raise UnreadableError("a NumPy number without its kind")
    dtype = kind.found()
    if not isinstance(data, bytes) or len(data) != dtype.itemsize:
        raise UnreadableError("a NumPy number of another length than its kind")
    return np.frombuffer(data, dtype)[0].item()


def _from_buffer(args: tuple[Any, ...], allowance: Allowance) -> Array:
    """NumPy's arrays of protocol 5."""
    if len(args) != 4:
        raise UnreadableError("an array's state is none that NumPy writes")
    data, dtype, shape, order = args
    array = Array(allowance)
    array.fill(shape, dtype, order == "F", data)
    return array


def _encoded(args: tuple[Any, ...], allowance: Allowance) -> Any:
    """Bytes as protocol 2 writes them: a text and "latin1"."""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        allowance.make_bytes(len(args[0]))
        return args[0].encode("latin-1")
    return Record("_codecs.encode", args)


def storage_of(kind: object, count: object, limit: int) -> Storage:
    """A storage that a torch file tells of; UnreadableError if it is of no known kind or has more bytes than `limit`."""
    known = isinstance(kind, Name) and kind.module in ("torch", "torch.cuda") and kind.name in STORAGES
    if not known:
        what = str(kind) if isinstance(kind, Name) else type(kind).__name__
        raise UnreadableError(f"a tensor's numbers are a {what:.80}, which is not read here")
    assert isinstance(kind, Name)
    storage = Storage(STORAGES[kind.name], count if type(count) is int else -1)
    if not 0 <= storage.count * storage.dtype.itemsize <= limit:
        raise UnreadableError(f"a storage claims more numbers of {storage.dtype} than the file has bytes")
    return storage
