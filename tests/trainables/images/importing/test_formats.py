import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from trainables.images.importing.decoding import square_rgb, why_not
from trainables.images.importing.formats import image_suffixes, open_bytes, open_file, readable_formats


def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


def saved(suffix, **options):
    buffer = io.BytesIO()
    picture().save(buffer, suffix, **options)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(name, data, place):
    """The picture as a PNG, with one more chunk before or after its pixels."""
    png = saved("PNG")
    start = png.index(b"IDAT") - 4 if place == "before" else png.index(b"IEND") - 4
    return png[:start] + chunk(name, data) + png[start:]


def is_the_picture(data, tmp_path):
    (tmp_path / "a.png").write_bytes(data)
    for image, _ in (open_bytes(data), open_file(tmp_path / "a.png")):
        with image:
            assert np.array_equal(square_rgb(image, 32), np.asarray(picture()).transpose(2, 0, 1))


MUCH = 3 * 2**20


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        (b"zTXt", b"a\0\0" + zlib.compress(bytes(MUCH))),
        (b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(MUCH))),
        (b"tEXt", b"a\0" + b"x" * MUCH),
        (b"zTXt", b"a\0\7broken"),
        (b"tEXt", b""),
    ],
)
def test_a_png_is_read_whatever_text_it_has(name, data, place, tmp_path):
    is_the_picture(with_chunk(name, data, place), tmp_path)


def test_hundreds_of_texts_of_a_png_are_never_unpacked(tmp_path):
    png, one = saved("PNG"), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 1)))
    is_the_picture(png[:33] + 200 * one + png[33:], tmp_path)


def test_a_png_whose_colour_profile_is_a_bomb_is_read_without_it(tmp_path):
    is_the_picture(with_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(MUCH)), "before"), tmp_path)


def test_what_pillow_knows_of_a_png_besides_text_stays():
    info, exif = PngImagePlugin.PngInfo(), Image.Exif()
    info.add_text("a", "b" * MUCH, zip=True)
    exif[0x0112] = 3
    image, _ = open_bytes(saved("PNG", pnginfo=info, exif=exif, icc_profile=b"some profile"))
    assert image.getexif()[0x0112] == 3
    assert image.info["icc_profile"] == b"some profile"
    assert "a" not in image.info


def reason(data):
    with pytest.raises((OSError, ValueError)) as caught, open_bytes(data)[0] as image:
        square_rgb(image, 32)
    return why_not(caught.value)


def with_bad_checksum(name):
    png = bytearray(with_chunk(b"gAMA", struct.pack(">I", 45455), "before"))
    png[png.index(name) + 4] ^= 1
    return bytes(png)


@pytest.mark.parametrize(
    ("data", "format_name"),
    [
        (with_bad_checksum(b"gAMA"), "PNG"),
        (with_bad_checksum(b"IHDR"), "PNG"),
        (saved("PNG")[:900], "PNG"),
        (saved("PNG")[:20], "PNG"),
        (saved("JPEG")[:700], "JPEG"),
        (saved("JPEG")[:8], "JPEG"),
        (saved("GIF")[:9], "GIF"),
        (saved("BMP")[:600], "BMP"),
        (saved("WEBP")[:80], "WEBP"),
        (saved("TIFF")[:300], "TIFF"),
        (saved("AVIF")[:60], "AVIF"),
    ],
)
def test_a_damaged_image_is_called_damaged_with_the_cure(data, format_name):
    said = reason(data)
    assert f"a damaged {format_name}: " in said
    assert "get it once more" in said


def heic_head(brand=b"heic"):
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1heic" + bytes(100)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1"])
def test_heic_is_named_with_the_cure(brand):
    cure = "get it once more" if "HEIF" in readable_formats() else "pip install 'understock[heif]'"
    assert cure in reason(heic_head(brand))
    assert "HEI" in reason(heic_head(brand))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\x0a\0\0", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_formats_are_named_with_the_cure(head, name):
    assert reason(head + bytes(50)) == f"{name}, which isn't read: convert it to JPEG or PNG"


def test_heic_is_read_with_the_extra(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    readable_formats()
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    left_half = Image.new("RGB", (64, 32), (0, 0, 200))
    left_half.paste((200, 0, 0), (0, 0, 32, 32))
    try:
        pillow_heif.from_pillow(left_half).save(buffer, quality=100, exif=exif.tobytes())
    except (RuntimeError, ValueError, KeyError) as error:
        pytest.skip(f"this pillow-heif can't write HEIC: {error}")
    (tmp_path / "IMG_0001.HEIC").write_bytes(buffer.getvalue())
    image, label = open_file(tmp_path / "IMG_0001.HEIC", 3)
    with image:
        pixels = square_rgb(image, 32).astype(int)
    assert label == 3
    assert pixels[:, 2, 16] == pytest.approx((200, 0, 0), abs=12), "turned by a quarter: left is up"
    assert pixels[:, -3, 16] == pytest.approx((0, 0, 200), abs=12)


def test_a_folder_knows_images_by_their_names():
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".heic", ".avif"} <= image_suffixes()
    assert not {".txt", ".json", ".pdf", ".eps", ".mp4", ""} & image_suffixes()


def test_a_file_that_grows_without_end_is_not_read_whole(tmp_path):
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    os.truncate(tmp_path / "a.png", 2**36)  # a hole
    image, _ = open_file(tmp_path / "a.png")
    with image:
        assert square_rgb(image, 32).std() > 0
