import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from trainables.images.importing.decoding import MAX_PIXELS, square_rgb, why_not
from trainables.images.importing.formats import open_bytes, open_file


def read(path, resolution=32):
    image, _ = open_file(path)
    with image:
        return square_rgb(image, resolution)


def saved(image, path, **options):
    image.save(path, **options)
    return path


def picture(width=32, height=32):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def channels_last(image):
    return np.asarray(image).transpose(2, 0, 1)


def test_an_image_of_the_right_size_is_left_alone(tmp_path):
    pixels = read(saved(picture(), tmp_path / "a.png"))
    assert np.array_equal(pixels, channels_last(picture()))
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(("width", "height", "box"), [(48, 32, (8, 0, 40, 32)), (32, 43, (0, 5, 32, 37))])
def test_the_central_square_is_kept(tmp_path, width, height, box):
    image = picture(width, height)
    assert np.array_equal(read(saved(image, tmp_path / "a.png")), channels_last(image.crop(box)))


def test_shrinking_antialiases():
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::2] = 255  # nearest-neighbour would give all black or all white
    inner = square_rgb(Image.fromarray(stripes), 32)[:, 2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 127.5).max() < 5


def test_small_images_are_enlarged():
    assert square_rgb(Image.new("RGB", (3, 5), "red"), 64).shape == (3, 64, 64)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(picture(48, 32), tmp_path / "a.png", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(path))
    assert np.array_equal(read(path), square_rgb(Image.fromarray(np.asarray(upright)), 32))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_image(tmp_path):
    path = saved(picture(), tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert np.array_equal(read(path), channels_last(Image.open(path)))


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0)), ("PA", (0, 0))])
def test_transparent_pixels_become_white(mode, colour):
    assert (square_rgb(Image.new(mode, (8, 8), colour), 32) == 255).all()


def test_half_transparent_pixels_are_mixed_with_white():
    red, green, blue = square_rgb(Image.new("RGBA", (8, 8), (255, 0, 0, 128)), 32)[:, 0, 0]
    assert (red, green, blue) == (255, 127, 127)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_with_a_transparent_colour_is_flattened_on_white(tmp_path, suffix):
    image = Image.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.paste(0, (0, 0, 16, 32))
    pixels = read(saved(image, tmp_path / f"a.{suffix}", transparency=0))
    assert (pixels[:, :, :16] == 255).all()
    assert (pixels[:, 0, 16:].T == (10, 200, 30)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "HSV"])
def test_other_colour_modes_are_converted(mode):
    image = picture().convert(mode)
    assert np.array_equal(square_rgb(image, 32), channels_last(image.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 1024).reshape(32, 32).astype(np.uint16)
    pixels = read(saved(Image.fromarray(ramp), tmp_path / f"a.{suffix}"))
    assert np.array_equal(pixels, np.repeat(np.round(ramp / 257).astype(np.uint8)[None], 3, axis=0))


def test_floating_point_pixels_are_refused(tmp_path):
    with pytest.raises(ValueError, match="mode 'F' have no fixed range"):
        read(saved(Image.new("F", (8, 8), 0.5), tmp_path / "a.tiff"))


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read(path)[:, 0, 0] == (255, 0, 0)).all()


def png_of_size(width, height):
    """A PNG's first bytes: all that is read of it before its size is judged."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data, b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_460, 30_000])
def test_decompression_bombs_are_refused_before_they_are_decoded(side):
    assert side**2 > MAX_PIXELS
    with pytest.raises((ValueError, Image.DecompressionBombError), match=r"more than 89,478,485|exceeds limit"):
        square_rgb(open_bytes(png_of_size(side, side))[0], 32)


def test_truncated_jpegs_are_refused(tmp_path):
    path = saved(picture(64, 64), tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(OSError, match="truncated"):
        read(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"hello", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_reasons_are_short(tmp_path, data, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises((OSError, ValueError)) as caught:
        open_file(path)
    assert why_not(caught.value) == reason


def test_reasons_of_strange_errors_stay_on_one_short_line():
    assert why_not(KeyError()) == "KeyError"
    assert why_not(ValueError("two\nlines " + "x" * 999)) == "two lines " + "x" * 190
