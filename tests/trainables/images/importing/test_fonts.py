"""Fonts that matplotlib, a package that comes along, ships: no font of the machine is read."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from PIL import ImageFont

from spaces.errors import UserError
from trainables.images.domains import open_domain
from trainables.images.importing.classes_apart import Apart
from trainables.images.importing.fonts import fonts_origin
from trainables.images.importing.glyphs import EM, draw, drawings, homoglyphs
from trainables.images.importing.importers import add_domain
from trainables.storage.home import Home


def font(name: str) -> Path:
    spec = find_spec("matplotlib")
    assert spec and spec.origin
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"


@pytest.fixture
def fonts(tmp_path: Path) -> Path:
    """Three small faces, each a family of its own, and a file that is no font."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    for name in ("cmr10", "cmss10", "cmtt10"):
        shutil.copy(font(name), folder)
    (folder / "torn.ttf").write_bytes(font("cmr10").read_bytes()[:300])
    return folder


def test_a_class_is_a_character_and_an_image_a_face(home: Home, fonts: Path) -> None:
    facts = add_domain(home, "letters", str(fonts), 32, fonts=True, per_class=3)
    assert {"A", "b", "7"} < set(facts.class_names) and "+" not in facts.class_names
    assert facts.images_per_class <= 3 and facts.flip is False
    assert [skipped.file for skipped in facts.skipped_files] == ["torn.ttf"]
    letters = open_domain(home, "letters")
    drawn = letters.images[letters.labels == facts.class_names.index("A")]
    assert len(drawn) == 3 and drawn.min() == 0 and (drawn[:, :, 0] > 250).all(), "black on white"


def test_the_unseen_classes_and_faces_are_the_other_domains_alone(home: Home, fonts: Path) -> None:
    shutil.copy(font("cmb10"), fonts)
    add_domain(home, "letters", str(fonts), 32, fonts=True, per_class=2, unseen=Apart("5", faces=2))
    seen, unseen = open_domain(home, "letters"), open_domain(home, "letters-unseen")
    assert (len(unseen.facts.class_names), set(seen.facts.class_names) & set(unseen.facts.class_names)) == (5, set())
    assert {item.face for item in fonts_origin(fonts, 4).items} == {"cmb10", "cmr10", "cmss10", "cmtt10"}
    assert set(np.bincount(unseen.labels)) == set(np.bincount(seen.labels)) == {2}, "two faces each"
    assert not {image.tobytes() for image in seen.images} & {image.tobytes() for image in unseen.images}


def test_characters_that_faces_draw_alike_are_one_class() -> None:
    one, two, three = b"1", b"2", b"3"
    faces = [{"A": [one], "Α": [one], "B": [two]}, {"A": [one], "Α": [two], "B": [three]}]
    assert homoglyphs(faces) == {"A": "A", "Α": "A", "B": "B"}
    assert homoglyphs([*faces, *[{"A": [one], "Α": [two]}] * 5])["Α"] == "Α", "one face of seven is chance"
    assert homoglyphs([{"x": [one], "y": [one]}, {"y": [one], "z": [one]}]) == {"x": "x", "y": "x", "z": "x"}


@pytest.mark.parametrize(
    ("unseen", "why"),
    [
        ("0", "'0' sets no class"),
        ("{}", "sets no class apart"),
        ("no.txt", "can't be read"),
        (",", "',' sets no class"),
    ],
)
def test_a_list_of_classes_that_can_not_be_is_refused_before_an_image_is_read(
    home: Home, fonts: Path, unseen: str, why: str
) -> None:
    empty = fonts.parent / "none.txt"
    empty.write_text("\n")
    seen: list[tuple[int, int]] = []
    with pytest.raises(UserError, match=f"--unseen .*{why}"):
        asked = Apart(unseen.format(empty))
        add_domain(home, "letters", str(fonts), 32, fonts=True, unseen=asked, progress=lambda *done: seen.append(done))
    assert seen == []


@pytest.mark.parametrize(
    ("unseen", "fewest", "why"),
    [
        (None, 4, "has 3 faces, and no letter in more than 3 of them, 4 asked for; add fonts, or .* --per-class 3"),
        (Apart("nobody,"), 3, "unknown class 'nobody'"),
        (Apart("100000"), 3, "--unseen 100000 sets .* of .* classes apart; set some apart, not all"),
        (Apart("nowhere.txt"), 3, "--unseen 'nowhere.txt' can't be read"),
        (Apart("5", faces=9), 3, "--unseen-faces 9 of 3 families of faces leaves none"),
    ],
)
def test_what_can_not_be_is_a_line_and_leaves_nothing(
    home: Home, fonts: Path, unseen: Apart | None, fewest: int, why: str
) -> None:
    with pytest.raises(UserError, match=why):
        add_domain(home, "letters", str(fonts), 32, fonts=True, per_class=fewest, unseen=unseen)
    assert home.names("domains") == []


def test_a_folder_without_fonts_is_a_line(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no font file in .* that can be read; expected .ttf, .otf"):
        add_domain(home, "letters", str(tmp_path), 32, fonts=True)
    with pytest.raises(UserError, match="--fonts takes a folder of font files"):
        add_domain(home, "letters", "builtin:mnist", 32, fonts=True)


def test_digits_split_by_class_without_names(home: Home, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("9\n8\n")
    add_domain(home, "digits", "builtin:mnist", 32, unseen=Apart(str(listed)))
    seen, unseen = open_domain(home, "digits"), open_domain(home, "digits-unseen")
    assert (seen.facts.class_names, unseen.facts.class_names) == (tuple("01234567"), ("8", "9"))
    assert np.bincount(unseen.labels).tolist() == [500, 500] and len(seen.labels) == 4000
    assert unseen.facts.val == pytest.approx(100, abs=30)


def test_images_without_classes_can_not_be_set_apart(home: Home) -> None:
    with pytest.raises(UserError, match="--unseen sets classes apart, and there are none"):
        add_domain(home, "emoji", "builtin:twemoji-dark", 32, unseen=Apart("3"))


def test_a_face_whose_instructions_are_nonsense_is_skipped_and_named(home: Home, fonts: Path) -> None:
    """As of some fonts that Debian ships, of which FreeType draws no glyph."""
    with TTFont(fonts / "cmr10.ttf") as tables:
        tables["prep"].program.fromBytecode([0x7B])  # there is no such instruction
        tables.save(fonts / "cmr10.ttf")
    facts = add_domain(home, "letters", str(fonts), 32, fonts=True, per_class=2)
    reasons = {skipped.file: skipped.reason for skipped in facts.skipped_files}
    assert reasons.keys() == {"torn.ttf", "cmr10.ttf"} and "invalid opcode" in reasons["cmr10.ttf"]


def test_a_glyph_that_is_too_large_to_draw_is_like_no_other(fonts: Path) -> None:
    with TTFont(fonts / "cmr10.ttf") as tables:
        outline = tables["glyf"][tables.getBestCmap()[ord("A")]]
        outline.coordinates.scale((15, 15))
        tables["head"].unitsPerEm = 16
        tables.save(fonts / "cmr10.ttf")
    font = ImageFont.truetype(str(fonts / "cmr10.ttf"), EM, layout_engine=ImageFont.Layout.BASIC)
    with pytest.raises(Exception, match=r"raster overflow|exceeds limit"):
        draw(font, ord("A"))
    found = drawings(font, map(ord, "ABC"))
    assert len(found) == 3 and len(set(found.values())) == 3
