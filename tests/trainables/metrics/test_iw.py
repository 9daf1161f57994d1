import numpy as np
import pytest

from spaces.errors import UserError
from spaces.protocol import IwProtocol
from trainables.metrics.iw import folds, independent_wasserstein, jackknife_error


def cloud(n, seed, shift=0.0, dims=6):
    """Normal features (n, dims), moved along the first by `shift` standard deviations."""
    return np.random.default_rng(seed).normal(size=(n, dims)) + shift * np.eye(dims)[0]


def score(real, fake, **changes):
    return independent_wasserstein(real, fake, IwProtocol(**changes))


def test_scores_fall_with_the_distance_by_many_standard_errors():
    real = cloud(120, 0)
    near, far = (score(real, cloud(200, 1, shift)) for shift in (1, 4))
    assert far.value < near.value < 0
    assert near.value - far.value > 5 * np.hypot(near.se, far.se)


def test_the_value_never_goes_below_minus_the_wasserstein_distance_that_it_bounds():
    """Moved copies: each lies `shift` from its original, so the distance is at most that; the unit is the reals' spread."""
    for shift in (0.2, 1, 5):
        real = cloud(60, 0)
        moved = real + shift * np.eye(6)[0]
        unit = np.sqrt(real.var(0).sum())
        # no critic is scored on what it was fitted to: folds of 1-Lipschitz critics hold up to the samples' noise
        assert score(real, moved).value > -shift / unit - 2 * score(real, moved).se


def test_for_real_images_it_is_zero_within_its_error_although_critics_fit_their_own_folds_by_heart():
    found = [score(cloud(30, seed), cloud(60, 100 + seed), ridge=1e-3) for seed in range(30)]
    ratios = np.array([one.value / one.se for one in found])
    assert abs(ratios.mean()) < 3 / np.sqrt(30)
    assert (abs(ratios) < 2).mean() > 0.8


@pytest.mark.parametrize("shift", [0.5, 1.5])
@pytest.mark.slow
def test_the_standard_error_is_that_of_new_draws_of_both_sides(shift):
    found = [score(cloud(40, seed), cloud(60, 100 + seed, shift), folds=8) for seed in range(60)]
    scatter = np.std([one.value for one in found], ddof=1)
    stated = np.sqrt(np.mean([one.se**2 for one in found]))
    assert 0.8 < stated / scatter < 2  # the jackknife errs on the side of caution


def test_the_error_of_a_mean_is_the_textbooks():
    values = np.random.default_rng(0).normal(size=20)
    without = [np.delete(values, k).mean() for k in range(20)]
    assert jackknife_error(without) == pytest.approx(values.std(ddof=1) / np.sqrt(20))


def test_folds_are_of_equal_size_and_drawn_by_the_seed():
    fold = folds(23, 5, seed=0)
    assert sorted(np.bincount(fold)) == [4, 4, 5, 5, 5]
    assert np.array_equal(fold, folds(23, 5, seed=0))
    assert not np.array_equal(fold, folds(23, 5, seed=1))


def test_the_unit_of_features_makes_no_difference():
    real, fake = cloud(40, 0), cloud(40, 1, 1)
    expected = score(real, fake)
    found = score(1000 * real, 1000 * fake)
    assert (found.value, found.se) == pytest.approx((expected.value, expected.se))


def test_equal_inputs_give_equal_bits():
    real, fake = cloud(40, 0), cloud(40, 1, 1)
    assert score(real, fake) == score(real.copy(), fake.copy())
    assert score(real, fake) != score(real, fake, seed=1)


@pytest.mark.parametrize(("real", "fake"), [(4, 4), (4, 9), (9, 5)])
def test_few_images_make_fewer_folds(real, fake):
    found = score(cloud(real, 0), cloud(fake, 1))
    assert np.isfinite([found.value, found.se]).all()


def test_one_image_over_and_over_is_no_division_by_zero():
    found = score(np.ones((8, 3)), np.ones((8, 3)))
    assert (found.value, found.se) == pytest.approx((0, 0), abs=1e-6)


def test_too_few_images_are_refused_with_their_count():
    with pytest.raises(UserError, match="3 generated images; it needs 4"):
        score(cloud(9, 0), cloud(3, 1))
    with pytest.raises(UserError, match="0 held-out real images"):
        score(cloud(0, 0), cloud(9, 1))


def test_settings_of_the_one_critic_of_earlier_versions_are_read_as_todays():
    assert IwProtocol.model_validate({"width": 8, "steps": 100, "images": 1000, "seed": 3}) == IwProtocol(seed=3)
