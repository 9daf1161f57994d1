"""Letters and digits of a folder of font files: a class a character, an image a face."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fontTools.ttLib import TTCollection, TTFont
from PIL import ImageFont

from spaces.counts import plural
from spaces.errors import UserError
from trainables.images.domains import SkippedFile
from trainables.images.importing.decoding import Item, Origin, why_not
from trainables.images.importing.glyphs import EM, draw, drawings, homoglyphs

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
COLLECTIONS = (".ttc", ".otc")
KINDS = ("Lu", "Ll", "Lt", "Lo", "Nd")
"""Unicode's categories of letters and decimal digits."""
FEWEST = 10
"""Faces that a character must be in, unless told else."""


class Face(NamedTuple):
    """One face of a font file."""

    file: str
    """As seen from the folder, with its place in a collection."""
    family: str
    """What it is called together with its bold, its italic, ...: they are drawn much alike."""
    font: ImageFont.FreeTypeFont
    codes: Sequence[int]
    """The letters and digits that it has, ascending."""


def fonts_origin(root: Path, fewest: int | None = None) -> Origin:
    """The characters that `fewest` faces below `root` have, FEWEST by default; those drawn alike are one class.

    Compatibility characters (ligatures, letters in circles, full-width ones) are left out: they are others in disguise.
    UserError if there is no font, or no character of so many faces.
    """
    skipped: list[SkippedFile] = []
    faces = list(_faces(root, skipped))
    if not faces:
        raise UserError(f"no font file in {str(root)!r} that can be read; expected {', '.join(SUFFIXES)} there")
    counts = Counter(code for face in faces for code in face.codes)
    most, fewest = max(counts.values(), default=0), FEWEST if fewest is None else fewest
    if most < fewest:
        raise UserError(
            f"{str(root)!r} has {plural(len(faces), 'face')}, and no letter in more than {most:,} of them, {fewest:,} asked for; "
            f"add fonts, or ask for fewer with --per-class {max(1, most)}"
        )
    inks = [drawings(face.font, (code for code in face.codes if counts[code] >= fewest)) for face in faces]
    one_with = homoglyphs([{chr(code): (ink,) for code, ink in sorted(found.items())} for found in inks])
    names = sorted(set(one_with.values()))
    numbers = {name: number for number, name in enumerate(names)}
    items = [
        Item(
            f"{face.file}, {chr(code)}",
            partial(draw, face.font, code, numbers[one_with[chr(code)]]),
            face=face.family,
        )
        for face, found in zip(faces, inks, strict=True)
        for code in found
    ]
    merged = len(one_with) - len(names)
    are = "is" if merged == 1 else "are"
    note = f"{plural(merged, 'character')} that many faces draw as another {are} of its class" if merged else None
    return Origin(iter(items), len(items), skipped, names, [note] if note else [], per_class=fewest)


def _faces(root: Path, skipped: list[SkippedFile]) -> Iterator[Face]:
    """Each face below a folder, by path; what can't be read is added to `skipped`."""
    for path in sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES):
        name = str(path.relative_to(root))
        try:
            yield from _faces_of(path, name)
        except Exception as error:  # damaged fonts make both libraries raise almost anything
            skipped.append(SkippedFile(file=name, reason=f"no font that can be read ({why_not(error)})"))


def _faces_of(path: Path, name: str) -> list[Face]:
    count = 1
    if path.suffix.lower() in COLLECTIONS:
        with TTCollection(path, lazy=True) as collection:
            count = len(collection.fonts)
    faces = []
    for number in range(count):
        with TTFont(path, fontNumber=number if count > 1 else -1, lazy=True) as tables:
            codes = sorted(code for code in tables.getBestCmap() or () if _is_letter(chr(code)))
            family = tables["name"].getBestFamilyName() if "name" in tables else None
        font = ImageFont.truetype(str(path), EM, index=number, layout_engine=ImageFont.Layout.BASIC)
        font.getmask("A")  # if its instructions are nonsense nothing is drawn, not even what stands for missing glyphs
        faces.append(Face(name if count == 1 else f"{name} {number}", family or name, font, codes))
    return faces


def _is_letter(character: str) -> bool:
    return unicodedata.category(character) in KINDS and unicodedata.normalize("NFKC", character) == character
