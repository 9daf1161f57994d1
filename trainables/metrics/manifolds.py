"""Precision, recall, density and coverage by nearest neighbours in a feature space: pure arithmetic, in float64."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5
"""A ball reaches to its 5th nearest neighbour, as in Naeem et al. and the ICLR 2022 study of pretrained GANs."""


def manifold_scores(real: NDArray[np.floating], fake: NDArray[np.floating], k: int = NEIGHBOURS) -> Mapping[str, float]:
    """Compute precision, recall, density and coverage of features `fake` (m, d) against `real` (n, d); k < n and k < m.

    Around each vector lies a ball that reaches to its k-th nearest neighbour among its own kind, itself not counted; a
    vector on the rim of a ball is outside. Distances are Euclidean, in float64.

    - precision: the share of fakes inside any ball of the reals, 0 to 1 (Kynkaanniemi et al. 2019, arXiv:1904.06991);
    - recall: the share of reals inside any ball of the fakes, 0 to 1 (the same);
    - density: the number of the reals' balls that a fake lies in, in the mean over fakes, divided by k; above 1 where
      fakes crowd (Naeem et al. 2020, arXiv:2002.09797);
    - coverage: the share of reals whose own ball holds a fake, 0 to 1 (Naeem et al.).

    All grow with the counts, so compare equal n and m only. Two samples of one distribution score about density 1 and
    coverage 1 - 2^-k; precision and recall fall as d grows.
    """
    assert k < min(len(real), len(fake)), f"{k=}: more vectors than neighbours are needed, {len(real)=} {len(fake)=}"
    between = squared_distances(real, fake)  # (n, m)
    real_radii, fake_radii = squared_radii(real, k), squared_radii(fake, k)
    in_real_ball = between < real_radii[:, None]  # (n, m)
    return {
        "precision": float(in_real_ball.any(0).mean()),
        "recall": float((between < fake_radii).any(1).mean()),
        "density": float(in_real_ball.sum(0).mean() / k),
        "coverage": float(in_real_ball.any(1).mean()),
    }


def squared_radii(x: NDArray[np.floating], k: int) -> NDArray[np.float64]:
    """Compute the squared distance of each of x's vectors, (n, d), to its k-th nearest other, (n,); k < n."""
    distances = squared_distances(x, x)
    np.fill_diagonal(distances, np.inf)  # rounding leaves a vector's distance to itself at about zero, not at zero
    nearest: NDArray[np.float64] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return nearest


def squared_distances(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute the squared Euclidean distances of x's vectors, (n, d), to y's, (m, d): float64 (n, m), 0 at least."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    distances: NDArray[np.float64] = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * (x @ y.T)
    return distances.clip(min=0)
