"""Which image files are read, how they are opened, and what is said of those that are not."""

import importlib
import io
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from trainables.images.importing import pngs

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF", "HEIF")
"""Raster formats that Pillow decodes by itself, or with pillow-heif; not EPS, which it would hand to Ghostscript."""

HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"))
AVIF_BRANDS = frozenset((b"avif", b"avis"))
HEAD = 64
"""Bytes from which a file's format is known."""

STARTS = (
    (pngs.START, "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"<svg", "SVG"),
    (b"%PDF", "PDF"),
)
"""How files begin that hold pictures."""


def open_file(path: Path, label: int = -1) -> tuple[Image.Image, int]:
    """The image in a file, its pixels not read yet, and `label`. What it raises says what is wrong with the file."""
    if not path.is_file():
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        head = file.read(HEAD)
        if not head:
            raise ValueError("empty file")
        slim = pngs.pixels_alone(file) if head.startswith(pngs.START) else None
    return _opened(slim or path, head), label


def open_bytes(data: bytes | None, label: int = -1) -> tuple[Image.Image, int]:
    """The same from the file's bytes."""
    if not data:
        raise ValueError("no bytes")
    file = io.BytesIO(data)
    slim = pngs.pixels_alone(file) if data.startswith(pngs.START) else None
    return _opened(slim or file, data[:HEAD]), label


@cache
def readable_formats() -> tuple[str, ...]:
    """Those of FORMATS that can be read here: HEIF where pillow-heif is installed."""
    Image.init()
    with suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener(decode_threads=1)
    return tuple(name for name in FORMATS if name in Image.OPEN)


@cache
def image_suffixes() -> frozenset[str]:
    """How the names of image files end, in lower case, whether or not they can be read here."""
    readable_formats()
    return HEIF_SUFFIXES | {suffix for suffix, name in Image.EXTENSION.items() if name in FORMATS}


def _opened(file: Path | BinaryIO, head: bytes) -> Image.Image:
    try:
        return Image.open(file, formats=readable_formats())
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception as error:  # damaged files make Pillow raise almost anything
        raise ValueError(_why_not_opened(_format_of(head), error)) from None


def damaged(name: str, error: Exception) -> str:
    """What is wrong with an image of that format, and what to do about it."""
    why = "" if isinstance(error, UnidentifiedImageError) else f" ({' '.join(str(error).split())})"
    return f"a damaged {name}: get it once more, or save it anew with a program that still opens it{why}"


def _why_not_opened(name: str | None, error: Exception) -> str:
    if name is None:
        return "not an image"
    if name in readable_formats():
        return damaged(name, error)
    if name == "HEIF":
        return "HEIC, which pip install 'understock[heif]' reads; or convert it to JPEG or PNG"
    return f"{name}, which isn't read: convert it to JPEG or PNG"


def _format_of(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4]), len(head)), 4))}
        return "AVIF" if brands & AVIF_BRANDS else "HEIF" if brands & HEIF_BRANDS else None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for start, name in STARTS if head.startswith(start)), None)
