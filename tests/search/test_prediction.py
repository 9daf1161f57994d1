import numpy as np
import pytest

from search.prediction import LEARNT, Seen, centred, fit, predict, scaled, shipped
from trainables.sources.likeness import Part

NAMES = ("fd", "kd")


def parts(fd: float, **others: float | None) -> dict[str, Part]:
    values = {
        "fd": fd,
        "kd": fd / 200,
        "recall": 0.1,
        "coverage": 0.5,
        "precision": 0.8,
        "own_fd": 900.0,
        "images": 3000,
    }
    return {name: Part(value=value) for name, value in (values | others).items()}


def world(targets: int, w: np.ndarray, sigma: float, seed: int) -> list[Seen]:
    """Targets of five sources each, whose scores follow the model."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((targets, 5, len(LEARNT)))
    return [Seen(each, 7 + rng.normal() + each @ w + sigma * rng.standard_normal(5)) for each in x]


def test_weights_are_found_again_within_their_errors() -> None:
    w = np.array([0.4, 0.0, -0.2, 0.0, 0.1, 0.0, 0.0])
    weights = fit(world(60, w, 0.1, seed=0), "made up")
    errors = np.sqrt(np.diag(weights.covariance))
    assert np.all(np.abs(np.array(weights.mean) / np.array(weights.spread) - w) < 4 * errors / np.array(weights.spread))
    assert weights.sigma == pytest.approx(0.1, rel=0.25)


def test_of_single_predictions_nine_in_ten_hold_what_came() -> None:
    rng = np.random.default_rng(1)
    held = []
    for seed in range(40):
        w = np.array([0.25, *rng.normal(0, 0.2, 6)])
        seen = world(7, w, 0.1, seed)
        weights, last = fit(seen[:-1], "made up"), seen[-1]
        x = centred(last.x) / np.array(weights.spread)
        draws = rng.multivariate_normal(weights.mean, weights.covariance, 2000) @ x.T
        draws = draws + weights.sigma * rng.standard_normal(draws.shape)
        low, high = np.percentile(draws[:, 0] - draws[:, 1], [5, 95])
        held.append(low < last.y[0] - last.y[1] < high)
    assert 0.75 <= np.mean(held) <= 1


def test_the_source_whose_samples_are_far_nearer_is_told_apart_and_equals_are_not() -> None:
    far = predict({"near": parts(500), "far": parts(5000, recall=0.001, coverage=0.01)}, NAMES, shipped())
    assert far["near"].ratio < 1 < far["far"].ratio
    assert far["near"].best + far["far"].best == pytest.approx(1)
    equal = predict({"one": parts(800), "other": parts(800)}, NAMES, shipped())
    assert not equal["one"].separated and equal["one"].best == pytest.approx(0.5, abs=0.05)


def test_a_part_that_a_source_lacks_is_taken_for_the_mean() -> None:
    found = {"a": parts(800), "b": parts(900, own_fd=None), "c": parts(1000)}
    x = centred(np.array([scaled(each, NAMES) for each in found.values()]))
    assert np.isfinite(x).all() and x[1, LEARNT.index("own distance")] == 0
    assert predict(found, NAMES, shipped()).keys() == found.keys()


def test_equal_inputs_predict_equal_numbers() -> None:
    found = {"a": parts(800), "b": parts(900)}
    assert predict(found, NAMES, shipped()) == predict(found, NAMES, shipped())


def test_what_ships_is_of_these_parts_and_says_what_it_was_learnt_from() -> None:
    weights = shipped()
    assert weights.parts == LEARNT
    assert len(weights.mean) == len(weights.spread) == len(weights.covariance) == len(LEARNT)
    assert weights.about
