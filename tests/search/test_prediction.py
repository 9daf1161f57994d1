import math

import numpy as np
import pytest

from search.prediction import LEARNT, SENSE, Seen, centred, expected, fit, on_other_targets, predict, scaled, shipped
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


SOURCES = ("a", "b", "c", "d", "e")


def world(targets: int, w: np.ndarray, sigma: float, seed: int, tau: float = 0.0) -> list[Seen]:
    """Targets of the same five sources, whose scores follow the model."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((targets, 5, len(LEARNT)))
    u = tau * rng.standard_normal(5)
    return [Seen(SOURCES, each, 7 + rng.normal() + each @ w + u + sigma * rng.standard_normal(5)) for each in x]


def test_weights_are_found_again_within_their_errors() -> None:
    w = np.array([0.4, 0.0, -0.2, 0.0, -0.1, 0.0, 0.0])
    weights = fit(world(60, w, 0.1, seed=0, tau=0.2), "made up")
    errors = np.sqrt(np.diag(weights.covariance)) + 0.01  # those left out have none
    assert np.all(np.abs(np.array(weights.mean) / np.array(weights.spread) - w) < 4 * errors / np.array(weights.spread))
    assert weights.sigma == pytest.approx(0.1, rel=0.25)
    assert 0.1 < weights.tau < 0.4


def test_no_weight_goes_against_its_sense_even_where_it_would_explain_more() -> None:
    w = np.array([0.4, -0.3, 0.2, 0.0, 0.0, 0.0, 0.0])
    weights = fit(world(20, w, 0.05, seed=0), "made up")
    assert (np.array(weights.mean) * list(SENSE.values()) >= 0).all()
    assert weights.mean[1] == weights.mean[2] == 0 == weights.covariance[1][1]
    assert weights.mean[0] > 0.2


def parts_of(x: np.ndarray) -> dict[str, Part]:
    """Parts that `scaled` gives as `x`."""
    shares = (1.01 / (1 + np.exp(-x[2:5]))) - 0.005
    names = ("fd", "kd", "recall", "coverage", "precision", "own_fd", "images")
    values = [np.exp(x[0]), np.exp(x[1]), *shares, np.exp(x[5]), np.exp(x[6])]
    return {name: Part(value=float(value)) for name, value in zip(names, values, strict=True)}


@pytest.mark.slow
def test_nine_in_ten_intervals_hold_what_came_and_more_without_trials_elsewhere() -> None:
    rng = np.random.default_rng(1)
    held: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(24):
        w = np.array([0.05, 0.0, *-np.abs(rng.normal(0, 0.05, 3)), 0.0, 0.0])
        *seen, last = world(8, w, 0.05, seed, tau=0.1)
        found = {name: parts_of(x) for name, x in zip(SOURCES, last.x, strict=True)}
        weights = fit(seen, "made up")
        for known in (True, False):
            for number, told in enumerate(predict(found, NAMES, weights, seen if known else ()).values()):
                ratio = np.exp(last.y[number] - np.delete(last.y, number).min())
                held[known].append(told.low <= ratio <= told.high)
    assert 0.82 <= np.mean(held[True]) <= 0.97
    assert np.mean(held[False]) >= 0.9  # few sources tell little of tau: rather too wide


def test_what_a_source_did_elsewhere_moves_it_and_a_source_without_has_a_wider_interval() -> None:
    found = {name: parts(800) for name in ("a", "b", "new")}
    x = np.array([scaled(parts(700), NAMES)] * 2)
    elsewhere = [Seen(("a", "b"), x, np.log([100.0, 130.0]))] * 3
    told = predict(found, NAMES, shipped(), elsewhere)
    assert told["a"].ratio < told["b"].ratio
    width = {name: np.log(told[name].high / told[name].low) for name in found}
    assert width["new"] > 1.1 * width["b"]
    effects = on_other_targets(shipped(), elsewhere)
    assert effects["a"].ratio < 1 < effects["b"].ratio and effects["a"].targets == 3
    assert effects["a"].ratio * effects["b"].ratio == pytest.approx(1)  # of equals, only their difference is known
    assert set(effects) == {"a", "b"}


def test_trials_elsewhere_that_likeness_explains_say_nothing_of_a_source() -> None:
    weights = shipped()
    x = np.array([scaled(parts(700), NAMES), scaled(parts(900), NAMES)])
    y = centred(x) / np.array(weights.spread) @ np.array(weights.mean)
    effects = on_other_targets(weights, [Seen(("a", "b"), x, 7 + y)])
    assert effects["a"].ratio == pytest.approx(1) == effects["b"].ratio


def test_the_source_whose_samples_are_far_nearer_is_told_apart_and_equals_are_not() -> None:
    far = predict({"near": parts(500), "far": parts(5000, recall=0.001, coverage=0.01)}, NAMES, shipped())
    assert far["near"].ratio < 1 < far["far"].ratio
    assert far["near"].best + far["far"].best == pytest.approx(1)
    equal = predict({"one": parts(800), "other": parts(800)}, NAMES, shipped())
    assert not equal["one"].separated and equal["one"].best == pytest.approx(0.5, abs=0.05)


def test_a_part_that_was_not_measured_is_taken_for_the_mean() -> None:
    found = {"a": parts(800), "b": parts(900, coverage=None), "c": parts(1000)}
    x = centred(np.array([scaled(each, NAMES) for each in found.values()]))
    assert np.isfinite(x).all() and x[1, LEARNT.index("coverage")] == 0
    assert predict(found, NAMES, shipped()).keys() == found.keys()


def test_how_two_sources_compare_is_the_same_whoever_else_is_there() -> None:
    rng = np.random.default_rng(0)
    two = {"a": parts(800, images=9000), "foreign": parts(805, own_fd=None, images=None)}
    x = np.array([scaled(parts(700), NAMES)] * 3)
    elsewhere = [Seen(("a", "b", "c"), x, np.log([100.0, 130.0, 90.0]))]
    apart = []
    for count in range(4):
        others = {f"o{n}": parts(900 + 2000 * rng.random(), own_fd=300.0, images=300) for n in range(10 * count)}
        told = expected(others | two, NAMES, shipped(), elsewhere)
        apart.append(told["a"] - told["foreign"])
    assert apart == pytest.approx([apart[0]] * 4) and apart[0] != 0


def test_of_no_source_nothing_is_expected() -> None:
    assert expected({}, ("fd", "kd"), shipped()) == {}


def test_a_source_that_lacks_its_own_facts_is_typical_of_those_that_were_learnt_from() -> None:
    weights = shipped()
    own = math.exp(weights.typical["own distance"])
    known = parts(800, own_fd=own, images=math.exp(weights.typical["images"]))
    told = expected({"known": known, "not": parts(800, own_fd=None, images=None)}, NAMES, weights)
    assert told["known"] == pytest.approx(told["not"])


def test_what_was_done_elsewhere_counts_in_what_is_expected() -> None:
    x = np.array([scaled(parts(700), NAMES)] * 2)
    elsewhere = [Seen(("a", "b"), x, np.log([100.0, 130.0]))] * 3
    told = expected({"b": parts(800), "a": parts(800), "new": parts(800)}, NAMES, shipped(), elsewhere)
    assert told["a"] < told["new"] < told["b"]


def test_equal_inputs_predict_equal_numbers() -> None:
    found = {"a": parts(800), "b": parts(900)}
    assert predict(found, NAMES, shipped()) == predict(found, NAMES, shipped())


def test_what_ships_is_of_these_parts_and_says_what_it_was_learnt_from() -> None:
    weights = shipped()
    assert weights.parts == LEARNT
    assert len(weights.mean) == len(weights.spread) == len(weights.covariance) == len(LEARNT)
    assert weights.about
    assert (np.array(weights.mean) * list(SENSE.values()) >= 0).all()
