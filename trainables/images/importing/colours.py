"""What pixel values mean: colour profiles to sRGB, 16 bits to 8."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

SAME = 2
"""Levels of 255 by which a profile may differ from sRGB and still be taken for it, so that its pixels stay as they are."""

PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""The mode of an image whose pixels a profile speaks of, by the profile's colour space."""

BITS_TAG, PHOTOMETRIC_TAG = 258, 262
WHITE_IS_ZERO = 0


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An 8-bit image of any mode as RGB, or RGBA where it has transparency, its colours converted by its ICC profile.

    A profile that is broken, or not one for pixels of this kind, is ignored. Relative colorimetric, with black point
    compensation, as Photoshop does it.
    """
    mode = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(image.mode, "RGB")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    pixels = image if mode == image.mode else image.convert(mode)
    transform = _transform(profile, mode)
    converted = transform.apply(pixels) if transform else pixels if mode == "RGB" else pixels.convert("RGB")
    if alpha:
        converted.putalpha(alpha)
    return converted


@lru_cache(maxsize=32)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From pixels of `mode` to sRGB; None if their values may stay."""
    if profile is None and mode != "LAB":
        return None
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        kind = (source.profile if isinstance(source, ImageCms.ImageCmsProfile) else source).xcolor_space.strip()
        if PROFILE_MODES.get(kind) != mode:
            return None
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if mode == "RGB" and _leaves_alone(transform) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _leaves_alone(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether it gives colours from all of the cube back as they are."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    found = np.asarray(transform.apply(Image.fromarray(colours)))
    return int(np.abs(found.astype(int) - colours).max()) <= SAME


Key = int | tuple[int, ...] | bytes | None
"""What is transparent in an image without alpha: a grey, a colour, or the opacity of each colour of a palette."""


def transparent_key(image: Image.Image) -> Key:
    """Of a PNG, as its decoded pixels will have it; to be asked before they are decoded.

    Pillow gives it as the file does, while it scales 2 and 4 bits to 8, and keeps the upper half of 16-bit colours.
    """
    if not isinstance(image, PngImagePlugin.PngImageFile) or not image.tile:
        return None
    key: Key = image.info.get("transparency")
    depth = image.tile[0][3]
    if isinstance(key, int) and depth in ("L;2", "L;4"):
        return key * (85 if depth == "L;2" else 17)
    return tuple(value >> 8 for value in key) if isinstance(key, tuple) and depth == "RGB;16B" else key


def scale_to_8_bits(image: Image.Image, key: Key) -> NDArray[np.uint8]:
    """8-bit levels for each value of a grey image of 16 bits, or of 12 in a TIFF; white for the transparent one.

    ValueError if its values have no fixed range: floating point, signed, 32 bits.
    """
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    if image.mode == "F" or (image.mode == "I" and tags):
        raise ValueError(f"pixels of mode {image.mode!r} have no fixed range; save it with 8 or 16 bits a channel")
    white = 4095 if tags.get(BITS_TAG) == (12,) else 65535
    levels = np.round(np.arange(white + 1) * (255 / white)).astype(np.uint8)
    if tags.get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO:  # which Pillow minds in 8 bits alone
        levels = levels[::-1]
    if isinstance(key, int):
        levels[key] = 255
    return levels


def with_8_bits(image: Image.Image, levels: NDArray[np.uint8]) -> Image.Image:
    """A grey image with its values replaced by their levels. ValueError if one has none."""
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() >= len(levels):
        raise ValueError(f"a pixel is outside 0 to {len(levels) - 1}; save it with 8 or 16 bits a channel")
    return Image.fromarray(levels[pixels])
