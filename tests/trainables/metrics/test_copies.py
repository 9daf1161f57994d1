import numpy as np
import pytest

from spaces.errors import UserError
from spaces.protocol import IwProtocol
from trainables.metrics.copies import copy_rate

PROTOCOL = IwProtocol()


def cloud(n, seed, dims=3):
    return np.random.default_rng(seed).normal(size=(n, dims))


def test_copies_alone_give_one_and_unseen_images_about_the_floor():
    held_out, trained = cloud(200, 0), cloud(300, 1)
    copies, _ = copy_rate(trained[:100], held_out, trained, PROTOCOL)
    fresh, floor = copy_rate(cloud(400, 2), held_out, trained, PROTOCOL)
    assert (copies.value, copies.se) == (1, 0)
    assert abs(fresh.value - floor.value) < 3 * np.hypot(fresh.se, floor.se)
    assert 0.005 <= floor.value <= 0.03


def test_the_share_of_copies_among_samples_is_found():
    held_out, trained = cloud(200, 0), cloud(300, 1)
    mixed = np.concatenate([trained[:80], cloud(120, 2) + 50])  # the others lie far from everything
    value, _ = copy_rate(mixed, held_out, trained, PROTOCOL)
    assert value.value == pytest.approx(0.4)
    assert value.se == pytest.approx(np.sqrt(0.4 * 0.6 / 200), rel=0.6)  # of a share of 200 samples, from 10 folds


def test_a_copy_is_nearer_than_one_in_a_hundred_held_out_images():
    """On a line, training at 0: held-out images lie at 1, 2, ..., 1,000, so what is nearer than about 10 is a copy."""
    held_out = np.arange(1.0, 1001)[:, None]
    near, far = np.full((20, 1), 9.0), np.full((20, 1), 30.0)
    rates = [copy_rate(samples, held_out, np.zeros((1, 1)), PROTOCOL)[0].value for samples in (near, far)]
    assert rates == [1, 0]


def test_the_standard_error_is_that_of_new_draws():
    trained = cloud(100, 9)
    found = [copy_rate(0.7 * cloud(150, seed), cloud(150, 100 + seed), trained, PROTOCOL) for seed in range(60)]
    for side in (0, 1):
        scatter = np.std([pair[side].value for pair in found], ddof=1)
        stated = np.sqrt(np.mean([pair[side].se ** 2 for pair in found]))
        assert 0.6 < stated / scatter < 2.2


def test_too_few_images_are_refused_with_their_counts():
    with pytest.raises(UserError, match="3 samples, 9 held-out and 5 training images"):
        copy_rate(cloud(3, 0), cloud(9, 1), cloud(5, 2), PROTOCOL)
    with pytest.raises(UserError, match="9 samples, 9 held-out and 0 training images"):
        copy_rate(cloud(9, 0), cloud(9, 1), cloud(0, 2), PROTOCOL)
