"""A model of what transfer comes to: scores of trials on several targets, explained and predicted with their uncertainty.

For trial i of study j on target t with l of its images, from source s with parts p transferred:

    log score_i = B_tl + T_i (A + P_p + S_s + k z_ts + a_t + c_tp + u_ts + v_tsp) + w . x_i + r_j + e_i,
    r_j ~ N(0, rho^2),    e_i ~ N(0, sigma^2 + d_i^2)

T_i is 0 from scratch and 1 else, so all in brackets is relative to scratch: one source's gain at one level cancels what
all trials of the level share. d_i is the error of a score that was carried on to the budget, 0 of one that was
measured. z_ts is the log of the ranking's distance between s and t, less its mean over the target's sources; or, where
all parts of their likeness are known, the log distance at which as much would be expected of s as these let expect. x_i
are the logs of the learning rates (linear, quadratic and crossed, linear for transferred ones, and linear and quadratic for
each choice of networks alone), less their means; w is left out where they never vary. Scores are positive and lower is better:
Frechet distances.

That is fine-tuning. A trial of another method m has a bracket of its own, and rates only where the method has them:

    M_m + k_m z_ts + a_mt + u_mts

without the terms of s where the method takes no source.

Every coefficient is normal a priori, with mean 0 but for k:

    B ~ 5 (as good as free)   A, M ~ 1   P, S ~ 0.5   k ~ 0.25 +- 0.25   w ~ 0.05  a, u ~ tau   c, v ~ upsilon
    k_m ~ 0.5 +- 0.5 (of the source as it is, the score is the ranking's distance itself)
    w of a square ~ 0.07 +- 0.035 (rates are looked for around such that did well, so the ends of a range are the worse ones:
    else they would promise most before any others than those have been tried), 0 +- 0.0175 beside it by networks

tau is how much targets differ in what a source gives them, upsilon in which networks suit them, sigma how much equal
trials differ (by seed, and by what the model misses). All three are half-normal a priori with scale 0.5: without
replicates or a second target they are hardly known, and intervals are as wide as that. rho is how much studies differ
that asked the same; it is half-normal with scale 0.1, and 0.1 at most, so that trials of many small studies say nearly
as much as those of one. For given (sigma, rho, tau, upsilon) the posterior is normal in closed form; over a grid of
them (`scales`) it is weighted by the marginal likelihood, so no point estimate makes an interval too narrow. A source without any
trial differs from others by S, u and its ranking alone. This is ridge regression with random effects (e.g. Gelman and
Hill 2007, chapters 11 to 13); `benchmarks/judging/pick_calibration.py` holds it against worlds whose truth is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dtrtrs
from threadpoolctl import threadpool_limits

from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.scales import Axes, closer, combinations, few
from spaces.trials import DEFAULT_METHOD

_LEVEL, _TRANSFER, _EFFECT, _RATE = 5.0, 1.0, 0.5, 0.05
_CURVATURE_MEAN, _CURVATURE = 0.07, 0.035
SLOPE, _SLOPE_SPREAD = 0.25, 0.25
_METHOD_SLOPE_MEAN, _METHOD_SLOPE = 0.5, 0.5
_SCALE = 0.5
_STUDY_SCALE = 0.1
_MOST_RHO = 0.1
"""Many trainings that contradict a search are no fault of the search as a whole."""

_WIDE: Axes = tuple(
    tuple(np.geomspace(low, high, n).tolist())
    for low, high, n in ((0.01, 1.5, 9), (0.01, _MOST_RHO, 4), (0.02, 1.5, 7), (0.01, 1.0, 6))
)
"""Values of sigma, rho, tau and upsilon that are weighed against each other first."""
_QUICK: Axes = ((0.03, 0.07, 0.15, 0.35), (0.03,), (0.05, 0.2, 0.6), (0.05, 0.2))
"""For one who asks often, where too few cases are known to say where they lie."""
_ENOUGH = 8
"""So many."""

Floats = NDArray[np.float64]


class Case(NamedTuple):
    """What the model knows of a trial, tried or to come."""

    level: str
    """The target and how many of its images there are."""
    target: str
    arm: Arm
    nearness: float
    """z_ts; means nothing from scratch."""
    rates: tuple[float, float] | None
    """lr_g and lr_d; None of a method without."""
    study: str | None = None
    """None of a trial to come."""
    error: float = 0.0
    """Standard deviation of a log score that was not measured but carried on."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of the predicted log scores of some cases."""

    mean: Floats
    """Log scores by draw, (draws, cases): of an endless number of trials of the case."""
    sigma: Floats
    """(draws,): spread of single trials about it."""
    rho: Floats
    """(draws,): spread of studies about it."""


@dataclass(frozen=True, eq=False)
class Belief:
    """Draws of the model's coefficients: what can be asked of any case that has no other coefficients."""

    sigma: Floats
    """(draws,): spread of single trials about what is predicted."""
    rho: Floats
    """(draws,): spread of studies about it."""
    _design: "_Design"
    _drawn: tuple[Floats, ...]
    """(coefficients, n) each, `draws` in all."""
    _centre: float

    def mean(self, asked: Sequence[Case]) -> Floats:
        """Log scores by draw, (draws, cases): of an endless number of trials of each case."""
        x_asked = self._design.matrix(asked)
        mean: Floats = np.concatenate([x_asked @ drawn for drawn in self._drawn], axis=1).T + self._centre
        return mean


def posterior(cases: Sequence[Case], log_scores: Floats, asked: Sequence[Case], draws: int, seed: int) -> Posterior:
    """Predict the cases `asked` from those tried, of which there may be none; the same draws for the same seed."""
    belief = Model(cases, log_scores, asked).after((), np.zeros(0), draws, seed)
    return Posterior(belief.mean(asked), belief.sigma, belief.rho)


def few_scales(cases: Sequence[Case], log_scores: Floats) -> Axes:
    """Values of sigma, rho, tau and upsilon for a `Model` that is asked often: few, where these cases say that they lie."""
    if len(cases) < _ENOUGH:
        return _QUICK
    known = Model(cases, log_scores, ()).weighed()
    return few(known.axes, known.weights)


class Model:
    """The model on some cases, ready to be told of more of one study, of which there are few, again and again."""

    def __init__(
        self, cases: Sequence[Case], log_scores: Floats, asked: Sequence[Case], scales: Axes | None = None
    ) -> None:
        """`asked` are cases that more may be told of, or that predictions may be asked of.

        `scales` are the only values of sigma, rho, tau and upsilon that are weighed, for one who asks often.
        """
        self._design = _Design.of([*cases, *asked])
        self._centre = float(log_scores.mean()) if len(log_scores) else 0.0
        self._known, self._sums_known = self._told(cases, log_scores), dict[Noise, _Sums]()
        self._scales = scales

    def knows(self, case: Case) -> bool:
        """Whether the model has all coefficients of the case."""
        return self._design.has(case)

    def after(self, more: Sequence[Case], log_scores: Floats, draws: int, seed: int) -> Belief:
        """What these further cases, of a study that the model knows nothing of, make likely beside those known."""
        # small matrices: threads would wait for each other, more than compute
        with threadpool_limits(1, user_api="blas"):
            return self._after(more, log_scores, draws, seed)

    def _after(self, more: Sequence[Case], log_scores: Floats, draws: int, seed: int) -> Belief:
        told = self._told(more, log_scores) if more else None
        axes, weights, sums = self.weighed(told)
        grid = combinations(axes)
        rng = np.random.default_rng(seed)
        counts = rng.multinomial(draws, weights / weights.sum())
        # fits are made again rather than kept: thousands of matrices, of which draws are of some dozens
        drawn = tuple(
            _Fit.of(sums[s, r], self._design, t, u).draw(int(n), rng)
            for n, (s, r, t, u) in zip(counts, grid, strict=True)
            if n
        )
        sigma, rho = (np.repeat(grid[:, column], counts) for column in (0, 1))
        return Belief(sigma, rho, self._design, drawn, self._centre)

    def weighed(self, told: "_Told | None" = None) -> "_Weighed":
        """Values of the scales, and how likely what is known and told makes each combination of them."""
        finer: Axes | None = self._scales or _WIDE
        while finer is not None:
            axes = finer
            grid, sums = combinations(axes), self._sums(told, axes)
            fits = (_Fit.of(sums[s, r], self._design, t, u) for s, r, t, u in grid)
            log_weights = np.array([fit.log_evidence for fit in fits]) + _log_prior(grid)
            weights = np.exp(log_weights - log_weights.max())
            finer = None if self._scales else closer(axes, weights)
        return _Weighed(axes, weights, sums)

    def _told(self, cases: Sequence[Case], log_scores: Floats) -> "_Told":
        return _Told(cases, self._design.matrix(cases), log_scores - self._centre)

    def _sums(self, told: "_Told | None", axes: Axes) -> "dict[Noise, _Sums]":
        """By sigma and rho, of what is known and told."""
        found = {}
        for sigma, rho in product(*axes[:2]):
            if (sigma, rho) not in self._sums_known:
                self._sums_known[sigma, rho] = _Sums.of(self._known, self._design, sigma, rho)
            known = self._sums_known[sigma, rho]
            found[sigma, rho] = known.beside(_Sums.of(told, self._design, sigma, rho)) if told else known
        return found


Noise = tuple[float, float]
"""A sigma and a rho."""


class _Told(NamedTuple):
    """Cases that were tried, as rows of the design, and their log scores less the centre."""

    cases: Sequence[Case]
    x: Floats
    y: Floats


def _log_prior(grid: Floats) -> Floats:
    """Of each combination of scales, (all, 4); the grid is even in logs, hence the log."""
    widths = np.array([_SCALE, _STUDY_SCALE, _SCALE, _SCALE])
    found: Floats = np.log(grid).sum(1) - (grid**2 / (2 * widths**2)).sum(1)
    return found


class _Sums(NamedTuple):
    """All that a fit needs of the data, weighted by the inverse of the noise's covariance V."""

    xx: Floats
    xr: Floats
    rr: float
    """Of x and the residuals r from the prior mean."""
    log_det: float
    """Of V."""

    def beside(self, other: "_Sums") -> "_Sums":
        """Those of the data of both, which have no study in common."""
        return _Sums(self.xx + other.xx, self.xr + other.xr, self.rr + other.rr, self.log_det + other.log_det)

    @classmethod
    def of(cls, told: _Told, design: "_Design", sigma: float, rho: float) -> "_Sums":
        """V is sigma^2 + error^2 on its diagonal, and rho^2 more between trials of one study (inverted by Woodbury)."""
        both = np.column_stack([told.x, told.y - told.x @ design.prior_mean])
        variance = sigma**2 + np.array([case.error for case in told.cases]) ** 2
        _, study = np.unique([case.study or "" for case in told.cases], return_inverse=True)
        member = np.eye(int(study.max(initial=-1)) + 1)[study] / variance[:, None]  # (cases, studies)
        held = member.sum(0) + 1 / rho**2
        shared = member.T @ both
        products = both.T @ (both / variance[:, None]) - shared.T @ (shared / held[:, None])
        log_det = float(np.log(variance).sum() + np.log(held * rho**2).sum())
        return cls(products[:-1, :-1], products[:-1, -1], float(products[-1, -1]), log_det)


class _Weighed(NamedTuple):
    """Values of the scales, the weight of each combination of them, and the sums by sigma and rho that those went by."""

    axes: Axes
    weights: Floats
    sums: dict[Noise, _Sums]


@dataclass(frozen=True, eq=False)
class _Fit:
    """The normal posterior of the coefficients for one sigma, rho, tau and upsilon."""

    prior_mean: Floats
    factor: Floats
    """Lower Cholesky factor of the posterior's precision."""
    half: Floats
    """By which the posterior's mean is apart from the prior's, times the factor's transpose."""
    log_evidence: float

    @classmethod
    def of(cls, data: _Sums, design: "_Design", tau: float, upsilon: float) -> "_Fit":
        sd = design.prior_sd(tau, upsilon)
        precision = data.xx.copy()
        precision[np.diag_indices_from(precision)] += 1 / sd**2
        factor = np.linalg.cholesky(precision).astype(np.float64, copy=False)
        # thousands of times, for which `solve_triangular` takes twice as long
        half, _ = dtrtrs(factor.T, data.xr, lower=0, trans=1)
        log_evidence = (
            -0.5 * data.log_det - np.log(sd).sum() - np.log(np.diag(factor)).sum() - 0.5 * (data.rr - half @ half)
        )
        return cls(design.prior_mean, factor, half, float(log_evidence))

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """(coefficients, n)"""
        apart = self.half[:, None] + rng.standard_normal((len(self.half), n))
        drawn: Floats = self.prior_mean[:, None] + solve_triangular(self.factor, apart, lower=True, trans="T")
        return drawn


@dataclass(frozen=True, eq=False)
class _Design:
    """The columns of the model: which coefficient multiplies what."""

    columns: dict[tuple[str, ...], int]
    prior_mean: Floats
    rates: tuple[Floats, Floats]
    """Mean of the log learning rates, and 1 where they vary, else 0, which leaves them out; (2,) each."""

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "_Design":
        logs = np.log([case.rates for case in cases if case.rates] or [(1.0, 1.0)])
        spread = logs.std(0)
        rates = (logs.mean(0), (spread > 1e-9).astype(np.float64))
        names = dict.fromkeys(name for case in cases for name, _ in _terms(case, rates))
        mean = [_PRIOR_MEAN.get(name[0], 0.0) for name in names]
        return cls({name: place for place, name in enumerate(names)}, np.array(mean), rates)

    def prior_sd(self, tau: float, upsilon: float) -> Floats:
        """(coefficients,)"""
        sd = np.array([*_PRIOR_SD.values(), tau, upsilon])
        return sd[self._kinds]

    @cached_property
    def _kinds(self) -> NDArray[np.intp]:
        """Of each coefficient the place of its kind among those of `_PRIOR_SD`, tau and upsilon."""
        places = {kind: place for place, kind in enumerate([*_PRIOR_SD, "differs by source", "differs by parts"])}
        return np.array([places[name[0]] for name in self.columns], dtype=np.intp)

    def has(self, case: Case) -> bool:
        """Whether all coefficients of the case are columns."""
        return all(name in self.columns for name, _ in _terms(case, self.rates))

    def matrix(self, cases: Sequence[Case]) -> Floats:
        """(cases, coefficients)"""
        x = np.zeros((len(cases), len(self.columns)))
        for row, case in zip(x, cases, strict=True):
            for name, value in _terms(case, self.rates):
                row[self.columns[name]] = value
        return x


_PRIOR_MEAN = {"slope": SLOPE, "method slope": _METHOD_SLOPE_MEAN, "rate squared": _CURVATURE_MEAN}
_PRIOR_SD = {
    "level": _LEVEL,
    "transfer": _TRANSFER,
    "parts": _EFFECT,
    "source": _EFFECT,
    "slope": _SLOPE_SPREAD,
    "rate": _RATE,
    "rate squared": _CURVATURE,
    "rate squared by parts": _CURVATURE / 2,
    "method": _TRANSFER,
    "method slope": _METHOD_SLOPE,
}

_Terms = list[tuple[tuple[str, ...], float]]
"""Coefficients by kind and name, and what each is multiplied with."""


def _terms(case: Case, rates: tuple[Floats, Floats]) -> _Terms:
    """The coefficients that a case has."""
    terms: _Terms = [(("level", case.level), 1.0), *_rate_terms(case, rates)]
    method, s, p = case.arm
    if case.arm == SCRATCH_ARM:
        return terms
    t = case.target
    if method != DEFAULT_METHOD:
        terms += [(("method", method), 1.0), (("differs by source", method, t), 1.0)]
        if s is None:
            return terms
        return [*terms, (("method slope", method), case.nearness), (("differs by source", method, t, s), 1.0)]
    assert s is not None, "fine-tuning of no source is scratch"
    terms += [(("transfer",), 1.0), (("parts", p), 1.0), (("source", s), 1.0), (("slope",), case.nearness)]
    terms += [(("differs by source", t), 1.0), (("differs by source", t, s), 1.0)]
    return [*terms, (("differs by parts", t, p), 1.0), (("differs by parts", t, s, p), 1.0)]


def _rate_terms(case: Case, rates: tuple[Floats, Floats]) -> _Terms:
    """What the learning rates do: for all trials that have them, and beside that for transferred ones, and by networks."""
    if case.rates is None:
        return []
    mean, varied = rates
    g, d = (np.log(case.rates) - mean) * varied
    terms: _Terms = [(("rate", "g"), g), (("rate", "d"), d), (("rate", "gd"), g * d)]
    terms += [(("rate squared", "g"), g * g), (("rate squared", "d"), d * d)]
    if case.arm.source is not None:
        terms += [(("rate", "transferred", "g"), g), (("rate", "transferred", "d"), d)]
        terms += [(("rate", case.arm.parts, "g"), g), (("rate", case.arm.parts, "d"), d)]
        terms += [(("rate squared by parts", case.arm.parts, "g"), g * g)]
        terms += [(("rate squared by parts", case.arm.parts, "d"), d * d)]
    return [(name, float(value)) for name, value in terms]
