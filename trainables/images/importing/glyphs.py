"""Drawing the glyphs of font files, and which of a font's classes are drawn alike."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

from PIL import Image, ImageDraw, ImageFont, ImageOps

from trainables.images.importing.decoding import Sample

CANVAS = 128
"""Pixels along a side that a glyph is drawn at, before the one resizer."""
MARGIN = 8
"""Pixels of CANVAS left free around a glyph's em square."""
EM = CANVAS - 2 * MARGIN
"""Pixels of a font's em."""
ALIKE_EM = 48
"""Pixels of an em that glyphs are compared at."""
ALIKE = 0.2
"""The share of the faces with both, from which on classes that are drawn alike there are one."""
NOBODYS = 0xFFFF
"""A code point that no font has: it draws what stands in the place of missing glyphs."""


def draw(font: ImageFont.FreeTypeFont, code: int, label: int = -1) -> Sample:
    """One glyph, black on white, with its ink in the middle of the canvas, or of a larger one if it needs that."""
    ink = Image.new("L", (2 * CANVAS, 2 * CANVAS))
    ImageDraw.Draw(ink).text((CANVAS, CANVAS), chr(code), fill="white", font=font, anchor="mm")
    box = ink.getbbox()
    if box is None:
        raise ValueError("blank glyph")
    glyph = ImageOps.invert(ink.crop(box))
    side = max(CANVAS, *glyph.size)
    canvas = Image.new("L", (side, side), "white")
    canvas.paste(glyph, ((side - glyph.width) // 2, (side - glyph.height) // 2))
    return canvas, label


def drawings(font: ImageFont.FreeTypeFont, codes: Iterable[int]) -> dict[int, bytes]:
    """A digest of each glyph's ink at ALIKE_EM; without blank ones, and those that are drawn as missing ones are.

    One that FreeType can't draw is like no other: `draw` will say why.
    """
    small = font.font_variant(size=ALIKE_EM)
    missing = _ink(small, NOBODYS)
    found = {code: _ink(small, code) for code in codes}
    return {code: ink for code, ink in found.items() if ink is not None and ink != missing}


def _ink(font: ImageFont.FreeTypeFont, code: int) -> bytes | None:
    try:
        mask = font.getmask(chr(code))
    except Exception:  # damaged fonts make FreeType and Pillow raise almost anything
        return repr((font.path, font.index, code)).encode()
    box = mask.getbbox()
    if box is None:
        return None
    ink = mask.crop(box)
    return hashlib.sha256(repr(ink.size).encode() + bytes(ink)).digest()


def homoglyphs(faces: Sequence[Mapping[str, Collection[bytes]]]) -> dict[str, str]:
    """The class that each class is one with: the first of those drawn alike in ALIKE of the faces that have both, or more.

    `faces` are the digests of each class's drawings, face by face. Latin, Greek and Cyrillic A are one letter to whoever
    sees it: apart, one of them would give away an unseen class.
    """
    order = {name: place for place, name in enumerate(dict.fromkeys(name for face in faces for name in face))}
    alike: Counter[tuple[str, str]] = Counter()
    for face in faces:
        by_ink: defaultdict[bytes, set[str]] = defaultdict(set)
        for name, inks in face.items():
            for ink in inks:
                by_ink[ink].add(name)
        groups = (sorted(names, key=order.__getitem__) for names in by_ink.values())
        alike.update({pair for names in groups for pair in combinations(names, 2)})
    first = {name: name for name in order}
    for (one, other), count in alike.items():
        if count >= ALIKE * sum(one in face and other in face for face in faces):
            a, b = _root(first, one), _root(first, other)
            first[max(a, b, key=order.__getitem__)] = min(a, b, key=order.__getitem__)
    return {name: _root(first, name) for name in order}


def _root(first: Mapping[str, str], name: str) -> str:
    while first[name] != name:
        name = first[name]
    return name
