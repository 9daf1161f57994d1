"""Prose is readable in a terminal: Markdown has lines of at most 100 characters, tables and addresses apart.

Commands stand in blocks that can be copied, and what is named of the repository is there.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "docs").glob("*.md"),
    ROOT / "benchmarks" / "RESULTS.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_prose_are_at_most_100_characters(page: Path) -> None:
    lines = page.read_text().splitlines()
    long = [line for line in lines if len(line) > 100 and not line.startswith("|") and max(map(len, line.split())) < 80]
    assert not long


EVERY_PAGE = [*PAGES, ROOT / "benchmarks" / "recorded_transfer" / "CARD.md"]
FOLDERS = "analysis|benchmarks|deploy|docs|search|spaces|tests|trainables|verbs"
FENCE = r"(?:\d+\. )? *```"
BLOCK = re.compile(rf"^{FENCE}.*?^ *```$", flags=re.DOTALL | re.MULTILINE)


def code(page: Path) -> list[str]:
    """What stands in blocks and between backticks, with single spaces."""
    text = page.read_text()
    found = [*BLOCK.findall(text), *re.findall(r"`([^`]+)`", BLOCK.sub("", text))]
    return [re.sub(r"\s+", " ", each) for each in found]


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_fences_stand_on_lines_of_their_own_and_in_pairs(page: Path) -> None:
    """A block that was filled like a paragraph is one line of commands that nobody can run."""
    fences = [line for line in page.read_text().splitlines() if "```" in line]
    assert not [line for line in fences if not re.fullmatch(rf"{FENCE}[a-z]*", line)]
    opened, closed = fences[::2], fences[1::2]
    assert [line.index("`") for line in opened] == [line.index("`") for line in closed]
    assert all(line.strip() == "```" for line in closed)


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.name)
def test_files_and_modules_of_the_repository_that_are_named_are_there(page: Path) -> None:
    """All but those that stand for any: `spaces/methods/NAME.py`."""
    named = [path for each in code(page) for path in re.findall(rf"(?<![\w./~-])(?:{FOLDERS})/[\w./*-]*\w", each)]
    modules = [name for each in code(page) for name in re.findall(r"python -m (benchmarks[\w.]*\w)", each)]
    places = [path for path in named if "NAME" not in path] + [f"{name.replace('.', '/')}*" for name in modules]
    linked = re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", page.read_text())
    assert not [place for place in places if not any(ROOT.glob(place))]
    assert not [link for link in linked if not (page.parent / link).exists()]
