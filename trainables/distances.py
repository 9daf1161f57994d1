"""Distances between two sets of feature vectors: pure arithmetic, in float64."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh
from scipy.linalg.blas import dsyrk

KERNEL_SUBSETS = 100
KERNEL_SUBSET_SIZE = 1000
"""KID as its authors define it (arXiv:1801.01401): the mean over 100 subsets of 1,000 images."""

ROWS = 2048
"""Rows of a kernel matrix held at a time."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of `n` feature vectors of d numbers, float64.

    The covariance is kept as a root, which is what the Frechet distance needs; of few images it is also far smaller.
    """

    mean: NDArray[np.float64]
    """(d,)"""
    root: NDArray[np.float64]
    """(r, d), r <= d: root.T @ root is the covariance."""
    n: int

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> "Moments":
        """Moments of (n, d) features, n at least 2; the covariance divides by n - 1, as in most FIDs."""
        n, d = features.shape
        assert n >= 2, f"{n=}: a covariance needs two vectors"
        mean: NDArray[np.float64] = features.mean(0, dtype=np.float64)
        centred = (features.astype(np.float64) - mean) / np.sqrt(n - 1)
        return cls(mean, centred if n <= d else covariance_root(centred.T @ centred), n)

    @property
    def cov(self) -> NDArray[np.float64]:
        """The covariance, (d, d)."""
        cov: NDArray[np.float64] = self.root.T @ self.root
        return cov


def covariance_root(cov: NDArray[np.float64]) -> NDArray[np.float64]:
    """A (d, d) matrix R with R.T @ R = `cov`, which may lack full rank."""
    try:
        return np.asarray(np.linalg.cholesky(cov).T, np.float64)
    except np.linalg.LinAlgError:  # a feature that never varies, or depends on others
        values, vectors = np.linalg.eigh(cov)
        root: NDArray[np.float64] = np.sqrt(values.clip(min=0))[:, None] * vectors.T
        return root


def frechet_distance(a: Moments, b: Moments) -> float:
    """|mean_a - mean_b|^2 + Tr(A + B - 2 (A B)^(1/2)) for the covariances A and B; 0 at least.

    Tr (A B)^(1/2) is the sum of the singular values of R_a R_b^T for roots R of A and B, taken as square roots of the
    eigenvalues of a symmetric matrix as small as the smaller root: no matrix root, and nothing fails below full rank.
    Source: Heusel et al. 2017, arXiv:1706.08500, eq. 6.
    """
    small, large = sorted((a.root, b.root), key=len)
    product = _product(small, large)
    gram = dsyrk(1.0, product.T, trans=1, lower=1)  # one triangle is all that is needed of it
    eigenvalues = eigvalsh(gram, driver="evd", overwrite_a=True, check_finite=False)
    trace = np.sqrt(eigenvalues.clip(min=0)).sum()  # rounding can leave zeros slightly negative
    shift = ((a.mean - b.mean) ** 2).sum()
    squares = (np.einsum("ij,ij->", root, root) for root in (a.root, b.root))  # in one order, however many threads
    return max(float(shift + sum(squares) - 2 * trace), 0.0)


def _product(a: NDArray[np.float64], b: NDArray[np.float64], parts: int = 4) -> NDArray[np.float64]:
    """a @ b.T, (n, d), (m, d) -> (n, m); without most of the zeros where both are upper triangles, as Cholesky's are."""
    cuts = [len(a) * part // parts for part in range(parts + 1)]
    if a.shape != b.shape or any(root[end:, start:end].any() for root in (a, b) for start, end in pairwise(cuts)):
        product: NDArray[np.float64] = a @ b.T
        return product
    product = np.empty(a.shape)
    for top, bottom in pairwise(cuts):
        for left, right in pairwise(cuts):
            inner = max(top, left)
            product[top:bottom, left:right] = a[top:bottom, inner:] @ b[left:right, inner:].T
    return product


def kernel_distance(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    *,
    subsets: int = KERNEL_SUBSETS,
    subset_size: int = KERNEL_SUBSET_SIZE,
    seed: int,
    within_y: float | None = None,
) -> float:
    """Unbiased squared MMD of features (n, d) and (m, d) under the kernel (x.y / d + 1)^3: about 0 for the same source.

    The mean over random subsets, their size lowered to n or m where that is smaller; n and m are 2 at least.
    `within_y` is `kernel_within` of y for that size and the seed, if known: for a large y it is most of the work.
    Source: Binkowski et al. 2018, arXiv:1801.01401 (KID).
    """
    size = min(subset_size, len(x), len(y))
    seed_x = seed + 1  # of its own, or subsets of equally many vectors would be the same rows
    in_x, in_y = _membership(len(x), subsets, size, seed_x), _membership(len(y), subsets, size, seed)
    between = _kernel_sums(x, y, in_x, in_y).mean() / size**2
    if within_y is None:
        within_y = kernel_within(y, subsets=subsets, size=size, seed=seed)
    return kernel_within(x, subsets=subsets, size=size, seed=seed_x) + within_y - 2 * float(between)


def kernel_within(x: NDArray[np.float32], *, subsets: int, size: int, seed: int) -> float:
    """Mean kernel between different vectors of the same random subset of x, `size` large."""
    assert size >= 2, f"{size=}: an unbiased estimate needs two vectors"
    members = _membership(len(x), subsets, size, seed)
    diagonal = members @ _cubic((x.astype(np.float64) ** 2).sum(1), x.shape[1])
    return float((_kernel_sums(x, x, members, members) - diagonal).mean() / (size * (size - 1)))


def _membership(n: int, subsets: int, size: int, seed: int) -> NDArray[np.float64]:
    """(subsets, n): 1 where a vector belongs to a subset, else 0."""
    rng = np.random.default_rng(seed)
    members = np.zeros((subsets, n))
    for row in members:
        row[rng.choice(n, size, replace=False)] = 1
    return members


def _kernel_sums(
    x: NDArray[np.float32], y: NDArray[np.float32], in_x: NDArray[np.float64], in_y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sums of the kernel over each subset of x and the same one of y, (subsets,).

    Each pair's kernel is computed once, though it is in many subsets.
    """
    sums = np.zeros(len(in_x))
    for start in range(0, len(x), ROWS):
        rows = slice(start, start + ROWS)
        kernel = _cubic((x[rows] @ y.T).astype(np.float64), x.shape[1])
        sums += ((in_x[:, rows] @ kernel) * in_y).sum(1)
    return sums


def _cubic(products: NDArray[np.float64], d: int) -> NDArray[np.float64]:
    base = products / d + 1
    return base * base * base
