"""Tensors on disk: safetensors files, read whole or refused, and never a pickle."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spaces.errors import UserError


def write_tensors(tensors: Mapping[str, Tensor], path: Path, about: Mapping[str, str] | None = None) -> None:
    """Write tensors of any device, shape and dtype to the file `path`; the umask decides who may read it.

    `about` is what the file says of itself: safetensors' metadata, text by name.
    """
    path.write_bytes(dump_tensors(tensors, about))  # safetensors' own save_file lets nobody but the owner read


def dump_tensors(tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> bytes:
    """Give the bytes of a safetensors file of these tensors, with `about` as its metadata."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(plain, dict(about or {}) if about or plain else None)  # of {} and {} it makes what it can't read


def read_about(path: Path) -> dict[str, str]:
    """Read what a file says of itself, its metadata, without reading its tensors.

    Raises UserError if it is missing, truncated, or something else (a pickle, say).
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file's tensors, onto the CPU, and what it says of itself, its metadata.

    Raises UserError if it is missing, truncated, or something else (a pickle, say).
    """
    with _opened(path) as file:
        names = file.keys()
        return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file for the block; UserError if it is missing or none."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path} is missing; a safetensors file was expected there") from None
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}); pickled checkpoints (.pt, .pth, .pkl) are never read: "
            "convert them with safetensors.torch.save_file where you trust them"
        ) from None
