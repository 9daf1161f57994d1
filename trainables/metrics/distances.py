"""Distances between two sets of feature vectors, Frechet's and the kernel distance: pure arithmetic, in float64."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, eigvalsh
from scipy.linalg.blas import dgemm, dsyrk
from scipy.linalg.lapack import dpotrf, dsygst

KERNEL_SUBSETS = 100
KERNEL_SUBSET_SIZE = 1000
"""The kernel distance is the mean over 100 subsets of 1,000 images, as KID's authors define it (arXiv:1801.01401)."""

KERNEL_ROWS = 2048
"""How many rows of a kernel matrix are held in memory at a time."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of `n` feature vectors of d numbers, float64."""

    mean: NDArray[np.float64]
    """The mean vector, (d,)."""
    spread: NDArray[np.float64]
    """While n <= d a root of the covariance, (n, d), which is spread.T @ spread; beyond that the covariance, (d, d)."""
    n: int
    """How many vectors these are the moments of."""

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> "Moments":
        """Compute the moments of `features`, (n, d) of any float precision with n at least 2.

        The covariance divides by n - 1, as in most implementations of FID.
        """
        n, d = features.shape
        assert n >= 2, f"{n=}: a covariance needs two vectors"
        mean: NDArray[np.float64] = features.mean(0, dtype=np.float64)
        centred = (features.astype(np.float64) - mean) / np.sqrt(n - 1)
        return cls(mean, centred if n <= d else centred.T @ centred, n)

    @property
    def root(self) -> NDArray[np.float64] | None:
        """A root of the covariance, (n, d); None where there are more vectors than features, and none is kept."""
        return self.spread if self.n <= len(self.mean) else None

    @property
    def cov(self) -> NDArray[np.float64]:
        """The covariance, (d, d)."""
        return self.spread if self.root is None else self.spread.T @ self.spread

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        if self.root is None:
            return float(np.trace(self.spread))
        return float(np.einsum("ij,ij->", self.spread, self.spread))  # in one order, however many threads


def frechet_distance(a: Moments, b: Moments) -> float:
    """Compute the Frechet distance of two sets' moments, of the same d: 0 for equal moments, and never below.

    It is |mean_a - mean_b|^2 + Tr(A) + Tr(B) - 2 Tr((A B)^(1/2)) for the covariances A and B. The last trace is the sum
    of the square roots of the eigenvalues of R B R^T, where R is a root of A, R^T R = A. That matrix is symmetric, and
    small where vectors are few; so no root of a matrix is needed, and nothing fails below full rank. BLAS and LAPACK
    are SciPy's throughout: NumPy has its own copy, whose threads keep a core busy for a while after each call. Source:
    Heusel et al. 2017, arXiv:1706.08500, eq. 6.
    """
    eigenvalues = eigvalsh(_similar(a, b), driver="evd", lower=False, overwrite_a=True, check_finite=False)
    trace = np.sqrt(eigenvalues.clip(min=0)).sum()  # rounding can leave zeros slightly negative
    shift = ((a.mean - b.mean) ** 2).sum()
    return max(float(shift + a.variance + b.variance - 2 * trace), 0.0)


def frechet_distance_at(features: NDArray[np.floating], b: Moments, carry: float) -> float:
    """Estimate from few feature vectors, (m, d), the Frechet distance to `b` of more of them.

    The distance falls with the number of vectors, and what it falls from m/2 to m says how steeply: it is carried on by
    `carry` times that much, which is `carry_of` real images. That FID's bias can be extrapolated is due to Chong and
    Forsyth, CVPR 2020, arXiv:1911.07023; real images for a guide, in the place of their law 1/n, are needed where vectors
    are fewer than features. `benchmarks/judging/rungs.py` shows how near it comes. Below 4 vectors nothing is carried on.
    """
    whole = frechet_distance(Moments.of(features), b)
    return max(whole - carry * max(_of_halves(features, b) - whole, 0.0), 0.0) if len(features) >= 4 else whole


def carry_of(real: NDArray[np.floating], m: int, n: int) -> float:
    """How many times more the Frechet distance of real images to others falls from m of them to n than from m/2 to m.

    `real` are the features, (N, d), of a domain's images in random order; the first n are compared with the others. Where
    they are too few for that, it falls like m^(-1/3), about as photos were seen to do near their floor.
    """
    if m < 4 or n <= m:
        return 0.0
    if len(real) < 2 * n:
        at_half, at_m, at_n = (size ** (-1 / 3) for size in (m / 2, m, n))
        return float((at_m - at_n) / (at_half - at_m))
    others = Moments.of(real[n:])
    at_m, at_n = (frechet_distance(Moments.of(real[:size]), others) for size in (m, n))
    return (at_m - at_n) / (_of_halves(real[:m], others) - at_m)


def _of_halves(features: NDArray[np.floating], b: Moments) -> float:
    """The mean distance of two halves."""
    half = len(features) // 2
    return float(
        np.mean([frechet_distance(Moments.of(part), b) for part in (features[:half], features[half : 2 * half])])
    )


def _similar(a: Moments, b: Moments) -> NDArray[np.float64]:
    """Compute a symmetric matrix, in its upper triangle, that has the eigenvalues of A B but for some that are zero.

    It is (d, d), or (n, n) where the smaller set has n <= d vectors.
    """
    a, b = sorted((a, b), key=lambda moments: moments.n)
    # LAPACK stores columns: transposed, which costs nothing, NumPy's rows are what it wants, and it need not reorder them.
    if a.root is None:
        upper, failed = dpotrf(a.spread.T, lower=0, clean=0)  # Cholesky: A = U^T U
        if not failed:
            product, _ = dsygst(b.spread.T, upper, itype=2, lower=0)  # U B U^T, (d, d)
            return np.asarray(product)
        # A has not full rank: a feature never varies, or depends on others
        values, vectors = eigh(a.spread)
        root = np.sqrt(values.clip(min=0))[:, None] * vectors.T  # R, (d, d)
    else:
        root = a.root  # R, (n, d)
    if b.root is None:
        return np.asarray(dgemm(1.0, dgemm(1.0, root.T, b.spread.T, trans_a=1), root.T))  # (R B) R^T
    return np.asarray(dsyrk(1.0, dgemm(1.0, root.T, b.root.T, trans_a=1)))  # S S^T with S = R root_b^T


def kernel_distance(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    *,
    subsets: int = KERNEL_SUBSETS,
    subset_size: int = KERNEL_SUBSET_SIZE,
    seed: int,
    within_y: float | None = None,
) -> float:
    """Estimate the squared MMD of features x (n, d) and y (m, d) under the kernel (x.y / d + 1)^3, without bias.

    It is about 0 for two samples of one distribution, and can be slightly negative. It is the mean over random subsets
    of both, whose size is lowered to n or m where that is smaller; n and m are 2 at least. `within_y` is
    `kernel_within` of y for that size and the seed, if known: for a large y it is most of the work. Source: Binkowski
    et al. 2018, arXiv:1801.01401 (KID).
    """
    size = min(subset_size, len(x), len(y))
    seed_x = seed + 1  # another one than y's, or subsets of equally many vectors would be the same rows
    in_x, in_y = _membership(len(x), subsets, size, seed_x), _membership(len(y), subsets, size, seed)
    between = _kernel_sums(x, y, in_x, in_y).mean() / size**2
    if within_y is None:
        within_y = kernel_within(y, subsets=subsets, size=size, seed=seed)
    return kernel_within(x, subsets=subsets, size=size, seed=seed_x) + within_y - 2 * float(between)


def kernel_within(x: NDArray[np.float32], *, subsets: int, size: int, seed: int) -> float:
    """Compute the mean kernel of two different vectors of x (n, d), over random subsets of `size` of them, 2 to n."""
    assert size >= 2, f"{size=}: an unbiased estimate needs two vectors"
    members = _membership(len(x), subsets, size, seed)
    diagonal = members @ _cubic((x.astype(np.float64) ** 2).sum(1), x.shape[1])
    return float((_kernel_sums(x, x, members, members) - diagonal).mean() / (size * (size - 1)))


def _membership(n: int, subsets: int, size: int, seed: int) -> NDArray[np.float64]:
    """Draw random subsets of `size` of n vectors: (subsets, n), 1 where a vector belongs to a subset, else 0."""
    rng = np.random.default_rng(seed)
    members = np.zeros((subsets, n))
    for row in members:
        row[rng.choice(n, size, replace=False)] = 1
    return members


def _kernel_sums(
    x: NDArray[np.float32], y: NDArray[np.float32], in_x: NDArray[np.float64], in_y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum the kernel over all pairs of a subset of x (n, d) and the subset of y (m, d) of the same number: (subsets,).

    `in_x` and `in_y` are their `_membership`. Each pair's kernel is computed once, though it is in many subsets.
    """
    sums = np.zeros(len(in_x))
    for start in range(0, len(x), KERNEL_ROWS):
        rows = slice(start, start + KERNEL_ROWS)
        kernel = _cubic((x[rows] @ y.T).astype(np.float64), x.shape[1])  # (rows, m)
        sums += ((in_x[:, rows] @ kernel) * in_y).sum(1)
    return sums


def _cubic(products: NDArray[np.float64], d: int) -> NDArray[np.float64]:
    """Compute the kernel (product / d + 1)^3 of scalar products of d-dimensional vectors, of any shape."""
    base = products / d + 1
    return base * base * base
