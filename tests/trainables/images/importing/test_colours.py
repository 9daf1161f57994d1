"""Colours by their profiles, and depths beyond 8 bits. Profiles are made here, tag by tag, as ICC.1:2010 says."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from trainables.images.importing.decoding import square_rgb
from trainables.images.importing.formats import open_bytes

CASES = Path(__file__).parents[5] / "shared" / "cases"


def read(data, resolution=32):
    image, _ = open_bytes(data)
    with image:
        return square_rgb(image, resolution)


def first_pixel(data, resolution=32):
    return tuple(int(value) for value in read(data, resolution)[:, 0, 0])


def saved(image, suffix, **options):
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def s15(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(space, connection, tags, kind=b"mntr"):
    """An ICC profile of version 2.4."""
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"t\0" + bytes(79),
        b"wtpt": XYZ(0.9642, 1, 0.8249),
        **tags,
    }
    place, table, content = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", place + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    head = bytes(4) + struct.pack(">I", 0x02400000) + kind + space + connection + bytes(12) + b"acsp" + bytes(28)
    head += s15(0.9642, 1, 0.8249)
    size = place + len(content)
    return struct.pack(">I", size) + head.ljust(124, b"\0") + table + content


def XYZ(*values):  # noqa: N802
    return b"XYZ " + bytes(4) + s15(*values)


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def srgb_curve():
    x = np.linspace(0, 1, 1024)
    y = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + np.round(y * 65535).astype(">u2").tobytes()


def of_primaries(red, green, blue, curve):
    colorants = {b"rXYZ": XYZ(*red), b"gXYZ": XYZ(*green), b"bXYZ": XYZ(*blue)}
    return profile(b"RGB ", b"XYZ ", colorants | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


DISPLAY_P3 = of_primaries(
    (0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407), srgb_curve()
)
ADOBE_RGB = of_primaries(
    (0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), gamma(2.19922)
)
LINEAR_GREY = profile(b"GRAY", b"XYZ ", {b"kTRC": gamma(1.0)})
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PAPER, RED, BLACK = (255, 128, 128), (138, 209, 198), (0, 128, 128)
"""In CIE L*a*b* relative to D50, as bytes; RED is sRGB's."""


def inks():
    """A CMYK profile whose first ink is RED on white paper, and whose black is black; other inks do nothing."""
    clut = [BLACK if k else RED if c else PAPER for c in (0, 1) for _ in range(4) for k in (0, 1)]
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += bytes(range(256)) * 4 + bytes(value for colour in clut for value in colour) + bytes(range(256)) * 3
    return profile(b"CMYK", b"Lab ", {b"A2B0": table, b"A2B1": table}, kind=b"prtr")


def near(found, expected, within=2):
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= within


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_display_p3_becomes_srgb(suffix):
    """To what the primaries' own matrices make of it: (0, 183.2, 30.5)."""
    lossless = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}, "JPEG": {"quality": 100}}.get(suffix, {})
    data = saved(Image.new("RGB", (32, 32), (40, 180, 60)), suffix, icc_profile=DISPLAY_P3, **lossless)
    assert near(first_pixel(data), (0, 183, 30))


def test_adobe_rgb_becomes_srgb():
    data = saved(Image.new("RGB", (32, 32), (128, 200, 100)), "PNG", icc_profile=ADOBE_RGB)
    assert near(first_pixel(data), (77, 201, 92))


def test_white_and_black_stay_what_they_are_in_any_profile():
    for level in (0, 255):
        for given in (DISPLAY_P3, ADOBE_RGB):
            data = saved(Image.new("RGB", (32, 32), (level,) * 3), "PNG", icc_profile=given)
            assert near(first_pixel(data), (level,) * 3, 1)


def test_a_palette_and_transparency_keep_their_place_under_a_profile():
    image = Image.new("P", (32, 32), 1)
    image.putpalette([0, 0, 0, 40, 180, 60])
    image.paste(0, (0, 0, 16, 32))
    pixels = read(saved(image, "PNG", transparency=0, icc_profile=DISPLAY_P3))
    assert (pixels[:, :, :16] == 255).all()
    assert near(pixels[:, 0, 16:].T[0].tolist(), (0, 183, 30))
    half = saved(Image.new("RGBA", (32, 32), (40, 180, 60, 128)), "PNG", icc_profile=DISPLAY_P3)
    assert near(first_pixel(half), (127, 219, 142))


def test_a_grey_profile_is_applied_to_8_and_16_bits():
    expected = (188, 188, 188)  # half the light
    assert near(first_pixel(saved(Image.new("L", (32, 32), 128), "PNG", icc_profile=LINEAR_GREY)), expected)
    deep = Image.fromarray(np.full((32, 32), 32896, np.uint16))
    assert near(first_pixel(saved(deep, "PNG", icc_profile=LINEAR_GREY)), expected)


@pytest.mark.parametrize("suffix", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("ink", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (255, 0, 0)),
        ((0, 0, 255, 0), (255, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
    ],
)
def test_cmyk_is_printed_with_its_own_inks(suffix, ink, colour):
    data = saved(
        Image.new("CMYK", (32, 32), ink), suffix, icc_profile=inks(), **({"quality": 100} if suffix == "JPEG" else {})
    )
    assert near(first_pixel(data), colour, 6)  # 8-bit L*a*b* steps by 1 in L and by 1 in a and b


def test_lab_needs_no_profile():
    lab = ImageCms.createProfile("LAB")
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((32, 32), 0)
    image = ImageCms.profileToProfile(colours, ImageCms.createProfile("sRGB"), lab, outputMode="LAB")
    found = read(saved(image, "TIFF")).transpose(1, 2, 0)
    assert np.abs(found.astype(int) - np.asarray(colours)).mean() < 3


@pytest.mark.parametrize(
    ("mode", "given"),
    [
        ("RGB", SRGB),
        ("RGB", b"garbage"),
        ("RGB", DISPLAY_P3[:200]),
        ("RGB", DISPLAY_P3[:128] + b"\xff" * 300),
        ("RGB", LINEAR_GREY),
        ("RGB", inks()),
        ("L", DISPLAY_P3),
        ("L", b"\0" * 128),
        ("CMYK", DISPLAY_P3),
        ("CMYK", inks()[:400]),
    ],
)
def test_pixels_stay_under_srgb_and_under_a_profile_that_is_broken_or_of_another_kind(mode, given):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    found = read(saved(image, "TIFF", icc_profile=given))
    assert np.array_equal(found, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def png(depth, kind, pixels, **chunks):
    """A PNG of 32 x 32 pixels, each the bytes `pixels`, with chunks before them."""
    head = struct.pack(">IIBBBBB", 32, 32, depth, kind, 0, 0, 0)
    rows = (b"\0" + pixels * (32 if depth >= 8 else 32 * depth // 8)) * 32
    parts = [
        (b"IHDR", head),
        *((k.encode(), v) for k, v in chunks.items()),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


GREY, RGB = 0, 2


@pytest.mark.parametrize(
    ("depth", "kind", "pixels", "key", "expected"),
    [
        (16, GREY, b"\x80\x00", b"\x80\x00", 255),
        (16, GREY, b"\x80\x00", b"\x80\x01", 128),
        (16, GREY, b"\x00\x00", b"\x00\x00", 255),
        (8, GREY, b"\x80", b"\x00\x80", 255),
        (4, GREY, b"\x77", b"\x00\x07", 255),
        (4, GREY, b"\x77", b"\x00\x08", 119),
        (2, GREY, b"\x55", b"\x00\x01", 255),
        (2, GREY, b"\x55", b"\x00\x02", 85),
        (1, GREY, b"\x00", b"\x00\x00", 255),
        (8, RGB, b"\x10\x10\x10", b"\x00\x10" * 3, 255),
        (16, RGB, b"\x10\x20" * 3, b"\x10\x20" * 3, 255),
        (16, RGB, b"\x10\x20" * 3, b"\x11\x20" * 3, 16),
    ],
)
def test_a_transparent_value_is_white_at_every_depth(depth, kind, pixels, key, expected):
    assert first_pixel(png(depth, kind, pixels, tRNS=key)) == (expected,) * 3


def tiff_of_grey(white_is_zero, bits, values):
    """A little-endian TIFF, 32 x 32, without compression."""
    tags = [
        (256, 32),
        (257, 32),
        (258, bits),
        (259, 1),
        (262, 0 if white_is_zero else 1),
        (273, 8),
        (277, 1),
        (278, 32),
        (279, len(values)),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(values)) + values + directory + bytes(4)


@pytest.mark.parametrize(
    ("white_is_zero", "bits", "values", "expected"),
    [
        (False, 16, b"\x00\xc0", 192),
        (True, 16, b"\x00\xc0", 64),
        (True, 16, b"\x00\x00", 255),
        (True, 8, b"\xc0\xc0", 63),
        (False, 12, b"\xff\xff\xff", 255),
        (False, 12, b"\x80\x08\x00", 128),
    ],
)
def test_grey_tiffs_of_every_depth_have_their_white(white_is_zero, bits, values, expected):
    data = tiff_of_grey(white_is_zero, bits, values * (32 * 32 * bits // 8 // len(values)))
    assert near(first_pixel(data), (expected,) * 3, 1)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_tiffs_without_a_fixed_range_are_refused_even_if_their_values_are_small(kind):
    with pytest.raises(ValueError, match="have no fixed range"):
        read(saved(Image.fromarray(np.full((32, 32), 40, kind)), "TIFF"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_16_bits_a_channel_keep_their_upper_half(mode):
    value = b"\x20\xff\x40\xff\x60\xff" + (b"\xff\xff" if mode == "RGBA" else b"")
    assert near(first_pixel(png(16, 6 if mode == "RGBA" else 2, value)), (0x20, 0x40, 0x60), 1)


@pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is missing")
def test_the_cases_that_came_in():
    assert near(first_pixel((CASES / "p3.jpg").read_bytes()), (0, 184, 24))
    assert first_pixel((CASES / "formats" / "g16_trns.png").read_bytes(), resolution=64) == (255, 255, 255)
    assert read((CASES / "formats" / "bigtext.png").read_bytes()).std() > 0
