"""What is left of the gain of a best configuration, once it is allowed for that it was chosen for having come out best.

The best of many configurations has the best luck too: of nine equal ones over two seeds it is ahead by more than a standard
deviation, and an interval around what was measured claims that it is better. So configurations of a side are looked at
together. Configuration i scores y_ij with seed j:

    y_ij ~ N(theta_i, sigma^2),    theta_i ~ N(mu, tau^2)

in logs where the metric has a true zero. Scratch and transfer have a mu and a tau each, and one sigma. A priori mu is flat,
sigma log-uniform, and tau 0 (nothing differs) or not, as likely as each other; if not, the weight of mu in an estimate of
theta_i is uniform (Daniels, Canadian Journal of Statistics 27, 1999).
What is said of a difference of two thetas comes from draws of their posterior, for which it is the same whether a
configuration was chosen or given. `benchmarks/judging/selection.py` holds it against worlds in which nothing is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

DRAWS = 4_000
BOUNDS = (2.5, 97.5)
CHOSEN_BOUNDS = (1.5, 98.5)
"""Where a configuration is the best of several. The prior is no world's truth: within 2.5 % of draws 3 to 4 % of claims are
wrong where nothing is better than anything, and 92 to 93 % of intervals hold the truth where configurations differ as much as
seeds do; within these at most 2.5 % and at least 95 %, by `benchmarks/judging/selection.py`."""

Floats = NDArray[np.float64]
Scores = float | Sequence[Sequence[float]]
"""Of a side: those of each configuration over its seeds, the chosen one first; or a score that has no chance in it."""

_QUANTILES = 100
_SHARES = np.append((np.arange(24) + 0.5) / 24, 1.0)
"""How much of an estimate is mu's, of a configuration with the mean number of seeds; all of it where tau is 0."""
_PRIOR = np.append(np.full(24, 0.5 / 24), 0.5)


@dataclass(frozen=True)
class Left:
    """A difference of two scores as fresh seeds would likely show it, with the bounds that hold it with 95 %."""

    expected: float
    low: float
    high: float


def left(ours: Scores, theirs: Scores, sign: int, *, is_ratio: bool) -> Left | None:
    """How much better ours is than theirs (the first configuration of either side), in the metric's units.

    `sign` is 1 where lower scores are better, -1 where higher ones are. `is_ratio` is for positive scores with a true zero.
    None where a chosen configuration has one seed.
    """
    sides = [side for side in (ours, theirs) if not isinstance(side, float)]
    if any(len(side[0]) < 2 for side in sides):
        return None
    sigma = _sigma([[_log(values, is_ratio) for values in side] for side in sides])
    rng = np.random.default_rng(0)
    drawn = []
    for side in (ours, theirs):
        if isinstance(side, float):
            drawn.append(np.full(1, side))
        else:
            theta = _first([_log(values, is_ratio) for values in side], sigma, rng)
            drawn.append(np.exp(theta) if is_ratio else theta)
    gap = sign * (drawn[1] - drawn[0])
    bounds = CHOSEN_BOUNDS if any(len(side) > 1 for side in sides) else BOUNDS
    return Left(float(np.median(gap)), *(float(bound) for bound in np.percentile(gap, bounds)))


def _log(values: Sequence[float], is_ratio: bool) -> Floats:
    return np.log(values) if is_ratio else np.asarray(values, float)


def _sigma(sides: Sequence[Sequence[Floats]]) -> Floats:
    """The spread over seeds that all configurations have in common: quantiles of its posterior; zeros where none differ.

    What configurations differ by among each other tells of it too, but hardly.
    """
    every = [values for side in sides for values in side]
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in every)
    degrees = sum(len(values) - 1 for values in every)
    sigma: Floats = np.sqrt(squares / chdtri(degrees, (np.arange(_QUANTILES) + 0.5) / _QUANTILES))
    return sigma


def _first(side: Sequence[Floats], sigma: Floats, rng: np.random.Generator) -> Floats:
    """Draws of a side's first theta: as many for each sigma, in their order."""
    means, counts = np.array([values.mean() for values in side]), np.array([len(values) for values in side])
    noise: Floats = rng.standard_normal((len(sigma), DRAWS // len(sigma)))
    if len(side) == 1 or not sigma.any():
        alone: Floats = (means[0] + sigma[:, None] / np.sqrt(counts[0]) * noise).ravel()
        return alone
    variance = sigma[:, None, None] ** 2 / counts  # of the means, (sigmas, 1, configurations)
    between = sigma[:, None, None] ** 2 / counts.mean() * (1 / _SHARES - 1)[:, None]  # tau^2, (sigmas, shares, 1)
    weight = 1 / (between + variance)
    total = weight.sum(-1)
    mu = (weight * means).sum(-1) / total  # (sigmas, shares)
    misfit = (weight * (means - mu[..., None]) ** 2).sum(-1)
    evidence = 0.5 * (np.log(weight).sum(-1) - np.log(total) - misfit) + np.log(_PRIOR)
    likely = np.exp(evidence - evidence.max(-1, keepdims=True)).cumsum(-1)
    drawn = rng.random(noise.shape)[..., None] * likely[:, None, -1:]  # (sigmas, draws, 1)
    share = (likely[:, None] < drawn).sum(-1)
    own = 1 - variance[..., 0] * weight[..., 0]
    centre = own * means[0] + (1 - own) * mu
    spread = np.sqrt(own * variance[..., 0] + (1 - own) ** 2 / total)
    theta: Floats = np.take_along_axis(centre, share, 1) + np.take_along_axis(spread, share, 1) * noise
    return theta.ravel()
