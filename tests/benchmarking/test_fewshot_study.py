"""The study of few-shot methods at equal seconds: what its arms have in common."""

import pytest

from benchmarks.methods.fewshot_study import ARMS, TABLES, comparison, config_of
from spaces.suggest import FEWSHOT, UNTRAINED


@pytest.mark.parametrize("table", TABLES)
def test_all_arms_are_measured_alike_on_the_same_images(table: str) -> None:
    configs = {arm: config_of(table, arm, 1, 640) for arm in ARMS}
    assert len({(c.target, c.data, c.budget, c.protocol, c.seed) for c in configs.values()}) == 1
    assert {c.source for arm, c in configs.items() if arm not in UNTRAINED} == {table}
    assert {c.method for c in configs.values()} == {*FEWSHOT, "funit"}


def test_what_trains_nothing_is_run_once() -> None:
    runs = [*comparison("glyphs").plan()]
    assert len(runs) == len(set(runs)) == 2 + 3 * (len(ARMS) - 2)
    assert {arm for arm, seed in runs if seed} == set(ARMS) - set(UNTRAINED)
