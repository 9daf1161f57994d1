"""Where verbs write to: files that -o names, which are never devices or sockets, and standard output, whatever that is."""

import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import understock

ROOT = Path(understock.__file__).parent
VERBS = [
    "report five -o",
    "report five --format md -o",
    "report five --format csv -o",
    "report five --format parquet -o",
    "compare five begun -o",
    "sample five -o",
    "pick dots -o",
]
KINDS = {"device": "device", "pipe": "pipe", "socket": "socket", "link": "device"}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    """A home with studies "five" and "begun" of domain "dots"."""
    return Path(shutil.copytree(ROOT / "tests" / "golden" / "home", tmp_path / "home"))


@pytest.fixture
def run(
    golden: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str]]:
    """Runs a command line in this process; gives exit code and stderr."""
    monkeypatch.setenv("UNDERSTOCK_HOME", str(golden))

    def command(line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["understock", *shlex.split(line)])
        with pytest.raises(SystemExit) as stop:
            understock.main()
        return int(stop.value.code or 0), capsys.readouterr().err

    return command


def special(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to("/dev/full")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ["pipe", "socket", "link"])
def test_no_verb_replaces_what_is_no_file(
    run: Callable[[str], tuple[int, str]],
    golden: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    kind: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's name is short
    place = Path("out.png" if verb.startswith("sample") else "out.html")
    special(place, kind)
    before = place.lstat()
    code, complaint = run(f"{verb} {place}")
    assert (code, len(complaint.splitlines())) == (2, 1), complaint
    assert f"is a {KINDS[kind]}, not a file" in complaint
    assert (place.lstat().st_ino, place.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert not (golden / "studies" / "five" / "exhibits").exists()  # refused before any work


FILES = {
    "report five --format csv -o": "out.csv",
    "report five -o": "out.html",
    "compare five begun -o": "out.md",
    "sample five -o": "out.png",
    "sources show seed-7 -o": "out.png",
}
FOLDERS = ["sample five -n 2 -o", "export five -o", "sources export seed-7 -o"]


@pytest.mark.parametrize("verb", [*FILES, "pick dots -o"])
def test_a_file_that_is_there_is_replaced_where_one_says_so_alone(
    run: Callable[[str], tuple[int, str]], tmp_path: Path, verb: str
) -> None:
    place = tmp_path / "above" / "further" / FILES.get(verb, "out.json")
    place.parent.mkdir(parents=True)
    place.write_text("somebody's")
    code, complaint = run(f"{verb} {place}")
    line = f"understock: {place} is there already; give another name, or replace it with --replace\n"
    assert (code, complaint, place.read_text()) == (2, line, "somebody's")
    if verb in FILES:
        assert run(f"{verb} {place} --replace")[0] == 0
        assert place.read_bytes() != b"somebody's"
        shutil.rmtree(tmp_path / "above")
        assert run(f"{verb} {place}")[0] == 0  # which makes the folders above it
    assert {path.name for path in place.parent.iterdir()} == {place.name}


@pytest.mark.parametrize("verb", FOLDERS)
def test_a_folder_is_new_or_empty(run: Callable[[str], tuple[int, str]], tmp_path: Path, verb: str) -> None:
    full, empty, link, fresh = (tmp_path / name for name in ("full", "empty", "link", "above/further/fresh"))
    (full / "photos").mkdir(parents=True)
    empty.mkdir()
    link.symlink_to(empty)
    for place in (full, link, ".", ".."):
        code, complaint = run(f"{verb} {place}")
        assert (code, complaint) == (
            2,
            f"understock: {place} is there already; give a folder that is new or empty\n",
        )
    for place in (empty, fresh):
        assert run(f"{verb} {place}")[0] == 0
        assert any(place.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["above", "empty", "full", "home", "link"]


def test_a_report_in_its_own_study_is_made_anew_unasked(run: Callable[[str], tuple[int, str]], golden: Path) -> None:
    assert [run("report five --format md")[0] for _ in range(2)] == [0, 0]
    assert [run("compare five begun")[0] for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("verb", ["report five --format csv -o", "sample five -o"])
def test_a_link_stays_and_a_file_keeps_its_mode(
    run: Callable[[str], tuple[int, str]], tmp_path: Path, verb: str
) -> None:
    ending = ".npz" if verb.startswith("sample") else ".csv"
    file, link = tmp_path / f"file{ending}", tmp_path / f"link{ending}"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    assert run(f"{verb} {link} --replace")[0] == 0
    assert link.is_symlink()
    assert file.stat().st_size > 100
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_report_that_has_no_place_or_form_is_refused_before_its_pictures_are_made(
    run: Callable[[str], tuple[int, str]], golden: Path
) -> None:
    for line in (
        "report five --format pdf",
        "report five -o /proc/report.html",
        f"report five -o {golden} --format html",
    ):
        code, complaint = run(line)
        assert (code, len(complaint.splitlines())) == (2, 1), complaint
        assert not (golden / "studies" / "five" / "exhibits").exists()


def listing(home: Path, shell: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """`understock sources list` and its end, with `shell` after it on the shell's line."""
    command = f"{shlex.quote(sys.executable)} -m understock sources list --home {shlex.quote(str(home))} {shell}"
    environment = os.environ | variables
    return subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_standard_output_that_is_full_is_a_line(golden: Path) -> None:
    ended = listing(golden, "> /dev/full")
    assert (ended.returncode, ended.stderr) == (
        2,
        "understock: what was printed can't be written (No space left on device)\n",
    )


@pytest.mark.parametrize("shell", [">&-", "<&- >&- 2>&-", "| true", "| head -1"])
@pytest.mark.slow
def test_a_standard_output_that_nobody_reads_is_no_traceback(golden: Path, shell: str) -> None:
    ended = listing(golden, shell)
    assert ended.stderr == ""


@pytest.mark.slow
def test_a_standard_output_of_ascii_shows_what_it_lacks_escaped(golden: Path) -> None:
    facts = golden / "sources" / "seed-7" / "source.json"
    facts.write_text(re.sub(r'"domain": "[^"]*"', '"domain": "bl\\\\u00fcten"', facts.read_text(), count=1))
    ended = listing(golden, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "bl\\xfcten" in ended.stdout


@pytest.mark.slow
def test_ctrl_c_in_a_verb_without_a_way_to_go_on_is_a_line_too(golden: Path) -> None:
    code = (
        "import sys, time, understock, trainables.storage.home as home\n"
        "home.Home.find = lambda *_: (print('there', flush=True), time.sleep(60))\n"  # while it works
        "sys.argv = ['understock', 'sources', 'list']\n"
        "understock.main()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (130, "interrupted\n")
