import numpy as np
import pytest
from prdc import compute_prdc
from scipy.spatial.distance import cdist

from trainables.metrics.manifolds import NEIGHBOURS, manifold_scores, squared_distances, squared_radii


def normal(n, d, seed, shift=0.0, scale=1.0):
    return (np.random.default_rng(seed).standard_normal((n, d)) * scale + shift).astype(np.float32)


@pytest.mark.parametrize(
    ("n", "m", "shift", "scale"), [(300, 300, 0, 1), (200, 350, 1, 1), (300, 200, 0, 0.3), (300, 300, 0, 3)]
)
def test_scores_equal_those_of_their_authors_code(n: int, m: int, shift: float, scale: float) -> None:
    real, fake = normal(n, 8, 0), normal(m, 8, 1, shift, scale)
    ours, theirs = manifold_scores(real, fake), compute_prdc(real, fake, nearest_k=NEIGHBOURS)
    assert ours == {name: pytest.approx(value, abs=1e-12) for name, value in theirs.items()}


def test_a_radius_reaches_to_the_kth_other_vector() -> None:
    x = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert squared_radii(x, 1).tolist() == [1, 1, 4, 16]
    assert squared_radii(x, 2).tolist() == [9, 4, 9, 36]


def test_distances_are_scipys_and_never_negative() -> None:
    x, y = normal(20, 5, 0, shift=100), normal(30, 5, 1, shift=100)
    assert squared_distances(x, y) == pytest.approx(cdist(x, y, "sqeuclidean"), rel=1e-6)
    assert squared_distances(x, x).min() >= 0


def test_on_a_line_each_score_is_what_one_counts() -> None:
    real, fake = np.arange(10.0)[:, None], np.array([[2.4], [2.6], [20.0], [21.0]])
    scores = manifold_scores(real, fake, k=1)
    assert scores["precision"] == 0.5  # the two near 2.5
    # balls of radius 1 around 0..9: each of the two fakes lies in those of 2 and 3; of the fakes' own none but 2.4's and
    # 2.6's, 0.2 wide, hold nothing real
    assert scores["density"] == 1.0
    assert scores["coverage"] == 0.2
    assert scores["recall"] == 0.0


def test_a_source_that_spreads_wider_gains_recall_and_loses_precision() -> None:
    real = normal(400, 8, 0)
    narrow, wide = (
        manifold_scores(real, normal(400, 8, 1, scale=0.4)),
        manifold_scores(real, normal(400, 8, 1, scale=2)),
    )
    assert wide["recall"] > narrow["recall"] + 0.3
    assert wide["precision"] < narrow["precision"] - 0.3


def test_of_one_distribution_density_is_about_1_and_coverage_as_lemma_2_says() -> None:
    k, n = 5, 1000
    scores = manifold_scores(normal(n, 4, 0), normal(n, 4, 1), k)
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(k)])  # Naeem et al. 2020, lemma 2, for n = m
    assert scores["coverage"] == pytest.approx(expected, abs=0.02)
    assert scores["density"] == pytest.approx(1, abs=0.05)
