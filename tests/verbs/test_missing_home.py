"""A home that is not there: verbs that read make none, whether it was mistyped or nobody ever began one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import understock

Run = Callable[..., tuple[int, str, str]]

BEGIN = ("domains add", "sources add")
"""What a home begins with; all other verbs need one."""
ARGUMENTS = {
    "train": " --config c.json",
    "sample": " -o s.png",
    "export": " -o out",
    "compare": " b",
    "sources export": " -o out",
    "sources cut": " --resolution 32",
}
LISTS = ("domains list", "sources list", "status", "regret")


def readers() -> list[str]:
    """A command line of every verb that makes no home."""
    found = typer.main.get_command(understock.app)
    verbs = [(name, inner) for name, verb in found.commands.items() for inner in getattr(verb, "commands", {"": verb})]
    lines = [" ".join(filter(None, verb)) for verb in verbs]
    return [f"{line}{'' if line in LISTS else ' a'}{ARGUMENTS.get(line, '')}" for line in lines if line not in BEGIN]


@pytest.mark.parametrize("line", readers())
def test_a_verb_does_not_make_a_home_that_is_mistyped(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text("{}")
    code, said, complaint = run(f"{line} --home {tmp_path / 'mistyped'}")
    assert (code, said, len(complaint.splitlines())) == (2, "", 1), complaint
    assert f"no home at {tmp_path / 'mistyped'}; name another with --home or UNDERSTOCK_HOME, or begin" in complaint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "home"]


@pytest.mark.parametrize("line", readers())
def test_a_verb_does_not_make_the_default_home(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.delenv("UNDERSTOCK_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text("{}")
    code, said, complaint = run(line)
    note = f"note: no home yet at {tmp_path}/.understock; begin one with: understock domains add NAME WHAT\n"
    if line in ("domains list", "status"):
        assert (code, complaint) == (0, note)
    elif line == "sources list":
        assert (code, complaint) == (0, "")
        assert "mnist" in said  # as builtin ones need no home
    else:
        assert (code, said, len(complaint.splitlines())) == (2, "", 1), complaint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "home"]


def test_a_home_begins_with_what_is_added(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Path(understock.__file__).parent / "trainables" / "sources" / "builtin" / "mnist"
    shutil.copytree(shelf, tmp_path / "digits")
    for line in (f"sources add digits {tmp_path / 'digits'}", "domains add digits builtin:mnist --resolution 32"):
        place = tmp_path / line.split()[0]
        assert run(f"{line} --home {place}")[0] == 0
        assert "digits" in run(f"{line.split()[0]} list --home {place}")[1]
