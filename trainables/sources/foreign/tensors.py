"""Tensors of others' files, described before a byte of them is copied: what is asked for is checked against what is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import torch
from torch import Tensor

MAX_DIMS = 8
MAX_NUMBERS = 2**48
"""No size and no stride is larger, nor are sizes together, those of 0 left out: far beyond any file, far below an overflow."""

STORAGES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""What the names of torch's storages mean."""


_WIDEST = 8
"""Bytes of torch's widest floating-point numbers."""


class UnreadableError(ValueError):
    """A file is damaged, hostile or beyond what is read here; the message says why, and leaves out which file."""


@dataclass
class Allowance:
    """What one file may still cost its reader: bytes of tensors, bytes made of others, and steps of its pickles."""

    tensor_bytes: int
    """All tensors of a file lie in it, so together they are no larger."""
    made_bytes: int = field(init=False)
    """What a pickle has as text or as a file inside of it lies in the file too, once each."""
    steps: int = 5_000_000
    """The largest StyleGAN2's pickle has some 100,000; a reader of these many is busy for half a minute."""

    def __post_init__(self) -> None:
        self.made_bytes = 2 * self.tensor_bytes

    def make_bytes(self, count: int) -> None:
        """UnreadableError once more was made than the file can ask for but by asking for one thing again and again."""
        self.made_bytes -= count
        if self.made_bytes < 0:
            raise UnreadableError("its pickle makes more bytes than the file has")

    def take_bytes(self, count: int) -> None:
        """UnreadableError once the tensors copied are larger than the file that they are said to come from."""
        self.tensor_bytes -= count
        if self.tensor_bytes < 0:
            raise UnreadableError("its tensors are together larger than the file")

    def take_steps(self, count: int) -> None:
        """UnreadableError once there were too many."""
        self.steps -= count
        if self.steps < 0:
            raise UnreadableError("its pickle has more steps than any checkpoint needs")


@dataclass(eq=False)
class Storage:
    """A run of numbers in a file; `data` is None until the file says where it lies."""

    dtype: torch.dtype
    count: int
    data: memoryview | None = None

    def lies_in(self, data: memoryview) -> None:
        """Say where it lies; UnreadableError if it claims more numbers than there are."""
        if self.count * self.dtype.itemsize > len(data):
            raise UnreadableError(
                f"a storage claims {self.count:,} numbers of {self.dtype}, and {len(data):,} bytes are there"
            )
        self.data = data


@dataclass(frozen=True, eq=False)
class View:
    """A tensor: a view of a storage, in bounds."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    allowance: Allowance

    @classmethod
    def of(cls, storage: object, offset: object, shape: object, strides: object, allowance: Allowance) -> "View":
        """UnreadableError unless all of it lies in the storage, and no number is in it more often than there."""
        if not isinstance(storage, Storage):
            raise UnreadableError(f"a tensor is a view of {type(storage).__name__}, no storage that is known here")
        if not (_naturals(shape) and _naturals(strides) and _naturals((offset,)) and len(shape) == len(strides)):  # type: ignore[arg-type]
            raise UnreadableError("a tensor's sizes and strides are no whole numbers from 0 up, one each a dimension")
        assert isinstance(offset, int)
        sizes, steps = _whole(shape), _whole(strides)
        if len(sizes) > MAX_DIMS:
            raise UnreadableError(f"a tensor of {len(sizes)} dimensions, more than {MAX_DIMS}")
        if not _sane(sizes) or max(steps, default=0) > MAX_NUMBERS:
            raise UnreadableError("a tensor's sizes or strides are larger than those of any file")
        last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        if prod(sizes) and (last >= storage.count or prod(sizes) > storage.count):
            raise UnreadableError(
                f"a tensor of {prod(sizes):,} numbers, the last at {last:,}, is a view of a storage of {storage.count:,}"
            )
        return cls(storage, offset, sizes, steps, allowance)

    @property
    def ndim(self) -> int:
        """Dimensions."""
        return len(self.shape)

    def tensor(self) -> Tensor:
        """A copy, on the CPU."""
        dtype, numbers = self.storage.dtype, prod(self.shape)
        if not numbers:
            return torch.zeros(self.shape, dtype=dtype)
        if self.storage.data is None:
            raise UnreadableError("a tensor's storage is not in the file")
        self.allowance.take_bytes(numbers * dtype.itemsize)
        last = self.offset + sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        span = self.storage.data[self.offset * dtype.itemsize : (last + 1) * dtype.itemsize]
        raw = np.frombuffer(span, np.uint8).copy()
        return torch.from_numpy(raw).view(dtype).as_strided(self.shape, self.strides).clone()


@dataclass(eq=False)
class Dtype:
    """NumPy's name of a kind of number, until its state has given it a byte order."""

    kind: str
    order: str = "<"

    def found(self) -> "np.dtype[np.generic]":
        """NumPy's own; UnreadableError if there is none of that name."""
        try:
            return np.dtype(self.kind).newbyteorder(self.order)  # type: ignore[arg-type]
        except TypeError:
            raise UnreadableError(f"an array of {self.kind!r}, which NumPy does not know") from None


@dataclass(eq=False)
class Array:
    """A NumPy array, filled by its pickle's state."""

    allowance: Allowance
    shape: tuple[int, ...] = ()
    dtype: "np.dtype[np.generic] | None" = None
    fortran: bool = False
    data: bytes = field(default=b"", repr=False)

    def fill(self, shape: object, dtype: object, fortran: object, data: object) -> None:
        """UnreadableError unless these are as many bytes as such an array has."""
        if isinstance(data, str):  # Python 2's bytes
            self.allowance.make_bytes(len(data))
            data = data.encode("latin-1")
        if isinstance(data, bytearray):
            self.allowance.make_bytes(len(data))
        if not (_naturals(shape) and isinstance(dtype, Dtype) and isinstance(data, bytes | bytearray)):
            raise UnreadableError("an array's state is none that NumPy writes")
        sizes, kind = _whole(shape), dtype.found()
        if kind.kind == "f" and kind.itemsize > _WIDEST:
            raise UnreadableError(f"an array of {kind}, which torch does not have")
        if len(sizes) > MAX_DIMS or not _sane(sizes) or prod(sizes) * kind.itemsize != len(data):
            raise UnreadableError(f"an array of shape {sizes[:MAX_DIMS]} and {kind} has {len(data):,} bytes")
        self.shape, self.dtype, self.fortran, self.data = sizes, kind, fortran is True, bytes(data)

    @property
    def ndim(self) -> int:
        """Dimensions."""
        return len(self.shape)

    def tensor(self) -> Tensor:
        """A copy, on the CPU, in this machine's byte order."""
        if self.dtype is None:
            raise UnreadableError("an array without its numbers")
        self.allowance.take_bytes(len(self.data))
        order = "F" if self.fortran else "C"
        found = np.frombuffer(self.data, self.dtype).reshape(self.shape, order=order)  # type: ignore[call-overload]
        return torch.from_numpy(np.array(found, dtype=self.dtype.newbyteorder("="), order="C"))


Lazy = View | Array | Tensor
"""A tensor with its shape; only `copied` makes it one in memory."""


def copied(tensor: Lazy) -> Tensor:
    """The tensor itself."""
    return tensor if isinstance(tensor, Tensor) else tensor.tensor()


def _sane(sizes: tuple[int, ...]) -> bool:
    """Whether a tensor can be of these sizes at all; each is looked at first, for their product may have no end."""
    return max(sizes, default=0) <= MAX_NUMBERS and prod(size or 1 for size in sizes) <= MAX_NUMBERS


def _whole(numbers: object) -> tuple[int, ...]:
    assert isinstance(numbers, tuple | list), f"{numbers=}"
    return tuple(numbers)


def _naturals(numbers: object) -> bool:
    """Whether these are a tuple or list of whole numbers from 0 up."""
    return isinstance(numbers, tuple | list) and all(type(n) is int and n >= 0 for n in numbers)
