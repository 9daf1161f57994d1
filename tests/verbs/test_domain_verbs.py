import json
import os
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from trainables.storage.home import Home
from verbs.domains import domains


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Twelve images in a wrapper, a split and two classes, one of which has a name that a terminal would obey."""
    for number in range(12):
        path = tmp_path / "pets" / "wrapper" / ("train", "val")[number % 2] / ("cat", "\x1b[31mdog")[number // 6]
        path.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(path / f"{number}.png")
    (path / "\x1b]0;title\x07.txt").write_text("no image")
    return tmp_path / "pets"


def test_add_names_classes_skipped_files_and_what_few_images_will_not_do_for(home: Home, pets: Path) -> None:
    result = CliRunner().invoke(domains, ["add", "pets", str(pets), "--resolution", "32", "--home", str(home)])
    assert result.exit_code == 0, result.output
    first, note, skipped = result.stdout.splitlines()
    assert first.startswith("domain pets: 6 train and 6 val images of 32 pixels, 2 classes (\\x1b[31mdog, cat);")
    assert note.startswith("  note: few train images (6): ")
    assert skipped == "  skipped wrapper/val/\\x1b[31mdog/\\x1b]0;title\\x07.txt: not an image"


def test_a_home_that_is_not_utf_8_is_told_of(pets: Path, tmp_path: Path) -> None:
    where = str(tmp_path / os.fsdecode(b"home\xe9"))
    for number in range(12):
        (pets / f"{number}.txt").write_text("no image")
    added = CliRunner().invoke(domains, ["add", "pets", str(pets), "--home", where])
    shown = CliRunner().invoke(domains, ["show", "pets", "--home", where])
    assert (added.exit_code, shown.exit_code) == (0, 0), added.output + shown.output
    assert "more, in " in added.stdout
    assert "home\\xe9/domains/pets/sheet.png" in shown.stdout


def test_show_and_list_hold_no_escapes(home: Home, pets: Path) -> None:
    run = CliRunner()
    run.invoke(domains, ["add", "pets", str(pets.rename(pets.with_name("\x1b[2J"))), "--home", str(home)])
    for verb in (["show", "pets"], ["list"], ["list", "--json"]):
        result = run.invoke(domains, [*verb, "--home", str(home)])
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.stdout
    assert json.loads(run.invoke(domains, ["list", "--json", "--home", str(home)]).stdout)[0]["class_names"]
