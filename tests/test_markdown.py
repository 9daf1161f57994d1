"""Prose is readable in a terminal: Markdown has lines of at most 100 characters, tables and addresses apart."""

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
