"""Which source will do best, predicted from every part of its likeness to the target and from what it did on other targets.

Of the sources of a target t, source s scores, after fine-tuning of both networks,

    log score_ts = level of the target + w . x_ts + u_s + e_ts,    u_s ~ N(0, tau^2),    e_ts ~ N(0, sigma^2)

x_ts are the parts of `SENSE` on a scale where they are about linear (`scaled`), less their means over the target's sources:
the level drops out, and what is predicted is how sources compare. u_s is what source s does on whatever target, beyond its
likeness: it is learnt from a home's own trials on other targets, and a source without any has 0 +- tau.

How two sources compare is theirs alone: means drop out of differences, and what a source lacks of its own facts is taken for
what is typical where weights were learnt, not for the mean of those beside it. So `expected` orders sources alike whoever else
is ranked; a `Prediction` is beside the best of the others, and its numbers go with who they are.

The weights are learnt once, by `fit` (`benchmarks/judging/rank_weights.py`), from the photo studies (docs/photos.md), and ship
with the package, `prediction.json`; a home's trials leave them as they are. w is normal a priori, about 0 but for the Frechet
distance's slope, with deviation omega for each standard deviation of a part. sigma, tau and omega are half-normal a priori
and on a grid, weighted by the marginal likelihood (ridge regression with random effects, e.g. Gelman and Hill 2007, chapters
11 to 13). Parts of one target go together, above all the two distances, and few targets would make one of two such weights
negative to correct the other: right where they were learnt, nonsense where the two part. So a part whose weight came out
against its sense (`SENSE`) is left out, the worst first, and the others are learnt anew.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaces.records import Config
from trainables.sources.likeness import Part

SENSE: Mapping[str, int] = {
    "distance": 1,
    "kernel distance": 1,
    "recall": -1,
    "coverage": -1,
    "precision": -1,
    "own distance": 1,
    "images": -1,
}
"""What may be weighed, whatever features the distances are in, in the order in which `weighed` has the parts' names: 1 where
more of it can only make scores worse, -1 where it can only make them better."""

LEARNT = tuple(SENSE)

DRAWS = 4000

_SLOPE = 0.25
"""A priori, of the log score in the log of the Frechet distance, as in `search.picking.transfer_model`."""
_SIGMAS = np.geomspace(0.02, 0.6, 12)
_TAUS = np.geomspace(0.01, 0.6, 11)
_OMEGAS = np.geomspace(0.01, 0.4, 8)
_SCALE = 0.5
"""Of the half-normal priors of all three."""
_SMALLEST_KD = 1e-3
_SHARES = ("recall", "coverage", "precision")
_OWN = ("own distance", "images")
"""Parts that have nothing to do with the target, which a source from elsewhere may lack."""

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
    """The posterior of w, sigma and tau, and what it was learnt from."""

    parts: tuple[str, ...]
    spread: tuple[float, ...]
    """Standard deviation of each part among the sources of a target, where the weights were learnt."""
    mean: tuple[float, ...]
    """Of the log score, a standard deviation of the part; 0 of a part that was left out."""
    covariance: tuple[tuple[float, ...], ...]
    sigma: float
    tau: float
    typical: dict[str, float]
    """The mean, by `scaled`, of the parts that are a source's own facts, over the sources where the weights were learnt."""
    about: str


class Seen(NamedTuple):
    """The sources of one target: names, their parts, (n, len(LEARNT)) by `scaled`, and their log scores, (n,)."""

    sources: tuple[str, ...]
    x: Floats
    y: Floats


class Elsewhere(NamedTuple):
    """What a source did on other targets, beyond its likeness to them."""

    ratio: float
    """Its scores over those of a source of which nothing is known: below 1 it does better than it looks."""
    targets: int


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
    found: Mapping[str, Mapping[str, Part]],
    distances: tuple[str, str],
    weights: Weights,
    elsewhere: Sequence[Seen] = (),
) -> dict[str, Prediction]:
    """Predict each source of `found`, which has the parts of two at least, beside its best rival.

    `elsewhere` is what came of sources on other targets of the home.
    """
    x = _compared(found, distances, weights)
    rng = np.random.default_rng(0)
    w = rng.multivariate_normal(np.array(weights.mean), np.array(weights.covariance), DRAWS)  # (draws, parts)
    effects = _Effects.of(weights, elsewhere, tuple(found))
    u = effects.means(w) + rng.standard_normal((DRAWS, len(effects.names))) @ effects.root.T  # (draws, names)
    own = u[:, [effects.names.index(name) for name in found]]
    logs: Floats = w @ x.T + own + rng.standard_normal((DRAWS, len(x))) * weights.sigma  # (draws, sources)
    predicted = {}
    for number, name in enumerate(found):
        rivals = np.delete(logs, number, axis=1).min(1)
        low, middle, high = np.exp(np.percentile(logs[:, number] - rivals, [5, 50, 95]))
        best = float((logs[:, number] < rivals).mean())
        predicted[name] = Prediction(ratio=float(middle), low=float(low), high=float(high), best=best)
    return predicted


def expected(
    found: Mapping[str, Mapping[str, Part]],
    distances: tuple[str, str],
    weights: Weights,
    elsewhere: Sequence[Seen] = (),
) -> dict[str, float]:
    """The log score to be expected of each source, by its likeness and by what it did elsewhere, less a constant of all.

    Differences of two sources are the same whoever else is among them.
    """
    mean = np.array(weights.mean)
    effects = _Effects.of(weights, elsewhere, ())
    known = dict(zip(effects.names, effects.means(mean[None])[0], strict=True))
    logs = _compared(found, distances, weights) @ mean
    return {name: float(log + known.get(name, 0.0)) for name, log in zip(found, logs, strict=True)}


def _compared(found: Mapping[str, Mapping[str, Part]], distances: tuple[str, str], weights: Weights) -> Floats:
    """A row a source, in standard deviations of parts, less their means.

    A source's distance to its own domain counts in the features where the weights were learnt: in others nothing is typical.
    """
    x = np.array([scaled(parts, distances) for parts in found.values()]).reshape(-1, len(LEARNT))
    for part in _OWN:
        values = x[:, LEARNT.index(part)]
        values[np.isnan(values)] = weights.typical[part]
    if distances[0] != "fd":
        x[:, LEARNT.index("own distance")] = math.nan
    compared: Floats = centred(x) / np.array(weights.spread)
    return compared


def on_other_targets(weights: Weights, elsewhere: Sequence[Seen]) -> dict[str, Elsewhere]:
    """What each source that was tried on other targets did there, in the mean of what may be."""
    effects = _Effects.of(weights, elsewhere, ())
    ratios = np.exp(effects.means(np.array([weights.mean]))[0])
    counts = [sum(name in one.sources for one in elsewhere) for name in effects.names]
    return {name: Elsewhere(float(r), n) for name, r, n in zip(effects.names, ratios, counts, strict=True)}


class _Effects(NamedTuple):
    """The sources' effects u given w, by trials on other targets: normal, with a mean that is linear in w."""

    names: tuple[str, ...]
    x: Floats
    y: Floats
    gain: Floats
    """(names, rows): the mean of u is gain @ (y - x @ w)."""
    root: Floats
    """(names, names): of its covariance."""

    @classmethod
    def of(cls, weights: Weights, elsewhere: Sequence[Seen], others: tuple[str, ...]) -> "_Effects":
        names = tuple(sorted({*others, *(name for one in elsewhere for name in one.sources)}))
        x, z, y = _rows(elsewhere, names)
        covariance = np.linalg.inv(z.T @ z / weights.sigma**2 + np.eye(len(names)) / weights.tau**2)
        return cls(
            names,
            x / np.array(weights.spread),
            y,
            covariance @ z.T / weights.sigma**2,
            np.asarray(np.linalg.cholesky(covariance), np.float64),
        )

    def means(self, w: Floats) -> Floats:
        """(draws, names), of weights (draws, parts)."""
        found: Floats = (self.y - w @ self.x.T) @ self.gain.T
        return found


def _rows(seen: Sequence[Seen], names: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """A row a source of each target: parts, sources by `names` and log scores, all less the target's means."""
    x = [centred(one.x) for one in seen]
    z = [np.array([[float(source == name) for name in names] for source in one.sources]) for one in seen]
    y = [one.y - one.y.mean() for one in seen]
    return (
        np.concatenate(x or [np.zeros((0, len(LEARNT)))]),
        np.concatenate([each - each.mean(0) for each in z] or [np.zeros((0, len(names)))]),
        np.concatenate(y or [np.zeros(0)]),
    )


def centred(x: Floats) -> Floats:
    """Less the means over sources; a part that a source lacks is taken for the mean."""
    missing = np.isnan(x)
    sums, counts = np.where(missing, 0.0, x).sum(0), np.maximum((~missing).sum(0), 1)
    return np.where(missing, 0.0, x - sums / counts)


def fit(seen: Sequence[Seen], about: str) -> Weights:
    """The posterior of the weights, given what came of the sources of some targets; see the module's words."""
    raw, z, y = _rows(seen, sorted({name for one in seen for name in one.sources}))
    spread = np.where(raw.std(0) > 1e-9, raw.std(0), 1.0)
    free = len(y) - len(seen)  # each target's level took one away
    sense, kept = np.array(list(SENSE.values())), list(range(len(LEARNT)))
    while True:
        prior = np.where(np.array(kept) == 0, _SLOPE * spread[0], 0.0)
        mean, covariance, sigma, tau = _averaged((raw / spread)[:, kept], z, y, prior, free)
        if not kept or (mean * sense[kept]).min() >= 0:
            break
        del kept[int(np.argmin(mean * sense[kept]))]
    whole = np.zeros(len(LEARNT)), np.zeros((len(LEARNT), len(LEARNT)))
    whole[0][kept], whole[1][np.ix_(kept, kept)] = mean, covariance
    own = np.concatenate([one.x for one in seen])
    values: dict[str, Any] = {
        "parts": LEARNT,
        "spread": spread.tolist(),
        "mean": whole[0].tolist(),
        "covariance": whole[1].tolist(),
        "sigma": sigma,
        "tau": tau,
        "typical": {part: float(np.nanmean(own[:, LEARNT.index(part)])) for part in _OWN},
        "about": about,
    }
    return Weights.model_validate(values)


def _averaged(x: Floats, z: Floats, y: Floats, prior: Floats, free: int) -> tuple[Floats, Floats, float, float]:
    """Mean and covariance of the weights, sigma and tau, over the grid of sigma, tau and omega."""
    grid = np.array(list(product(_SIGMAS, _TAUS, _OMEGAS)))  # logarithmic: hence the log in the prior
    fits = [_posterior(x, z, y, prior, free, *map(float, scales)) for scales in grid]
    log_chances = (
        np.array([evidence for _, _, evidence in fits]) + np.log(grid).sum(1) - (grid**2).sum(1) / (2 * _SCALE**2)
    )
    chances = np.exp(log_chances - log_chances.max())
    chances /= chances.sum()
    means, covariances = np.array([mean for mean, _, _ in fits]), np.array([covariance for _, covariance, _ in fits])
    mean = chances @ means
    apart = means - mean
    covariance = np.tensordot(chances, covariances, 1) + (apart * chances[:, None]).T @ apart
    sigma, tau, _ = chances @ grid
    return mean, covariance, float(sigma), float(tau)


def _posterior(
    x: Floats, z: Floats, y: Floats, prior: Floats, free: int, sigma: float, tau: float, omega: float
) -> tuple[Floats, Floats, float]:
    """Mean and covariance of the weights for one sigma, tau and omega, and the log evidence for these but for a constant."""
    both, parts = np.hstack([x, z]), x.shape[1]
    sd = np.array([omega] * parts + [tau] * z.shape[1])
    precision = both.T @ both / sigma**2 + np.diag(1 / sd**2)
    covariance: Floats = np.linalg.inv(precision).astype(np.float64)
    residual = y - x @ prior
    pull = both.T @ residual / sigma**2
    log_evidence = (
        -free * math.log(sigma)
        - np.log(sd).sum()
        - 0.5 * np.linalg.slogdet(precision)[1]
        - 0.5 * (residual @ residual / sigma**2 - pull @ covariance @ pull)
    )
    mean: Floats = prior + (covariance @ pull)[:parts]
    return mean, covariance[:parts, :parts], float(log_evidence)
