"""The page of findings says what its benchmark computes."""

import math
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.recorded_transfer.export import TABLE
from benchmarks.search_efficiency.table import Cell, Run, Target
from benchmarks.transfer.findings import (
    Interval,
    compared,
    fewer_images,
    main,
    of_table,
    recorded,
    scores,
    verdict,
    whole_waves,
)
from benchmarks.transfer.longer import ratios
from search.picking.arms import SCRATCH_ARM, Arm
from spaces.presets import small

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"
INTERVAL = r"\(-?\d\.\d\d to -?\d\.\d\d"


def test_every_interval_of_the_page_is_one_that_is_computed() -> None:
    said = " ".join(PAGE.read_text().split())
    claimed = set(re.findall(INTERVAL, said.replace(", ", " (")))
    waves = whole_waves(pq.read_table(TABLE))
    found = [*of_table(recorded(waves[:1])), *of_table(recorded(waves)), *fewer_images()]
    computed = set(re.findall(INTERVAL, " ".join([*(each.numbers for each in found), *ratios()])))
    assert len(claimed) >= 10 and claimed <= computed


def test_the_command_prints_a_table_of_the_first_rates_and_one_of_few_images(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main()
    printed = capsys.readouterr().out
    assert "At the first learning rates\n\n| claim" in printed and "Few images\n\n| claim" in printed


def test_a_training_that_did_not_come_to_its_end_has_no_last_score() -> None:
    def cell(arm: Arm, score: float, alive: bool, rate: float) -> Cell:
        return Cell(arm, (rate, rate), (Run((10,), (score,), (1.0,), alive),), small("t", 32))

    both, generator = Arm.finetuned("a", "both"), Arm.finetuned("a", "generator")
    cells = [cell(both, 4.0, True, 1e-3), cell(both, 1.0, False, 3e-3), cell(generator, 2.0, False, 1e-3)]
    target = Target("t", (*cells, cell(SCRATCH_ARM, 8.0, True, 1e-3)), 10, {}, {}, ())
    assert scores(target) == {both: 4.0, generator: math.inf, SCRATCH_ARM: 8.0}
    assert compared([target, target], "generator", "both")[0].mean == math.inf
    assert compared([target, target], "both", "generator")[0].mean == 0


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
