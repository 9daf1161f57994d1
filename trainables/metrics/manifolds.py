"""How far generated images cover real ones, and real ones them, by nearest neighbours in a feature space: pure arithmetic."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5
"""k of the k-nearest-neighbour balls, as in Naeem et al. and in the ICLR 2022 study of pretrained GANs."""


def manifold_scores(real: NDArray[np.floating], fake: NDArray[np.floating], k: int = NEIGHBOURS) -> Mapping[str, float]:
    """Precision, recall, density and coverage of features `fake` (m, d) against `real` (n, d), k < n and k < m.

    Around each vector lies a ball that reaches to its k-th nearest neighbour among its own kind, itself not counted.
    precision: share of fakes inside a ball of the reals; recall: share of reals inside a ball of the fakes (Kynkaanniemi
    et al. 2019, arXiv:1904.06991). density: balls of the reals that a fake lies in, over k, so above 1 where fakes crowd;
    coverage: share of reals whose ball holds a fake (Naeem et al. 2020, arXiv:2002.09797). All grow with the counts, so
    compare equal n and m only. Two samples of one distribution score about density 1, coverage 1 - 2^-k; precision and
    recall fall as d grows. Euclidean, float64; a vector on the rim of a ball is outside.
    """
    assert k < min(len(real), len(fake)), f"{k=}: more vectors than neighbours are needed, {len(real)=} {len(fake)=}"
    between = squared_distances(real, fake)  # (n, m)
    real_radii, fake_radii = squared_radii(real, k), squared_radii(fake, k)
    in_real_ball = between < real_radii[:, None]
    return {
        "precision": float(in_real_ball.any(0).mean()),
        "recall": float((between < fake_radii).any(1).mean()),
        "density": float(in_real_ball.sum(0).mean() / k),
        "coverage": float(in_real_ball.any(1).mean()),
    }


def squared_radii(x: NDArray[np.floating], k: int) -> NDArray[np.float64]:
    """Squared distance of each of (n, d) vectors to its k-th nearest other, (n,)."""
    distances = squared_distances(x, x)
    np.fill_diagonal(distances, np.inf)  # rounding leaves a vector's distance to itself at about zero, not at zero
    nearest: NDArray[np.float64] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return nearest


def squared_distances(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared Euclidean distances of (n, d) to (m, d) vectors, (n, m)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    distances: NDArray[np.float64] = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * (x @ y.T)
    return distances.clip(min=0)
