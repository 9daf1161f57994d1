"""A model of what transfer comes to: scores of trials on several targets, explained and predicted with their uncertainty.

For trial i of block b (a study, at one number of target images) on target t, from source s with parts p transferred:

    log score_i = B_b + T_i (A + P_p + S_s + k z_ts + a_t + c_tp + u_ts + v_tsp) + w . x_i + e_i,    e_i ~ N(0, sigma^2)

T_i is 0 from scratch and 1 else, so all in brackets is relative to scratch: one source's gain in one block cancels what
all trials of the block share. z_ts is the log of the ranking's distance between s and t, less its mean over the target's
sources. x_i are the logs of the learning rates (linear, quadratic and crossed, and linear for transferred ones alone),
standardised; w is left out where they never vary. Scores are positive and lower is better: Frechet distances.

Every coefficient is normal a priori, with mean 0 but for k:

    B ~ 5 (as good as free)   A ~ 1   P, S ~ 0.5   k ~ 0.25 +- 0.25   w ~ 0.5   a, c, u, v ~ tau

tau is how much targets differ, sigma how much equal trials do (seeds, and what the model misses). Both are half-normal a
priori with scale 0.5: without replicates or a second target they are hardly known, and intervals are as wide as that.
For given (sigma, tau) the posterior is normal in closed form; over a grid of them it is weighted by the marginal
likelihood, so no point estimate makes an interval too narrow. A source without any trial differs from others by S, u and
its ranking alone. This is ridge regression with random effects (e.g. Gelman and Hill 2007, chapters 11 to 13).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BLOCK, _TRANSFER, _EFFECT, _RATE = 5.0, 1.0, 0.5, 0.5
_SLOPE_MEAN, _SLOPE = 0.25, 0.25
_SCALE = 0.5
_SIGMAS = np.geomspace(0.01, 1.5, 15)
_TAUS = np.geomspace(0.01, 1.5, 12)

Floats = NDArray[np.float64]


class Case(NamedTuple):
    """What the model knows of a trial, tried or to come."""

    block: str
    target: str
    source: str | None
    """None from scratch; parts and nearness mean nothing then."""
    parts: str
    nearness: float
    """z_ts"""
    lr_g: float
    lr_d: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """Draws of the predicted log scores of some cases."""

    mean: Floats
    """Log scores by draw, (draws, cases): of an endless number of trials of the case."""
    sigma: Floats
    """(draws,): spread of single trials about it."""


def posterior(cases: Sequence[Case], log_scores: Floats, asked: Sequence[Case], draws: int, seed: int) -> Posterior:
    """Predict the cases `asked` from those tried, of which there may be none; the same draws for the same seed."""
    design = _Design.of([*cases, *asked])
    x, x_asked = design.matrix(cases), design.matrix(asked)
    centre = float(log_scores.mean()) if len(log_scores) else 0.0
    y: Floats = log_scores - centre
    fits = [(s, _Fit.of(x, y, design, float(s), float(t))) for s in _SIGMAS for t in _TAUS]
    prior = [np.log(s * t) - (s**2 + t**2) / (2 * _SCALE**2) for s in _SIGMAS for t in _TAUS]  # on a log grid
    log_weights = np.array([fit.log_evidence for _, fit in fits]) + prior
    weights = np.exp(log_weights - log_weights.max())
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(draws, weights / weights.sum())
    drawn = [x_asked @ fit.draw(int(n), rng) for n, (_, fit) in zip(counts, fits, strict=True) if n]  # (cases, n) each
    mean: Floats = np.concatenate(drawn, axis=1).T + centre
    return Posterior(mean, np.repeat([sigma for sigma, _ in fits], counts))


@dataclass(frozen=True, eq=False)
class _Fit:
    """The normal posterior of the coefficients for one sigma and tau."""

    mean: Floats
    factor: Floats
    """Lower Cholesky factor of the posterior's precision."""
    log_evidence: float

    @classmethod
    def of(cls, x: Floats, y: Floats, design: "_Design", sigma: float, tau: float) -> "_Fit":
        sd = np.where(np.isnan(design.sd), tau, design.sd)
        residual = y - x @ design.prior_mean
        precision = np.diag(1 / sd**2) + x.T @ x / sigma**2
        factor: Floats = np.linalg.cholesky(precision).astype(np.float64)
        half = np.linalg.solve(factor, x.T @ residual / sigma**2)
        log_evidence = (
            -len(y) * np.log(sigma) - np.log(sd).sum() - np.log(np.diag(factor)).sum()
            - 0.5 * (residual @ residual / sigma**2 - half @ half)
        )  # fmt: skip
        return cls(design.prior_mean + np.linalg.solve(factor.T, half), factor, float(log_evidence))

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """(coefficients, n)"""
        noise = np.linalg.solve(self.factor.T, rng.standard_normal((len(self.mean), n)))
        drawn: Floats = self.mean[:, None] + noise
        return drawn


@dataclass(frozen=True, eq=False)
class _Design:
    """The columns of the model: which coefficient multiplies what."""

    columns: dict[tuple[str, ...], int]
    prior_mean: Floats
    sd: Floats
    """nan for tau."""
    rates: tuple[Floats, Floats]
    """Mean and standard deviation of the log learning rates, (2,) each; a deviation of 0 leaves them out."""

    @classmethod
    def of(cls, cases: Sequence[Case]) -> "_Design":
        logs = np.log([[case.lr_g, case.lr_d] for case in cases])
        spread = logs.std(0)
        rates = (logs.mean(0), np.where(spread > 1e-9, spread, 0.0))
        names = dict.fromkeys(name for case in cases for name, _ in _terms(case, rates))
        mean = [_SLOPE_MEAN if name[0] == "slope" else 0.0 for name in names]
        sd = [_PRIOR_SD[name[0]] for name in names]
        return cls({name: place for place, name in enumerate(names)}, np.array(mean), np.array(sd), rates)

    def matrix(self, cases: Sequence[Case]) -> Floats:
        """(cases, coefficients)"""
        x = np.zeros((len(cases), len(self.columns)))
        for row, case in zip(x, cases, strict=True):
            for name, value in _terms(case, self.rates):
                row[self.columns[name]] = value
        return x


_PRIOR_SD = {
    "block": _BLOCK, "transfer": _TRANSFER, "parts": _EFFECT, "source": _EFFECT, "slope": _SLOPE, "rate": _RATE,
    "differs": np.nan,
}  # fmt: skip


def _terms(case: Case, rates: tuple[Floats, Floats]) -> list[tuple[tuple[str, ...], float]]:
    """The coefficients that a case has, by kind and name, and what they are multiplied with."""
    mean, spread = rates
    g, d = ((np.log([case.lr_g, case.lr_d]) - mean) / np.where(spread > 0, spread, 1)) * (spread > 0)
    terms: list[tuple[tuple[str, ...], float]] = [(("block", case.block), 1.0)]
    terms += [(("rate", name), float(v)) for name, v in {"g": g, "d": d, "gg": g * g, "dd": d * d, "gd": g * d}.items()]
    if case.source is None:
        return terms
    t, s, p = case.target, case.source, case.parts
    terms += [(("rate", "transferred g"), float(g)), (("rate", "transferred d"), float(d))]
    terms += [(("transfer",), 1.0), (("parts", p), 1.0), (("source", s), 1.0), (("slope",), case.nearness)]
    return terms + [(("differs", *of), 1.0) for of in ((t,), (t, "parts", p), (t, "source", s), (t, "cell", s, p))]
