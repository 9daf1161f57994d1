import numpy as np
import pandas as pd
import pytest

from analysis.findings.parameters import importance, interaction, is_log, level, method, numeric, parameters
from analysis.tables import Metric

FD = Metric("fd", "FD")


def trials(n, seed=0):
    rng = np.random.default_rng(seed)
    sources = [("scratch", "none"), ("mdi", "both"), ("mdi", "generator")]
    chosen = [sources[i] for i in rng.integers(0, 3, n)]
    frame = pd.DataFrame(
        {
            "source": [source for source, _ in chosen],
            "transfer/parts": [parts for _, parts in chosen],
            "optim/lr_g": 10 ** rng.uniform(-4, -2, n),
            "seed": rng.integers(0, 3, n),
        }
    )
    return frame.assign(fd=np.where(frame["source"] == "mdi", 500, 3000) + rng.normal(0, 20, n))


@pytest.mark.parametrize("n", [20, 150])
def test_what_decides_the_score_is_most_important(n):
    there = trials(n)
    shares = importance(there, ["source", "optim/lr_g", "seed"], FD)
    assert next(iter(shares)) == "source"
    assert sum(shares.values()) == pytest.approx(1)


def test_importance_is_the_same_each_time():
    there = trials(20)
    names = ["source", "transfer/parts", "optim/lr_g"]
    assert importance(there, names, FD) == importance(there, names, FD)


@pytest.mark.parametrize(("n", "names"), [(7, ["source", "seed"]), (20, ["source"]), (0, [])])
def test_too_few_trials_or_parameters_have_no_importance(n, names):
    assert importance(trials(n), names, FD) == {}


def test_equal_scores_have_no_importance():
    assert importance(trials(20).assign(fd=1.0), ["source", "seed"], FD) == {}


def test_fanova_gives_way_to_ped_anova_where_it_would_take_long():
    assert (method(100), method(101)) == ("fANOVA", "PED-ANOVA")


def test_an_interaction_is_what_the_product_explains_beyond_the_two(study):
    a, b = (grid.ravel() for grid in np.meshgrid([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]))
    apart = interaction(pd.DataFrame({"a": a, "b": b, "fd": 3 * a + b}), "a", "b", FD)
    assert apart.apart == pytest.approx(apart.together)
    both = interaction(pd.DataFrame({"a": a, "b": b, "fd": (a - 2) * (b - 2) + 0.01 * a}), "a", "b", FD)
    assert both.together - both.apart > 0.5


def test_an_interaction_takes_eight_trials():
    assert interaction(pd.DataFrame({"a": [1.0] * 7, "b": [1.0] * 7, "fd": range(7)}), "a", "b", FD) is None


def test_scores_are_taken_where_every_trial_has_one(study):
    images, there = level(study.evidence.rows, FD)
    assert images == 200
    assert there.set_index("trial")["fd"].to_dict() == {0: 90, 7: 95, 1: 130, 2: 170, 4: 190, 3: 220}


def test_parameters_are_what_varies_source_and_networks_first(study):
    assert parameters(study.evidence.rows, study.spec) == ["source", "transfer/parts", "optim/lr_g", "seed"]


def test_learning_rates_lie_on_a_logarithmic_axis_and_names_on_none():
    there = trials(20)
    assert is_log(there["optim/lr_g"])
    assert not is_log(there["source"])
    assert numeric(there, list(there.columns[:4])) == ["optim/lr_g"]
