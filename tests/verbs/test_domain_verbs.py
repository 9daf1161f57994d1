import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from trainables.storage.home import Home
from verbs.domains import domains

Run = Callable[..., tuple[int, str, str]]


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


@pytest.fixture
def greys(tmp_path: Path) -> Callable[..., Path]:
    """A folder of so many grey images in each of its folders, no two alike; "" is itself."""

    def write(**folders: int) -> Path:
        greys = iter(range(256))
        for folder, count in folders.items():
            (tmp_path / "greys" / folder.strip("_")).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                path = tmp_path / "greys" / folder.strip("_") / f"{number}.png"
                Image.new("L", (8, 8), next(greys)).save(path)
        return tmp_path / "greys"

    return write


@pytest.mark.parametrize(
    ("folders", "said", "listed"),
    [
        ({"cat": 30}, "no classes; 0 duplicates", "none"),
        ({"_": 30}, "no classes; 0 duplicates", "none"),
        ({"cat": 29, "_": 1}, "1 class (cat) and 1 image without one; 0 duplicates", "1"),
        ({"cat": 15, "dog": 13, "_": 2}, "2 classes (cat, dog) and 2 images without one; 0 duplicates", "2"),
    ],
)
def test_add_says_how_many_classes_there_are_and_which_images_have_none(
    run: Run, greys: Callable[..., Path], folders: dict[str, int], said: str, listed: str
) -> None:
    first, *more = run(f"domains add greys {greys(**folders)} --resolution 32 --no-flip")[1].splitlines()
    assert said in first and len(more) == (1 if folders == {"cat": 30} else 0)
    assert run("domains list")[1].splitlines()[1].split()[4] == listed


def test_one_class_folder_is_no_class_wherever_classes_are_asked_for(run: Run, greys: Callable[..., Path]) -> None:
    folder = greys(cat=30)
    run(f"domains add greys {folder} --resolution 32")
    run(f"domains add other {folder} --resolution 32")
    none = "domain 'greys' has no classes; import it from class folders, two at least"
    assert run("search greys --conditional")[2] == f"understock: --conditional: {none}\n"
    said = run("search greys --space fewshot")[2]
    assert said.endswith(f" go by classes: {none}\n") and said.count("'greys'") == 1
    assert "--unseen sets classes apart, and there are none" in run(f"domains add new {folder} --unseen 1")[2]
    assert "--per-class leaves classes out, and there are none" in run(f"domains add new {folder} --per-class 2")[2]


def test_what_is_so_of_both_domains_of_an_import_is_said_once(run: Run, greys: Callable[..., Path]) -> None:
    folder = greys(ant=30, bee=30, cat=30, dog=1)
    (folder / "ant" / "a.txt").write_text("no image")
    said = run(f"domains add greys {folder} --resolution 32 --unseen 1")[1].splitlines()
    assert [line.split(":")[0] for line in said] == [
        "domain greys",
        "  note",
        "domain greys-unseen",
        "  skipped ant/a.txt",
    ]


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


def test_nothing_is_left_behind_by_a_refused_import(run: Run, home: Home, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run(f"domains add cats {tmp_path / 'empty'}")
    assert home.names("domains") == []


def test_domains_are_added_listed_shown_and_removed(run: Run, tmp_path: Path) -> None:
    for number in range(6):
        Image.new("RGB", (40, 40), (40 * number, 0, 0)).save(tmp_path / f"{number}.png")
    assert "5 train and 1 val" in run(f"domains add reds {tmp_path} --resolution 32")[1]
    assert json.loads(run("domains list --json")[1])[0]["name"] == "reds"
    assert "contact sheet: " in run("domains show reds")[1]
    assert run("domains rm reds")[0] == 0
    assert json.loads(run("domains list --json")[1]) == []


def test_an_import_names_ten_skipped_files_and_where_the_others_are(run: Run, home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (40, 40), (40 * number, 0, 0)).save(folder / f"{number}.png")
    for number in range(12):
        (folder / f"{number:03}.txt").write_text("no image")
    said = run(f"domains add reds {folder} --resolution 32")[1]
    assert said.count("  skipped ") == 10
    assert f"  and 2 more, in {home.domain('reds') / 'domain.json'}" in said
    for number in range(12, 101):
        (folder / f"{number:03}.txt").write_text("no image")
    said = run(f"domains add reds {folder} --resolution 32 --replace")[1]
    assert f"  and 91 more, in {home.domain('reds') / 'skipped.txt'}" in said


def test_the_image_column_of_a_parquet_file_can_be_named(run: Run, tmp_path: Path) -> None:
    data = []
    for grey in (0, 90, 180):
        Image.new("RGB", (40, 40), (grey, grey, grey)).save(tmp_path / "a.png")
        data.append((tmp_path / "a.png").read_bytes())
    pq.write_table(pa.table({"left": data, "right": data}), tmp_path / "pairs.parquet")
    assert "--image-column" in run(f"domains add pairs {tmp_path / 'pairs.parquet'}")[2]
    assert run(f"domains add pairs {tmp_path / 'pairs.parquet'} --image-column right")[0] == 0
