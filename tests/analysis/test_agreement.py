import math

import pandas as pd
import pytest
from scipy.stats import spearmanr

from analysis.findings.agreement import agreement, disagreements
from analysis.tables import metric_of


def test_agreement_is_spearmans_correlation_of_costs(study):
    trials = pd.DataFrame({"fd": [10.0, 20, 30, 15, 20], "iw": [-2.0, -3, -1, -6, -3]})
    expected = spearmanr(trials["fd"], -trials["iw"]).statistic
    assert agreement(trials, metric_of("fd", study.spec), metric_of("iw", study.spec)) == pytest.approx(expected)


@pytest.mark.parametrize("fd", [[], [1.0], [1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 2.0, math.nan]])
def test_agreement_takes_three_trials_that_differ(study, fd):
    trials = pd.DataFrame({"fd": fd, "iw": [-1.0, -2.0, -3.0][: len(fd)]}, dtype=float)
    assert agreement(trials, metric_of("fd", study.spec), metric_of("iw", study.spec)) is None


def test_disagreements_put_first_what_the_two_rank_furthest_apart(study):
    trials = pd.DataFrame({"trial": range(5), "fd": [10.0, 20, 30, 40, math.nan], "iw": [-4.0, -1, -2, -3, 0]})
    found = disagreements(trials, metric_of("fd", study.spec), metric_of("iw", study.spec))
    columns = ["trial", "first_rank", "second_rank", "apart"]
    assert found[columns].values.tolist() == [[0, 1, 4, 3], [1, 2, 1, 1], [2, 3, 2, 1], [3, 4, 3, 1]]
