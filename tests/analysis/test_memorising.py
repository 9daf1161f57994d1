import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from analysis.findings.memorising import share_nearer


@pytest.mark.parametrize(
    ("samples", "held_out", "share"), [([0, 0], [1, 2], 1), ([3, 4], [1, 2], 0), ([1, 3], [2, 2], 0.5), ([1], [1], 0.5)]
)
def test_the_share_of_pairs_in_which_the_sample_is_nearer(samples, held_out, share):
    assert share_nearer(samples, held_out) == share


def test_it_is_mann_whitneys_statistic_over_the_number_of_pairs():
    rng = np.random.default_rng(0)
    samples, held_out = rng.normal(1, 1, 64), rng.normal(1.2, 1, 50)
    assert share_nearer(samples, held_out) == pytest.approx(mannwhitneyu(held_out, samples).statistic / (64 * 50))
