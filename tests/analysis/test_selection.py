import numpy as np
import pytest
from scipy.stats import ttest_ind

from analysis.findings.selection import left


def test_of_one_configuration_a_side_it_is_the_t_interval_of_equal_spreads() -> None:
    ours, theirs = (-60.0, -75.0, -66.0), (-110.0, -140.0)
    expected = ttest_ind(ours, theirs).confidence_interval(0.95)
    found = left([ours], [theirs], -1, is_ratio=False)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=0.1)
    assert found.expected == pytest.approx(58, rel=0.03)


def test_one_seed_tells_nothing_of_chance() -> None:
    assert left([(1.0,)], [(6.0, 7.0)], 1, is_ratio=True) is None
    assert left([(1.0,)], 6.0, 1, is_ratio=True) is None


def test_equal_seeds_leave_the_whole_difference() -> None:
    found = left([(1.0, 1.0)], [(6.0, 6.0)], 1, is_ratio=False)
    assert found is not None and (found.expected, found.low, found.high) == (5, 5, 5)


def test_a_score_without_chance_adds_none() -> None:
    seeds = [(50.0, 52.0, 54.0, 50.0, 52.0, 54.0)]
    sure, unsure = left(seeds, 80.0, 1, is_ratio=False), left(seeds, [(78.0, 82.0)], 1, is_ratio=False)
    assert sure is not None and unsure is not None
    assert sure.high - sure.low < unsure.high - unsure.low


def test_the_best_of_equals_is_drawn_to_the_others_and_one_far_ahead_is_not() -> None:
    rng = np.random.default_rng(0)
    others = [tuple(rng.normal(100, 5, 2)) for _ in range(8)]
    lucky, really = (left([best, *others], 100.0, 1, is_ratio=True) for best in ((90.0, 94.0), (40.0, 43.0)))
    assert lucky is not None and really is not None
    assert lucky.expected < 6  # of the 8 that were measured
    assert really.expected == pytest.approx(58.5, rel=0.05) and really.low > 40


@pytest.mark.parametrize("seeds", [2, 3])
def test_in_worlds_where_nothing_is_better_it_is_claimed_no_more_often_than_promised(seeds: int) -> None:
    rng, worlds, claims, gains = np.random.default_rng(seeds), 200, 0, []
    for _ in range(worlds):
        ours, theirs = rng.normal(0, 0.1, (9, seeds)), rng.normal(0, 0.1, (1, seeds))
        ours = ours[np.argsort(ours.mean(1))]
        found = left(np.exp(ours).tolist(), np.exp(theirs).tolist(), 1, is_ratio=True)
        assert found is not None
        claims += found.low > 0
        gains.append(found.expected / 0.1)
    assert claims <= 11  # 5 are promised, and 11 come to that by chance once in 100 times
    assert abs(np.mean(gains)) < 0.4  # standard deviations of a training; as measured it is about 1
