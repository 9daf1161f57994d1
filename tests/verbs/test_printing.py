"""What verbs print on a terminal of 80 columns, and of 60: names of options and numbers are whole."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path

import pytest

import understock
from search.launch import resolve_study
from search.records.results import load
from search.records.study import StudyPaths, write_spec
from search.running.ledger import Ledger
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from verbs.printing import in_a_line, print_table

Run = Callable[..., tuple[int, str, str]]

ROOT = Path(understock.__file__).parent
WIDTHS = pytest.mark.parametrize("width", [80, 60])
ERROR = "UserError: " + "the reason, in many words, " * 9 + "ends"


def on_terminal(width: int, code: str, *words: str) -> list[str]:
    """The lines that Python `code`, given `words`, prints on a terminal so wide, in a process of its own."""
    ours, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    variables = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=its, stderr=its, env=variables)
    os.close(its)
    said = b""
    with suppress(OSError):  # the end of a terminal
        while more := os.read(ours, 65_536):
            said += more
    os.close(ours)
    assert process.wait(60) == 0, said.decode()
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r", "").splitlines()


HELP = """
import sys, understock
for verb in sys.argv[1:]:
    sys.argv = ["understock", *verb.split(), "--help"]
    try:
        understock.main()
    except SystemExit as stop:
        assert not stop.code
"""
VERBS = [
    "search",
    "resume",
    "status",
    "sample",
    "export",
    "report",
    "compare",
    "watch",
    "pick",
    "regret",
    "train",
    "rank",
    "dashboard",
    "domains",
    "domains add",
    "sources",
    "sources train",
    "sources add",
    "sources export",
]
OPTIONS = [
    "--early-stopping / --no-early-stopping",
    "--threads-per-trial CORES",
    "--workers-per-trial WORKERS",
    "--memory-per-trial GIB",
    "--gpus-per-worker GPUS",
    "--track tensorboard|mlflow|wandb",
    "--image-column NAME",
    "--val-fraction 0..1",
    "--home FOLDER|s3://...",
    "--format html|png|md|csv|parquet",
    "--key-map FILE.json",
]
DEFAULTS = [
    "[default: cores / concurrency]",
    "[default: 1 where there is one, else 0]",
    "[default: no limit]",
    "[default: ~/.understock]",
    "[default: all of the home]",
    "[default: TARGET-SPACE]",
    "[default: 0.1]",
]


@WIDTHS
def test_help_has_options_and_defaults_whole(width: int) -> None:
    lines = on_terminal(width, HELP, *VERBS)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert "…" not in text
    assert [option for option in OPTIONS if not any(option in line for line in lines)] == []
    assert [default for default in DEFAULTS if default not in text] == []


def test_the_options_of_search_stand_under_headings() -> None:
    lines = on_terminal(80, HELP, "search")
    headings = [line for line in lines if re.fullmatch(r"[A-Z].*:", line)]
    assert headings == [
        "Arguments:",
        "What to search:",
        "What each trial takes:",
        "When it ends:",
        "Where it runs:",
        "Options:",
    ]


RUN = "import understock; understock.main()"


@WIDTHS
@pytest.mark.slow
def test_listings_have_their_numbers_whole(home: Home, tiny_domain: str, tiny_source: SourceModel, width: int) -> None:
    shown = on_terminal(width, RUN, "sources", "list", "--home", str(home.root))
    assert max(map(len, shown)) <= width
    listed = on_terminal(width, RUN, "domains", "list", "--home", str(home.root))
    assert "…" not in "".join(shown + listed)
    text = " ".join(shown)
    assert all(re.search(rf"(^| ){name}( |$)", text) for name in ("mdi", "mnist", "twemoji", "seed-7"))
    assert re.search(r"^dots +32 +40 +8 +2 +24", "\n".join(listed), re.MULTILINE)


@WIDTHS
@pytest.mark.slow
def test_the_status_of_a_study_has_learning_rates_whole_and_errors_on_lines_of_their_own(
    home: Home, tiny_domain: str, tiny_source: SourceModel, width: int
) -> None:
    paths = StudyPaths.of(home, "begun")
    write_spec(paths, resolve_study(home, "dots", "quickstart", name="begun", sources="seed-7").spec)
    spec = resolve_study(home, "dots", "quickstart", name="begun", sources="seed-7").spec
    ledger = Ledger(paths, spec)
    number, config = ledger.ask() or (0, spec.base)
    ledger.finish(number, config, "failed", ERROR)
    row = load(paths.evaluations).to_pylist()[0]
    lines = on_terminal(width, RUN, "status", "begun", "--home", str(home.root))
    assert f"trial 0: {ERROR}" in lines
    text = " ".join(lines)
    assert all(
        f"{row[column]:.4g}" in text.split() for column in ("config/optim/lr_g", "config/optim/lr_d") if column in row
    )
    assert max(map(len, lines[: lines.index(f"trial 0: {ERROR}")])) <= width


def test_a_wide_table_goes_on_below_with_its_first_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(["name", "number", "another", "words"], [["a", 0.000123456, 7, "one two three four five six"]])
    assert capsys.readouterr().out.splitlines() == [
        "name  number     another",
        "a     0.0001235  7",
        "",
        "name  words",
        "a     one two three four",
        "      five six",
    ]


def test_what_others_wrote_is_one_line_and_steers_no_terminal() -> None:
    assert in_a_line("a\n  b\x1b[2Jc\td") == "a b\\x1b[2Jc d"


def test_brackets_in_a_table_are_only_brackets(
    run: Run, home: Home, tiny_domain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = home.domain("dots") / "domain.json"
    facts.write_text(facts.read_text().replace('"test"', '"[/home/a] and [bold]b"'))
    assert "[/home/a] and [bold]b" in run("domains list")[1]


def test_a_table_in_a_pipe_is_not_cut_to_a_terminal(run: Run, home: Home, tiny_domain: str, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    facts = home.domain("dots") / "domain.json"
    facts.write_text(facts.read_text().replace('"test"', f'"{"x" * 80}"'))
    assert "x" * 80 in run("domains list")[1]
