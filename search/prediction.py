"""Which source will do best, predicted from every part of its likeness to the target by weights that were learnt.

Of the sources of a target, source s scores, after fine-tuning of both networks,

    log score_s = level of the target + w . x_s + e_s,    e_s ~ N(0, sigma^2)

x_s are the parts of `LEARNT` on a scale where they are about linear (`scaled`), less their means over the target's sources:
the level drops out, and what is predicted is how sources compare. w is normal a priori, about 0 but for the Frechet
distance's weight; sigma is on a grid, weighted by the marginal likelihood (ridge regression, e.g. Gelman and Hill 2007,
chapter 18). The posterior that ships with the package, `prediction.json`, is of the photo studies in README;
`benchmarks/rank_weights.py` fits it, and leaves one target out at a time to see what it is worth.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaces.records import Config
from trainables.sources.likeness import Part

LEARNT = ("distance", "kernel distance", "recall", "coverage", "precision", "own distance", "images")
"""What is weighed, whatever features the distances are in; `weighed` has the parts' names, in this order."""

DRAWS = 4000

_PRIOR_MEAN = (0.25, *(0.0,) * (len(LEARNT) - 1))
_PRIOR_SD = 0.25
_SIGMAS = np.geomspace(0.02, 0.6, 16)
_SMALLEST_KD = 1e-3
_SHARES = ("recall", "coverage", "precision")

Floats = NDArray[np.float64]


class Prediction(Config):
    """What is expected of a source beside the best of the others, before any training."""

    ratio: float
    """Its score over the best other source's: the median. Below 1 it is the best."""
    low: float
    high: float
    """Bounds that hold 90 % of what may come."""
    best: float
    """The probability that it is the best of all."""

    @property
    def separated(self) -> bool:
        """Whether it can be told apart from the best of the others: surely better, or surely worse."""
        return self.low > 1 or self.high < 1


class Weights(Config):
    """The posterior of w and sigma, and what it was learnt from."""

    parts: tuple[str, ...]
    spread: tuple[float, ...]
    """Standard deviation of each part among the sources of a target, where the weights were learnt."""
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    sigma: float
    about: str


class Seen(NamedTuple):
    """The sources of one target: their parts, (n, len(LEARNT)) by `scaled`, and their log scores, (n,)."""

    x: Floats
    y: Floats


@cache
def shipped() -> Weights:
    """The weights that come with the package."""
    path = Path(__file__).with_suffix(".json")
    return Weights.model_validate_json(path.read_text())


def weighed(distances: tuple[str, str]) -> tuple[str, ...]:
    """The parts of likeness that are weighed, where Frechet and kernel distance are called so."""
    return (*distances, *_SHARES, f"own_{distances[0]}", "images")


def scaled(parts: Mapping[str, Part], distances: tuple[str, str]) -> list[float]:
    """A source's parts as the model takes them, NaN where there is none. `distances` names Frechet and kernel distance."""

    def scale(name: str) -> float:
        part = parts.get(name)
        if part is None or part.value is None:
            return math.nan
        if name in _SHARES:  # 0 and 1 are counts that ran out, not certainties
            return math.log((part.value + 0.005) / (1 - part.value + 0.005))
        return math.log(max(part.value, _SMALLEST_KD if name == distances[1] else 1e-9))

    return [scale(name) for name in weighed(distances)]


def predict(
    found: Mapping[str, Mapping[str, Part]], distances: tuple[str, str], weights: Weights, seed: int = 0
) -> dict[str, Prediction]:
    """Predict each source of `found`, which has the parts of two at least, beside its best rival."""
    x = centred(np.array([scaled(parts, distances) for parts in found.values()])) / np.array(weights.spread)
    rng = np.random.default_rng(seed)
    w = rng.multivariate_normal(np.array(weights.mean), np.array(weights.covariance), DRAWS)  # (draws, parts)
    logs: Floats = w @ x.T + rng.standard_normal((DRAWS, len(x))) * weights.sigma  # (draws, sources)
    predicted = {}
    for number, name in enumerate(found):
        rivals = np.delete(logs, number, axis=1).min(1)
        low, middle, high = np.exp(np.percentile(logs[:, number] - rivals, [5, 50, 95]))
        best = float((logs[:, number] < rivals).mean())
        predicted[name] = Prediction(ratio=float(middle), low=float(low), high=float(high), best=best)
    return predicted


def centred(x: Floats) -> Floats:
    """Less the means over sources; a part that a source lacks is taken for the mean."""
    missing = np.isnan(x)
    sums, counts = np.where(missing, 0.0, x).sum(0), np.maximum((~missing).sum(0), 1)
    return np.where(missing, 0.0, x - sums / counts)


def fit(seen: Sequence[Seen], about: str) -> Weights:
    """The posterior of the weights, given what came of the sources of some targets."""
    raw = np.concatenate([centred(one.x) for one in seen])
    spread = np.where(raw.std(0) > 1e-9, raw.std(0), 1.0)
    x, y = raw / spread, np.concatenate([one.y - one.y.mean() for one in seen])
    free = len(y) - len(seen)  # each target's level took one away
    fits = [_posterior(x, y, free, float(sigma)) for sigma in _SIGMAS]
    log_evidence = np.array([evidence for _, _, evidence in fits])
    chances = np.exp(log_evidence - log_evidence.max())
    chances /= chances.sum()
    means = np.array([mean for mean, _, _ in fits])
    mean = chances @ means
    spreads = [cov + np.outer(m - mean, m - mean) for m, cov, _ in fits]
    covariance = sum(chance * cov for chance, cov in zip(chances, spreads, strict=True))
    values: dict[str, Any] = {
        "parts": LEARNT,
        "spread": spread.tolist(),
        "mean": mean.tolist(),
        "covariance": np.asarray(covariance).tolist(),
        "sigma": float(chances @ _SIGMAS),
        "about": about,
    }
    return Weights.model_validate(values)


def _posterior(x: Floats, y: Floats, free: int, sigma: float) -> tuple[Floats, Floats, float]:
    """Mean and covariance of the weights for one sigma, and the log evidence for it but for a constant."""
    prior = np.array(_PRIOR_MEAN)
    precision = x.T @ x / sigma**2 + np.eye(len(prior)) / _PRIOR_SD**2
    covariance: Floats = np.linalg.inv(precision).astype(np.float64)
    residual = y - x @ prior
    pull = x.T @ residual / sigma**2
    log_evidence = (
        -free * math.log(sigma)
        - 0.5 * np.linalg.slogdet(precision)[1]
        - 0.5 * (residual @ residual / sigma**2 - pull @ covariance @ pull)
    )
    mean: Floats = prior + covariance @ pull
    return mean, covariance, float(log_evidence)
