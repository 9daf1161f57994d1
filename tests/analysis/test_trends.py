import math
from typing import Any

import numpy as np
import pytest

from analysis.answer import curves_of, lines
from analysis.findings.trends import trends
from search.records.results import load


def noisy(seed: int, falls: list[float], noise: float = 0.02) -> list[float]:
    """Scores that fall so, in logs, an evaluation each 100 images, with noise."""
    rng = np.random.default_rng(seed)
    return [float(100 * math.exp(fall + noise * rng.standard_normal())) for fall in falls]


@pytest.fixture
def curved(new_study: Any) -> Any:
    """dogs falls to the end, mdi never moves, twemoji fell at first, scratch rises in the end."""
    study = new_study()
    for seed in (0, 1):
        study.trial(4 * seed, "dogs", "both", noisy(seed, [0, -0.3, -0.5, -0.65]), seed=seed)
        study.trial(4 * seed + 1, "mdi", "both", noisy(2 + seed, [0, 0, 0, 0]), seed=seed)
        study.trial(4 * seed + 2, "twemoji", "both", noisy(4 + seed, [0, -0.4, -0.42, -0.42]), seed=seed)
        study.trial(4 * seed + 3, "scratch", "none", noisy(6 + seed, [1.0, 0.8, 0.75, 1.2]), seed=seed)
    return study


def test_each_arm_is_told_by_its_curve(curved: Any) -> None:
    found = {trend.side.source: trend for trend in curved.data.trends}
    assert {name: trend.state for name, trend in found.items()} == {
        "dogs": "improving",
        "mdi": "flat",
        "twemoji": "level",
        "scratch": "worsening",
    }
    dogs = found["dogs"]
    assert (dogs.side.trials, dogs.first, dogs.before, dogs.last) == ((0, 4), 100, 300, 400)
    assert dogs.step == pytest.approx(math.exp(-0.15) - 1, abs=0.05)


@pytest.mark.slow
def test_in_curves_of_noise_alone_hardly_any_falls_or_rises(new_study: Any) -> None:
    study = new_study(trials=40)
    for number in range(40):
        study.trial(number, "mdi", "both", noisy(number, [0] * 5, noise=0.1), optim={"lr_g": 1e-4 * (number + 1)})
    rows, metric = study.data.rows, study.data.metric
    moved = 0
    for number in range(40):  # each as the only one of its arm, with the noise of all
        alone = rows.assign(source=np.where(rows["trial"] == number, "alone", rows["source"]))
        (own,) = [trend for trend in trends(alone, metric) if trend.side.source == "alone"]
        moved += own.state in ("improving", "worsening")
    assert moved <= 6  # 2 of 40 are to be expected


def test_the_answer_says_what_the_curves_carry(curved: Any) -> None:
    said = lines(load(curved.paths.evaluations), curved.spec)[-1]
    assert said.startswith("by the curves, from dogs, both networks: still falling (")
    assert "from scratch: rising again (" in said
    assert said.endswith("others: 1 level at its end, 1 flat from the start; so the order at a longer budget is open")
    first = curves_of(load(curved.paths.evaluations), curved.spec)[0]
    assert (first["source"], first["state"], first["says"]) == ("dogs", "improving", "still falling")


def test_of_too_few_evaluations_nothing_is_claimed(new_study: Any) -> None:
    study = new_study()
    study.trial(0, "mdi", "both", [100, 50])
    study.trial(1, "scratch", "none", [200, 100])
    assert study.data.trends == []
    assert (
        "whether curves still move where they end is not known" in lines(load(study.paths.evaluations), study.spec)[-1]
    )


def test_an_arm_that_never_left_its_source_is_flat_from_the_start(new_study: Any) -> None:
    study = new_study()
    for seed in (0, 1):
        study.trial(2 * seed, "mdi", "both", noisy(seed, [0, 0, 0, 0]), seed=seed, before=101.0)
        study.trial(2 * seed + 1, "dogs", "both", noisy(4 + seed, [-0.5] * 4), seed=seed, before=101.0)
    found = {trend.side.source: (trend.state, trend.first) for trend in study.data.trends}
    assert found == {"mdi": ("flat", 0), "dogs": ("level", 0)}


def test_a_last_score_of_more_images_is_no_step_of_a_curve_that_depends_on_that(new_study: Any, by_iw: Any) -> None:
    study = new_study(base=by_iw)
    for seed in range(3):
        iw = [-0.50, -0.51, -0.50, -0.51, -0.50, -0.40]
        study.trial(seed, "mdi", "both", [None] * 6, iw=iw, drawn=[256] * 5 + [1000], seed=seed)
    (trend,) = trends(study.data.rows, study.data.metric)
    assert (trend.state, trend.last) == ("flat", 500)


def test_what_a_distance_falls_by_from_a_rung_to_the_end_is_no_training(new_study: Any) -> None:
    study = new_study()
    for seed in range(3):
        quiet = noisy(
            seed, [0, 0, 0, 0, 0, -0.02], noise=0.001
        )  # the end is of all images, and lies 2 % lower for that
        study.trial(2 * seed, "mdi", "both", quiet, drawn=[256] * 5 + [1000], seed=seed)
        falling = noisy(10 + seed, [-0.5 * math.log(images) for images in range(1, 7)], noise=0.001)
        study.trial(2 * seed + 1, "dogs", "both", falling, drawn=[256] * 5 + [1000], seed=seed)
    found = {trend.side.source: trend.state for trend in study.data.trends}
    assert found == {"mdi": "flat", "dogs": "improving"}
