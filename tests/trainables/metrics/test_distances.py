import numpy as np
import pytest
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from trainables.metrics.distances import (
    Moments,
    carry_of,
    frechet_distance,
    frechet_distance_at,
    kernel_distance,
    kernel_within,
)


def sample(n, d, seed, shift=0.0, scale=1.0):
    """Correlated features whose variances span four decades."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).standard_normal((d, d)) * np.geomspace(1, 1e-2, d)[:, None]
    return (rng.standard_normal((n, d)) @ mixing * scale + shift).astype(np.float32)


def torch_fidelity_fid(x, y):
    statistics = [fid_features_to_statistics(torch.from_numpy(features.astype(np.float64))) for features in (x, y)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def torch_fidelity_kid(x, y):
    size = min(len(x), len(y))
    tensors = torch.from_numpy(x.astype(np.float64)), torch.from_numpy(y.astype(np.float64))
    result = kid_features_to_metric(*tensors, kid_subsets=1, kid_subset_size=size, verbose=False)
    return result["kernel_inception_distance_mean"]


@pytest.mark.parametrize("n", [20, 300], ids=["below full rank", "full rank"])
def test_moments_are_numpys(n):
    features = sample(n, 40, seed=1)
    moments = Moments.of(features)
    np.testing.assert_allclose(moments.mean, features.mean(0, dtype=np.float64))
    np.testing.assert_allclose(moments.cov, np.cov(features.astype(np.float64), rowvar=False), atol=1e-12)


@pytest.mark.parametrize("n", [400, 30], ids=["full rank beside it", "few vectors beside it"])
def test_frechet_distance_to_a_singular_covariance_is_torch_fidelitys(n):
    x, y = sample(100, 40, seed=1), sample(n, 40, seed=2)
    x[:, 2] = 0
    x[:, 5] = x[:, 1] - x[:, 3]
    a, b = Moments.of(x), Moments.of(y)
    for distance in (frechet_distance(a, b), frechet_distance(b, a)):
        assert distance == pytest.approx(torch_fidelity_fid(x, y), rel=1e-4)


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    (mean_a, mean_b), (std_a, std_b) = rng.standard_normal((2, 9)), rng.uniform(0.1, 3, (2, 9))
    distance = frechet_distance(Moments(mean_a, np.diag(std_a**2), 10), Moments(mean_b, np.diag(std_b**2), 10))
    assert distance == pytest.approx(((mean_a - mean_b) ** 2).sum() + ((std_a - std_b) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("n", [25, 400], ids=["below full rank", "full rank"])
def test_frechet_distance_to_itself_is_zero(n):
    moments = Moments.of(sample(n, 50, seed=1))
    assert 0 <= frechet_distance(moments, moments) < 1e-6


@pytest.mark.parametrize("n", [25, 400], ids=["below full rank", "full rank"])
def test_frechet_distance_of_a_shift_is_its_squared_length(n):
    moments = Moments.of(sample(n, 50, seed=1))
    shifted = Moments(moments.mean + 0.5, moments.spread, n)
    assert frechet_distance(moments, shifted) == pytest.approx(50 * 0.25, abs=1e-6)


def test_frechet_distance_is_scipys_matrix_roots():
    x, y = sample(400, 60, seed=1), sample(300, 60, seed=2, shift=0.1, scale=1.3)
    a, b = Moments.of(x), Moments.of(y)
    root = scipy.linalg.sqrtm(np.cov(x.astype(np.float64).T) @ np.cov(y.astype(np.float64).T))
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(a.cov + b.cov - 2 * root.real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(400, 300), (400, 30), (30, 400), (40, 30)])
def test_frechet_distance_is_torch_fidelitys(n, m):
    x, y = sample(n, 60, seed=1), sample(m, 60, seed=2, shift=0.1, scale=1.3)
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(torch_fidelity_fid(x, y), rel=1e-4)


def test_frechet_distance_to_a_single_repeated_image_is_finite():
    same, real = Moments.of(np.ones((20, 8), np.float32)), Moments.of(sample(100, 8, seed=1))
    assert frechet_distance(same, real) == pytest.approx(((real.mean - 1) ** 2).sum() + np.trace(real.cov))


@pytest.mark.parametrize(("n", "m"), [(120, 120), (2500, 2500)], ids=["one block", "several blocks"])
def test_kernel_distance_is_torch_fidelitys(n, m):
    x, y = sample(n, 20, seed=1), sample(m, 20, seed=2, shift=0.3)
    ours = kernel_distance(x, y, subsets=2, subset_size=n, seed=0)
    assert ours == pytest.approx(torch_fidelity_kid(x, y), rel=1e-4)


def test_kernel_distance_lowers_its_subsets_to_the_smaller_set():
    x, y = sample(50, 20, seed=1), sample(80, 20, seed=2)
    assert kernel_distance(x, y, seed=0) == kernel_distance(x, y, subset_size=50, seed=0)


def test_kernel_distance_of_subsets_averages_to_that_of_the_whole():
    x, y = sample(400, 20, seed=1), sample(400, 20, seed=2, shift=0.3)
    subsets = kernel_distance(x, y, subsets=4000, subset_size=100, seed=0)
    assert subsets == pytest.approx(torch_fidelity_kid(x, y), rel=0.05)


def test_the_seed_draws_the_subsets_of_the_kernel_distance():
    x, y = sample(60, 20, seed=1), sample(60, 20, seed=2)
    first, again, other = (kernel_distance(x, y, subset_size=20, seed=seed) for seed in (0, 0, 1))
    assert first == again != other


def test_kernel_distance_is_unbiased_for_small_sets():
    x, y = sample(4000, 20, seed=1), sample(4000, 20, seed=2)
    pairs = [kernel_distance(x[i : i + 20], y[i : i + 20], subsets=1, seed=0) for i in range(0, 4000, 20)]
    assert abs(np.mean(pairs)) < 3 * np.std(pairs) / len(pairs) ** 0.5


def test_a_known_within_term_changes_nothing():
    x, y = sample(50, 20, seed=1), sample(80, 20, seed=2)
    within = kernel_within(y, subsets=10, size=50, seed=3)
    assert kernel_distance(x, y, subsets=10, seed=3, within_y=within) == kernel_distance(x, y, subsets=10, seed=3)


@pytest.mark.parametrize("scale", [1.0, 0.5], ids=["the same distribution", "another"])
def test_a_distance_of_fewer_vectors_than_features_is_carried_on_to_about_that_of_many(scale):
    real, fake = sample(3000, 400, seed=1), sample(1000, 400, seed=2, scale=scale)
    moments = Moments.of(real)
    few, many = (frechet_distance(Moments.of(fake[:n]), moments) for n in (128, 1000))
    carried = frechet_distance_at(fake[:128], moments, carry_of(real, 128, 1000))
    assert abs(carried - many) < 0.25 * (few - many)


def test_what_is_carried_on_is_the_fall_from_half_of_the_vectors_to_all():
    """In one dimension with a real variance of 0 the distance is the mean square, by hand."""
    features, real = np.array([[4.0], [-2.0], [3.0], [1.0]]), Moments(np.zeros(1), np.zeros((1, 1)), 2)
    half = np.mean([1 + 18, 4 + 2])  # squared means and variances of the halves
    whole = 1.5**2 + 7.0
    assert frechet_distance_at(features, real, 0.5) == pytest.approx(whole - 0.5 * (half - whole))


@pytest.mark.parametrize("n", [2, 3])
def test_of_very_few_vectors_the_distance_is_given_as_it_is(n):
    features, real = sample(n, 5, seed=1), Moments.of(sample(60, 5, seed=2))
    assert frechet_distance_at(features, real, 1.0) == frechet_distance(Moments.of(features), real)


def test_real_images_too_few_to_tell_are_taken_to_fall_by_the_cube_root():
    halving = (1 / 128) ** (1 / 3) - (1 / 256) ** (1 / 3)
    assert carry_of(sample(300, 5, seed=1), 256, 1000) == pytest.approx(((1 / 256) ** (1 / 3) - 0.1) / halving)
    assert carry_of(sample(300, 5, seed=1), 256, 256) == 0
