"""The page of findings says what its benchmark computes."""

import re
from pathlib import Path

import pytest

from benchmarks.findings import Interval, findings, verdict

PAGE = Path(__file__).parents[1] / "docs" / "findings.md"
INTERVAL = r"\(-?\d\.\d\d to -?\d\.\d\d"


def test_every_interval_of_the_page_is_one_that_is_computed() -> None:
    said = " ".join(PAGE.read_text().split())
    claimed = set(re.findall(INTERVAL, said.replace(", ", " (")))
    computed = set(re.findall(INTERVAL, " ".join(each.numbers for each in findings())))
    assert len(claimed) >= 10 and claimed <= computed


@pytest.mark.parametrize(
    ("low", "high", "more", "said"),
    [
        (1.1, 1.4, True, "reproduced"),
        (0.7, 0.9, True, "contradicted"),
        (0.7, 0.9, False, "reproduced"),
        (0.9, 1.2, True, "undecided"),
    ],
)
def test_a_claim_stands_where_its_interval_excludes_the_contrary(
    low: float, high: float, more: bool, said: str
) -> None:
    assert verdict(Interval((low + high) / 2, low, high), 1.0, more) == said


def test_an_interval_is_students() -> None:
    found = Interval.of([1.0, 2.0, 3.0])
    assert (found.mean, found.high) == (pytest.approx(2.0), pytest.approx(2.0 + 4.302653 / 3**0.5))
