"""From whatever an image file holds to square 8-bit RGB, the same way whatever its origin."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.images.domains import SkippedFile, Split
from trainables.images.importing.colours import scale_to_8_bits, to_srgb, transparent_key, with_8_bits
from trainables.images.importing.formats import damaged

RESIZER = "Pillow Lanczos with antialiasing, after a centre crop to the square"

MAX_PIXELS = 89_478_485
"""Larger images are refused before they are decoded: Pillow's own limit, a quarter of a GiB in RGB."""

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
    held_bytes: int = 0
    """Memory that it takes until it is read."""
    face: str = ""
    """The font, or its family, that drew it."""


class Origin(NamedTuple):
    """The images that an import found, in a fixed order."""

    items: Iterator[Item]
    total: int
    skipped: Sequence[SkippedFile] = ()
    """What was left out before reading."""
    class_names: Sequence[str] = ()
    """By label, where the origin names its classes."""
    notes: Sequence[str] = ()
    """What the user should know of it, a line each."""
    keeps_names: bool = False
    """Whether other origins have images of the same names, each the same picture in another style."""
    per_class: int | None = None
    """Images that a class must have, unless the user says how many."""


def square_rgb(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    """`image` as uint8 (3, resolution, resolution).

    Turned upright by its EXIF orientation, cropped to its central square, 16 bits scaled to 8, converted to sRGB by its
    colour profile, flattened on white where transparent, resized. Of an animation, the first frame.
    Raises ValueError for more than MAX_PIXELS, and for pixels that have no fixed range.
    """
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
    key, profile = transparent_key(image), image.info.get("icc_profile")
    _load(image)
    square = _central_square(_upright(image))
    if image.mode.startswith(("I", "F")):
        square = with_8_bits(square, scale_to_8_bits(image, key))
    elif key is not None:
        square.info["transparency"] = key
    image = to_srgb(square, profile)
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return _resized(image, resolution)


def resized(images: NDArray[np.uint8], resolution: int) -> NDArray[np.uint8]:
    """RGB images (n, 3, R, R) as (n, 3, resolution, resolution), by the one resizer of domains' images."""
    if images.shape[-1] == resolution:
        return images
    return np.stack([_resized(Image.fromarray(image.transpose(1, 2, 0)), resolution) for image in images])


def _resized(image: Image.Image, resolution: int) -> NDArray[np.uint8]:
    image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow's decoders raise almost anything
        raise OSError(damaged(image.format or "image", error)) from None


def _central_square(image: Image.Image) -> Image.Image:
    """Cut before anything is resized, for a filter would reach over the edge."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def why_not(error: Exception) -> str:
    """One short line for an image that couldn't be read."""
    return " ".join((str(error) or type(error).__name__).split())[:200]


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warnings about odd metadata inside the block, and too many pixels are an error as soon as Pillow sees them.

    Process-wide, so enter it before any threads.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _upright(image: Image.Image) -> Image.Image:
    turn = None
    with suppress(Exception):  # damaged EXIF says nothing about the pixels
        turn = TURNS.get(image.getexif().get(ORIENTATION_TAG, 1))
    return image if turn is None else image.transpose(turn)
