"""From whatever an image file holds to square 8-bit RGB, the same way whatever its origin."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainables.images.domains import SkippedFile, Split

RESIZER = "Pillow Lanczos with antialiasing, after a centre crop to the square"

MAX_PIXELS = 89_478_485
"""Larger images are refused before they are decoded: Pillow's own limit, a quarter of a GiB in RGB."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
"""Raster formats that Pillow decodes by itself; not EPS, which it would hand to Ghostscript."""

ORIENTATION_TAG = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image upright, by its EXIF orientation."""


Sample = tuple[Image.Image, int]
"""An opened image and its label, -1 for none."""


class Item(NamedTuple):
    """One image of an origin, not read yet."""

    name: str
    read: Callable[[], Sample]
    """Opens the image, on any thread. Whatever it raises is why the image is skipped."""
    split: Split | None = None


class Origin(NamedTuple):
    """The images that an import found, in a fixed order."""

    items: Iterator[Item]
    total: int
    skipped: Sequence[SkippedFile] = ()
    """What was left out before reading."""


def open_file(path: Path, label: int = -1) -> Sample:
    """The image in a file, its pixels not read yet. What it raises says what is wrong with the file."""
    if not path.is_file():
        raise ValueError("not a regular file")
    if not path.stat().st_size:
        raise ValueError("empty file")
    return Image.open(path, formats=_formats()), label


def open_bytes(data: bytes | None, label: int = -1) -> Sample:
    """The same from the file's bytes."""
    if not data:
        raise ValueError("no bytes")
    return Image.open(io.BytesIO(data), formats=_formats()), label


def square_rgb(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """`image` as uint8 (3, resolution, resolution).

    Turned upright by its EXIF orientation, 16 bits scaled to 8, flattened on white where transparent, converted to RGB,
    cropped to its central square, resized. Of an animation, the first frame.
    Raises ValueError for more than MAX_PIXELS, and for pixels that have no fixed range.
    """
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
    image.load()
    image = _upright(image)
    if image.mode.startswith(("I", "F")):
        image = _scaled_from_16_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))  # first, for the filter would reach over the edge
    image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def why_not(error: Exception) -> str:
    """One short line for an image that couldn't be read."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return " ".join((str(error) or type(error).__name__).split())[:200]


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warnings about odd metadata inside the block. Process-wide, so enter it before any threads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _upright(image: Image.Image) -> Image.Image:
    turn = None
    with suppress(Exception):  # damaged EXIF says nothing about the pixels
        turn = TURNS.get(image.getexif().get(ORIENTATION_TAG, 1))
    return image if turn is None else image.transpose(turn)


def _scaled_from_16_bits(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    if image.mode == "F" or pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError(f"pixels of mode {image.mode!r} have no fixed range; save it with 8 or 16 bits a channel")
    return Image.fromarray(np.round(pixels / 257).astype(np.uint8))


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)
