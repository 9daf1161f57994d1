"""What another seed changes, by hand and on the page that says it."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.transfer.seeds import Twice, by_networks, lines, spread, trained_twice
from search.picking.arms import SCRATCH_ARM, Arm, as_it_is

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"
A, B, C = (Arm.finetuned(name, "both") for name in "abc")


def test_the_page_has_every_line_that_is_computed() -> None:
    said = PAGE.read_text().splitlines()
    found = list(lines(trained_twice()))
    assert len(found) > 10 and [line for line in found if line not in said] == []


def test_half_the_squared_difference_of_two_is_the_variance_of_one() -> None:
    logs = np.random.default_rng(0).normal(0, 0.1, (2, 20_000))
    assert spread(list(logs[1] - logs[0])) == pytest.approx(0.1, rel=0.02)


def test_order_regret_and_differences_are_what_one_works_out_by_hand() -> None:
    first = {A: 100.0, B: 200.0, C: 300.0, SCRATCH_ARM: 900.0, as_it_is("a"): 50.0}
    twice = Twice("t", first, {A: 220.0, B: 200.0, C: 300.0, SCRATCH_ARM: 900.0})
    assert (twice.order_kept, twice.regret) == (pytest.approx(0.5), pytest.approx(1.1))
    logs = by_networks([twice])
    assert logs["both"] == pytest.approx([math.log(2.2), 0, 0]) and logs["scratch"] == [0]
    assert len(logs["all"]) == 4, "a source as it is was trained by no seed"
