"""Every mistake that a user can make at the command line ends in one line that helps, and exit code 2."""

import json
import pickle
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from PIL import Image

import understock
from trainables.home import Home
from trainables.sources import SourceModel

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line as a user would; gives exit code, stdout, stderr."""
    monkeypatch.setenv("UNDERSTOCK_HOME", str(home.root))
    monkeypatch.setenv("COLUMNS", "200")

    def command(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["understock", *shlex.split(line)])
        try:
            understock.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return command


def verbs() -> list[str]:
    found = []
    for group, prefix in ((understock.app, ""), (understock.domains, "domains "), (understock.sources, "sources ")):
        found += [
            prefix + (c.name or c.callback.__name__.replace("_", "-")) for c in group.registered_commands if c.callback
        ]
    return found


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_has_help_with_an_example_and_stands_in_the_readme(run: Run, verb: str) -> None:
    code, said, _ = run(f"{verb} --help")
    assert code == 0
    assert f"Example: understock {verb}" in " ".join(said.replace("│", " ").split())
    assert f"understock {verb}" in (Path(understock.__file__).parent / "README.md").read_text()


MISTAKES = {
    "domains add cats {tmp}/empty": "no",
    "domains add cats {tmp}/texts": "no",
    "domains add cats {tmp}/nowhere": "nowhere",
    "domains add cats {tmp}/images --resolution 48": "48",
    "domains add ../cats {tmp}/images": "'../cats' will not do",
    "domains add dots {tmp}/images --resolution 32": "--replace",
    "domains add cats builtin:nope": "known: mdi, mnist, phosphor, remix, twemoji",
    "domains add cats {tmp}/cut.parquet": "cut.parquet",
    "domains show nope": "known: cut, dots",
    "domains show cut": "cut",
    "domains rm nope": "nope",
    "sources train nope": "nope",
    "sources train dots --preset huge": "unknown preset 'huge'; known: paper, small",
    "sources train dots --name seed-7": "--replace",
    "sources add new {tmp}/pickle.pt --domain x --images 1": "never read",
    "sources add new {tmp}/cut.safetensors --domain x --images 1": "not a whole safetensors file",
    "sources add new {tmp}/nowhere --domain x --images 1": "missing",
    "sources add new {tmp}/pickle.pt --domain x --images 1 --resolution 48": "got 48",
    "sources show nope": "known: ",
    "sources rm nope": "nope",
    "search nope": "nope",
    "search dots --space nope": "known: quickstart, source_by_parts, transferring_gans",
    "search dots --sources seed-7 --trials 0": "trials: Input should be greater than 0, got 0",
    "search dots --sources nope": "unknown source model 'nope'",
    "search dots --sources seed-7 --metric nope": "unknown metric 'nope'; known: fid, fd, kid, kd, iw",
    "search dots --sources seed-7 --target-images 41": "40",
    "search dots --sources seed-7 --name ../x": "name",
    "search dots --sources seed-7 --home /proc/nowhere": "can't be written",
    "resume nope": "unknown study 'nope'",
    "status nope": "unknown study 'nope'",
    "report nope": "unknown study 'nope'",
    "sample nope -o {tmp}/grid.png": "unknown study 'nope'",
    "sample nope -o {tmp}/grid.gif": "FILE.png (a grid), FILE.npz, or a new folder",
    "export nope -o {tmp}/out": "unknown study 'nope'",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path, line: str
) -> None:
    _make_traps(tmp_path, home)
    code, _, complaint = run(line.replace("{tmp}", str(tmp_path)))
    assert code == 2, complaint
    assert complaint.startswith("understock: ")
    assert len(complaint.splitlines()) == 1, complaint
    assert MISTAKES[line] in complaint


def _make_traps(folder: Path, home: Home) -> None:
    for name in ("empty", "texts", "images"):
        (folder / name).mkdir()
    (folder / "texts" / "a.txt").write_text("not an image")
    Image.new("RGB", (40, 40)).save(folder / "images" / "a.png")
    (folder / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    (folder / "pickle.pt").write_bytes(pickle.dumps({"generator.x": 1}))
    (folder / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    home.domain("cut").mkdir(parents=True)
    whole = home.domain("dots")
    (home.domain("cut") / "domain.json").write_text((whole / "domain.json").read_text())
    (home.domain("cut") / "domain.arrow").write_bytes((whole / "domain.arrow").read_bytes()[:-500])


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


def test_a_source_model_is_trained_exported_and_added_again(run: Run, tiny_domain: str, tmp_path: Path) -> None:
    code, said, _ = run("sources train dots --max-images 160 --threads 1")
    assert (code, "160 images seen" in said) == (0, True)
    assert run(f"sources export dots -o {tmp_path / 'out'}")[0] == 0
    files = " ".join(str(tmp_path / "out" / f"{part}.safetensors") for part in ("generator", "discriminator"))
    added = run(f"sources add again {files} --domain dots --images 40 --resolution 32 --width 16")
    assert added[0] == 0, added
    assert {"again", "dots"} <= {item["name"] for item in json.loads(run("sources list --json")[1])}


def test_a_dry_run_prints_the_study_and_writes_nothing(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    code, said, _ = run("search dots --sources seed-7 --trials 3 --dry-run")
    printed = json.loads(said)
    assert (code, printed["study"]["trials"], printed["study"]["sources"]) == (0, 3, ["seed-7"])
    assert printed["an example trial"]["target"] == "dots"
    assert home.names("studies") == []


def test_a_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(typer.Typer, "__call__", broken)
    with pytest.raises(ZeroDivisionError):
        run("domains list")
