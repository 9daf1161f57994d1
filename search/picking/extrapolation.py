"""Learning curves carried on to a budget: what a trial that has begun will come to, with its uncertainty.

After n of N images the log score of trial i is

    y_i(n) = a_i + b_i ((n / N)^-c - 1) + e,    e ~ N(0, sigma^2),    b_i ~ N(d_i . g, omega^2)

a power law that decays towards an asymptote; a_i is what the trial comes to at the budget, of which nothing is known a priori.
How steep a curve is, b_i, is shared: g has a mean of all trials (0.3 +- 0.5), and what the way of using a source, the source and
the target add to that, each 0 +- tau. So a trial of a kind that nobody saw falls as trials do, with the spread that kinds and
trials have, and one that has come far goes by its own points. c, sigma, omega and tau are on a grid, weighted by the marginal
likelihood of all curves. For given values everything is normal and in closed form: each curve enters by its slope alone, as its
level is free. Curves wander off their power law too, the farther the longer: to the variance of what is carried on a drift^2 is
added for each unit of log images, so large that earlier curves, carried on from each of their points, had come to what they
came to. (Power laws: e.g. Domhan et al. 2015; sharing them: Swersky et al. 2014.)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from search.picking.arms import Arm
from search.picking.curves import Curve

Floats = NDArray[np.float64]

_POWERS = (0.25, 0.5, 1.0)
_SIGMAS = (0.02, 0.04, 0.08, 0.16, 0.32)
_OMEGAS = (0.02, 0.05, 0.1, 0.2, 0.4)
_TAUS = (0.02, 0.1, 0.3)
_SCALE = 0.3
"""Of the half-normal priors of sigma, omega and tau."""
_STEEP, _STEEP_SPREAD = 0.3, 0.5
_DRIFT, _CURVES, _LEAST = 0.1, 2.0, 0.01
"""A priori, how far curves wander in a unit of log images, as many units' worth of it; and the least of it."""
_KEPT = 0.999
"""Of the weight of the grid: what has hardly any is left out of predictions."""


@dataclass(frozen=True)
class Outcome:
    """What a trial's log score at the budget may be: a mixture of normals."""

    weights: Floats
    means: Floats
    spreads: Floats
    """(parts,) each."""

    @property
    def mean(self) -> float:
        """Of the mixture."""
        return float(self.weights @ self.means)

    @property
    def spread(self) -> float:
        """Its standard deviation."""
        return math.sqrt(float(self.weights @ (self.spreads**2 + self.means**2)) - self.mean**2)

    def below(self, score: float) -> float:
        """The chance of a lower log score."""
        return float(self.weights @ ndtr((score - self.means) / self.spreads))

    def improvement(self, score: float) -> float:
        """How far it is below a log score, where it is, in the mean."""
        z = (score - self.means) / self.spreads
        gain = self.spreads * (z * ndtr(z) + np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))
        return float(self.weights @ gain)


@dataclass(frozen=True)
class _Slopes:
    """All that the posterior of the slopes needs of curves, for one power."""

    power: float
    design: Floats
    """(curves, columns): which terms of g each has, times the length of its x."""
    lengths: Floats
    along: Floats
    """(curves,) the slope's share of each curve's points."""
    rest: float
    """The sum of squares of what no slope explains."""
    free: int
    """How many numbers that is of."""


@dataclass(frozen=True)
class _Part:
    """The posterior of g for one (c, sigma, omega, tau)."""

    power: float
    sigma: float
    omega: float
    tau: float
    mean: Floats
    covariance: Floats
    log_weight: float

    @classmethod
    def of(cls, slopes: _Slopes, sigma: float, omega: float, tau: float) -> "_Part":
        columns = slopes.design.shape[1]
        spread = np.array([_STEEP_SPREAD, *(tau for _ in range(columns - 1))])
        before = np.array([_STEEP, *(0.0 for _ in range(columns - 1))])
        variance = sigma**2 + (omega * slopes.lengths) ** 2
        weighted = slopes.design / variance[:, None]
        precision = np.diag(spread**-2) + slopes.design.T @ weighted
        off = slopes.along - slopes.design @ before
        pulled = weighted.T @ off
        covariance: Floats = np.linalg.inv(precision).astype(np.float64)
        log_det = np.linalg.slogdet(precision)[1] + 2 * np.log(spread).sum()
        fit = float((off**2 / variance).sum() - pulled @ covariance @ pulled)
        log_weight = -0.5 * (fit + np.log(variance).sum() + log_det)
        log_weight -= 0.5 * slopes.rest / sigma**2 + slopes.free * math.log(sigma)
        log_weight += math.log(sigma * omega * tau) - (sigma**2 + omega**2 + tau**2) / (2 * _SCALE**2)
        mean: Floats = before + covariance @ pulled
        return cls(slopes.power, sigma, omega, tau, mean, covariance, float(log_weight))


@dataclass(frozen=True)
class _Parts:
    """Those parts that have weight, each value by part, so that all are asked at once."""

    weight: Floats
    power: Floats
    sigma: Floats
    omega: Floats
    tau: Floats
    """(parts,) each."""
    mean: Floats
    """(parts, columns)"""
    covariance: Floats
    """(parts, columns, columns)"""

    @classmethod
    def of(cls, parts: Sequence[_Part], weights: Floats) -> "_Parts":
        power, sigma, omega, tau = np.array([(part.power, part.sigma, part.omega, part.tau) for part in parts]).T
        means, covariances = np.stack([part.mean for part in parts]), np.stack([part.covariance for part in parts])
        return cls(weights / weights.sum(), power, sigma, omega, tau, means, covariances)


class Extrapolation:
    """What curves tell of curves at one budget."""

    def __init__(self, curves: Sequence[Curve], images: int) -> None:
        """`images` is the budget; of the curves those count that were measured twice at least."""
        self._images = images
        own = [curve for curve in curves if len(_points(curve.scores)) > 1]
        names = (name for curve in own for name in _terms(curve.arm, curve.target))
        self._columns = {name: place for place, name in enumerate(dict.fromkeys(["all", *names]))}
        by_power = [self._slopes(own, power) for power in _POWERS]
        found = [_Part.of(slopes, *values) for slopes in by_power for values in product(_SIGMAS, _OMEGAS, _TAUS)]
        logs = np.array([part.log_weight for part in found])
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        order = np.argsort(-weights, kind="stable")
        kept = order[: int(np.searchsorted(np.cumsum(weights[order]), _KEPT)) + 1]
        self._parts = _Parts.of([found[int(place)] for place in kept], weights[kept])
        self._drift = 0.0
        self._drift = self._drifted(own)

    def outcome(self, arm: Arm, target: str, scores: Mapping[int, float]) -> Outcome | None:
        """What a trial with these log scores by images seen comes to at the budget; None without any after the first image."""
        points = _points(scores)
        if not points:
            return None
        y, parts, terms = np.array(list(points.values())), self._parts, _terms(arm, target)
        x = self._x(points, parts.power[:, None])
        own = self._known(terms)
        strange = len(terms) + 1 - len(own)
        spread = parts.covariance[:, own][:, :, own].sum((1, 2)) + parts.omega**2 + strange * parts.tau**2
        # the slope: what is known of its kind, times what its own points say, whose level is free
        middle = x.mean(1)
        apart = x - middle[:, None]
        sum_xx, sum_xy = (apart**2).sum(1), apart @ y
        precision = 1 / spread + sum_xx / parts.sigma**2
        slope = (parts.mean[:, own].sum(1) / spread + sum_xy / parts.sigma**2) / precision
        wandered = self._drift * max(0.0, math.log(self._images / max(points)))
        variance = parts.sigma**2 * (1 + 1 / len(y)) + middle**2 / precision + wandered
        return Outcome(parts.weight, y.mean() - slope * middle, np.sqrt(variance))

    def _drifted(self, curves: Sequence[Curve]) -> float:
        """Variance for each unit of log images: of what curves came to beyond what was expected of them."""
        excess, far = _CURVES * _DRIFT**2, _CURVES
        for curve in (each for each in curves if each.covers(self._images)):
            points, came = list(_points(curve.scores).items()), curve.at(self._images)
            for place in range(1, len(points)):
                ahead = math.log(self._images / points[place - 1][0])
                expected = self.outcome(curve.arm, curve.target, dict(points[:place])) if ahead > 0 else None
                if expected:
                    excess += (came - expected.mean) ** 2 - expected.spread**2
                    far += ahead
        return max(excess / far, _LEAST**2)

    def _x(self, points: Mapping[int, float], power: float | Floats) -> Floats:
        x: Floats = (np.array(list(points), float) / self._images) ** -power - 1
        return x

    def _row(self, arm: Arm, target: str) -> Floats:
        row = np.zeros(len(self._columns))
        row[self._known(_terms(arm, target))] = 1
        return row

    def _known(self, terms: Sequence[str]) -> list[int]:
        """The columns that a curve of these terms has: that of all curves, and those of terms that any had."""
        return [0, *(self._columns[name] for name in terms if name in self._columns)]

    def _slopes(self, curves: Sequence[Curve], power: float) -> _Slopes:
        design = np.zeros((len(curves), len(self._columns)))
        lengths, along, rest, free = np.zeros(len(curves)), np.zeros(len(curves)), 0.0, 0
        for place, curve in enumerate(curves):
            points = _points(curve.scores)
            x, y = self._x(points, power), np.array(list(points.values()))
            lengths[place] = math.sqrt(float(((x - x.mean()) ** 2).sum()))
            along[place] = float((x - x.mean()) @ y) / lengths[place]
            design[place] = lengths[place] * self._row(curve.arm, curve.target)
            rest += max(0.0, float(((y - y.mean()) ** 2).sum()) - along[place] ** 2)
            free += len(y) - 2
        return _Slopes(power, design, lengths, along, rest, free)


def _points(scores: Mapping[int, float]) -> dict[int, float]:
    """Evaluations after the first image, where a power law has one."""
    return {images: score for images, score in scores.items() if images > 0}


def _terms(arm: Arm, target: str) -> tuple[str, ...]:
    """What a curve's steepness is shared by."""
    source = () if arm.source is None else (f"source {arm.source}",)
    return (f"way {arm.method} {arm.parts}", f"target {target}", *source)
