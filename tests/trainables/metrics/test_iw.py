import math

import numpy as np
import pytest
import torch

from spaces.errors import UserError
from spaces.protocol import IwProtocol
from trainables.metrics.iw import independent_wasserstein

CPU = torch.device("cpu")
QUICK = IwProtocol(width=4, steps=25, batch=16, lr=5e-3, images=64)


def blobs(n, seed, shift=0, size=32):
    """Images of one smooth random colour each, brighter by `shift`."""
    rng = np.random.default_rng(seed)
    colours = rng.normal(110, 20, (n, 3, 1, 1)) + rng.normal(0, 10, (n, 3, size, size)) + shift
    return colours.clip(0, 255).astype(np.uint8)


def score(real, fake, **changes):
    return independent_wasserstein(real, fake, QUICK.model_copy(update=changes), CPU)


@pytest.fixture(scope="module")
def real():
    return blobs(64, seed=0)


def test_scores_fall_with_the_distance_and_are_near_zero_without_one(real):
    same, near, far = (score(real, blobs(64, seed=1, shift=shift)) for shift in (0, 50, 90))
    assert far < near < 0
    assert abs(same) < abs(near) / 4


def test_same_seed_gives_the_same_bits_whatever_the_global_rng(real):
    fake = blobs(64, seed=1)
    torch.manual_seed(1)
    first, state = score(real, fake, steps=5), torch.get_rng_state()
    torch.manual_seed(2)
    assert score(real, fake, steps=5) == first
    assert score(real, fake, steps=5, seed=1) != first
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_are_left_alone_and_no_gradient_mode_is_needed(real):
    fake, before = blobs(64, seed=1), real.copy()
    expected = score(real, fake, steps=5)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert score(real, fake, steps=5) == expected
    assert np.array_equal(real, before)


def test_a_critic_that_knows_its_training_half_by_heart_gains_nothing_by_it():
    """Noise against noise: all that a critic can learn is which image was which."""
    rng = np.random.default_rng(0)
    real, fake = (rng.integers(0, 256, (16, 3, 32, 32), dtype=np.uint8) for _ in range(2))
    heart = {"steps": 40, "batch": 8}
    assert abs(score(real, fake, **heart)) < 0.5
    # The same images again in both halves: what it memorises now counts.
    doubled = score(np.repeat(real, 8, axis=0), np.repeat(fake, 8, axis=0), images=128, **heart)
    assert doubled < -1


def test_at_most_the_protocols_images_are_used_in_each_set():
    real, fake = blobs(300, seed=0), blobs(8, seed=1)
    assert math.isfinite(score(real, fake, images=4, steps=1))


@pytest.mark.parametrize("count", [4, 5])
def test_few_images_lower_the_batch(count):
    assert math.isfinite(score(blobs(count, seed=0), blobs(9, seed=1), steps=2))


def test_too_few_images_are_refused_with_their_count(real):
    with pytest.raises(UserError, match="3 generated images; it needs 4"):
        score(real, real[:3])
    with pytest.raises(UserError, match="0 real images"):
        score(real[:0], real)


def test_other_resolutions_are_refused():
    with pytest.raises(UserError, match="16 pixels wide; its critic takes 32, 64, 128"):
        score(blobs(8, seed=0, size=16), blobs(8, seed=1, size=16))


def test_a_diverged_critic_scores_nan(real):
    assert math.isnan(score(real, real, lr=1e30, steps=3))
