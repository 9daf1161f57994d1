"""`understock pick`: from the ranking and all earlier trials to one configuration, and how sure that is.

The pick is the arm (scratch, or a source with the parts to transfer) whose log score has the lowest posterior mean under
`transfer_model`, with the best of the learning rates that were tried. What is said of it comes from the same draws:

- its expected score is the median, with an interval that holds 90 % of single trainings; where no trial had as many of the
  target's images as are asked for, only the ratio to scratch is known;
- it is said to beat another arm where it does so in 95 % of draws at least; else the two are not separated;
- a training that diverged has no score and counts against its arm: that, and above all its learning rates, is expected to
  diverge again as often as it did, and then to score twice what the worst of a target does;
- what a search would still gain, of what ever varied: in each draw the arms have true scores; N trials are dealt out to
  the arms, the likeliest first, each seeing its arm's score with noise sigma; the arm that then looks best is compared
  with the pick.

Without any trial there is only the ranking, and the pick says so: no score, no interval.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.picking.arms import SCRATCH_ARM, Arm, Rates
from search.picking.evidence import Dead, Evidence, Tried
from search.picking.transfer_model import Case, Posterior, posterior
from spaces.config import SCRATCH
from spaces.records import Config
from spaces.trials import DEFAULT_METHOD, makes_more, takes_models

DRAWS = 4000
SURE = 0.95
"""Of the draws, in which one arm must beat another to be called better."""
INTERVAL = (5.0, 95.0)
DEFAULT_PARTS = "both"
"""What to transfer where nothing was tried: the paper's finding."""

_DOUBT = 1.0
"""Trainings that came to a score which every choice is given, before it is said how often it diverges."""
_ELSEWHERE, _OTHER_RATES = 0.25, 0.5
"""What a training counts there, if it was on another target, and if it had other learning rates."""

RATES = 10
"""Pairs of learning rates that are considered for an arm."""

Floats = NDArray[np.float64]


class Interval(Config):
    """A median, and the bounds that hold 90 % of draws."""

    expected: float
    low: float
    high: float


class Rival(Config):
    """Another arm beside the pick."""

    method: str = DEFAULT_METHOD
    source: str
    parts: str
    worse_with_probability: float
    """That the pick's true score is the better one."""
    ratio: Interval
    """The rival's score over the pick's, of an endless number of trials each."""
    trials: int
    """That were on this target."""

    @property
    def arm(self) -> Arm:
        """What it is a rival as."""
        return Arm(self.method, None if self.source == SCRATCH else self.source, self.parts)

    @property
    def separated(self) -> bool:
        """Whether the evidence tells the two apart."""
        return self.worse_with_probability >= SURE


class SearchGain(Config):
    """What a search of so many trials would likely still gain over the pick."""

    trials: int
    hours: float | None
    """Of one trial at a time."""
    ratio: Interval
    """Score after the search over the pick's, by what ever varied: sources, and the ways they were used; 1 is no gain."""
    unvaried: tuple[str, ...] = ()
    """What a search varies and no trial ever did: what that would gain is not known."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """The arms of a target under the model, best first, and the draws behind them."""

    arms: list[Arm]
    rates: dict[Arm, Rates | None]
    """lr_g and lr_d; None for a method without."""
    known: bool
    """Whether trials on this target fix the level of its scores."""
    means: Floats
    """Log scores by draw, (draws, arms): relative to scratch where the level is not known."""
    sigma: Floats
    rho: Floats
    """(draws,) each: how much single trials, and studies, differ."""

    @property
    def order(self) -> list[int]:
        """Indices of the arms by posterior mean."""
        return [int(i) for i in np.argsort(self.means.mean(0), kind="stable")]


def judge(
    evidence: Evidence,
    target: str,
    sources: Sequence[str],
    seed: int = 0,
    level: str | None = None,
    *,
    domains: Mapping[str, Sequence[str]] | None = None,
    with_shots: bool = False,
) -> Judgement:
    """Predict every arm of `sources`, and scratch, on a target of which the evidence may know nothing but the ranking.

    `level` is what is asked for, by default the target with all of its images. `sources` are source models, `domains`
    by method those whose images it may take; methods that make more of a few images of each class are among the arms if it
    is `with_shots`. The evidence has one trial at least, of whatever target.
    """
    assert evidence.tried, "without any trial there are no learning rates to choose from"
    level = level or target
    arms = [SCRATCH_ARM, *_arms(evidence, sources, domains or {}, with_shots)]
    options = {arm: _rates_tried(evidence, arm) for arm in arms}
    asked = [case_of(evidence, target, level, arm, rates) for arm in arms for rates in options[arm]]
    tried = [
        case_of(evidence, one.target, one.level, one.arm, one.rates)._replace(study=one.study, error=one.error)
        for one in evidence.tried
    ]
    drawn = posterior(tried, np.log([one.score for one in evidence.tried]), asked, DRAWS, seed)
    if any(one.diverged for one in evidence.dead):
        risks = [_risk(evidence, target, arm, rates) for arm in arms for rates in options[arm]]
        drawn = replace(drawn, mean=drawn.mean + np.array(risks) * _worst(evidence))
    return _best_rates(drawn, arms, options, known=any(one.level == level for one in evidence.of(target)))


def _risk(evidence: Evidence, target: str, arm: Arm, rates: Rates | None) -> float:
    """How often trainings of an arm with these rates diverge, by those of it that there were."""

    def counted(one: Tried | Dead) -> float:
        return (1 if one.target == target else _ELSEWHERE) * (1 if one.rates == rates else _OTHER_RATES)

    lost = sum(counted(one) for one in evidence.dead if one.diverged and one.arm == arm)
    return lost / (lost + sum(counted(one) for one in evidence.tried if one.arm == arm) + _DOUBT)


def _worst(evidence: Evidence) -> float:
    """How far twice a target's worst score lies above its best, in logs: the median over levels with more than one score."""
    levels: dict[str, list[float]] = defaultdict(list)
    for one in evidence.tried:
        levels[one.level].append(math.log(one.score))
    return math.log(2) + float(
        np.median([max(found) - min(found) for found in levels.values() if len(found) > 1] or [0.0])
    )


def _arms(
    evidence: Evidence, sources: Sequence[str], domains: Mapping[str, Sequence[str]], with_shots: bool
) -> Iterator[Arm]:
    """Every way that was tried, fine-tuning's first, of each source that it can take."""
    tried = {(one.arm.method, one.arm.parts) for one in evidence.tried if one.source is not None}
    ways = sorted(tried, key=lambda way: (way[0] != DEFAULT_METHOD, way)) or [(DEFAULT_METHOD, DEFAULT_PARTS)]
    of_models = [way for way in ways if takes_models(way[0])]
    yield from (Arm(method, source, parts) for source in sources for method, parts in of_models)
    fitting = [way for way in ways if with_shots or not makes_more(way[0])]
    yield from (Arm(method, source, parts) for method, parts in fitting for source in domains.get(method, ()))
    of_none = {one.arm for one in evidence.tried if one.source is None} - {SCRATCH_ARM}
    yield from sorted(arm for arm in of_none if with_shots or not makes_more(arm.method))


def _best_rates(drawn: Posterior, arms: list[Arm], options: Mapping[Arm, list[Rates | None]], known: bool) -> Judgement:
    """Of each arm the learning rates with the best posterior mean."""
    columns, rates, start = [], {}, 0
    for arm in arms:
        stop = start + len(options[arm])
        best = start + int(np.argmin(drawn.mean[:, start:stop].mean(0)))
        columns.append(best)
        rates[arm] = options[arm][best - start]
        start = stop
    means = drawn.mean[:, columns]
    return Judgement(arms, rates, known, means if known else means - means[:, :1], drawn.sigma, drawn.rho)


def _rates_tried(evidence: Evidence, arm: Arm) -> list[Rates | None]:
    """The learning rates of the best trials of the arm's kind (from scratch, or transferred), beside others of their level.

    Where there are none of the kind, those of all trials of the method; never such as were not tried.
    """
    of_method = [one for one in evidence.tried if one.arm.method == arm.method] or evidence.tried
    kind = [one for one in of_method if (one.arm == SCRATCH_ARM) == (arm == SCRATCH_ARM)] or of_method
    levels: dict[str, list[float]] = defaultdict(list)
    for one in kind:
        levels[one.level].append(one.score)
    ordered = sorted(kind, key=lambda one: one.score / float(np.median(levels[one.level])))
    return list(dict.fromkeys(one.rates for one in ordered))[:RATES]


def case_of(evidence: Evidence, target: str, level: str, arm: Arm, rates: Rates | None) -> Case:
    """What the model knows of a trial of this arm, tried or to come."""
    distances = evidence.rankings.get(target, {})
    nearness = 0.0
    if arm.source in distances:
        nearness = float(np.log(distances[arm.source]) - np.mean(np.log(list(distances.values()))))
    return Case(level, target, arm, nearness, rates)


def rivals(judged: Judgement, evidence: Evidence, target: str) -> list[Rival]:
    """Every other arm, best first, beside the first."""
    first, *others = judged.order
    found = []
    for i in others:
        arm = judged.arms[i]
        gap = judged.means[:, i] - judged.means[:, first]
        tried = sum(one.arm == arm and one.is_trial for one in evidence.of(target))
        worse = float((gap > 0).mean())
        found.append(
            Rival(
                method=arm.method,
                source=arm.source or SCRATCH,
                parts=arm.parts,
                worse_with_probability=worse,
                ratio=_interval(np.exp(gap)),
                trials=tried,
            )
        )
    return found


def expected(judged: Judgement, seed: int = 0) -> tuple[Interval | None, Interval]:
    """The score of one training of the pick, if the target's level is known, and its ratio to one from scratch."""
    first = judged.order[0]
    noise = np.random.default_rng(seed).standard_normal(len(judged.sigma))
    mine = judged.means[:, first] + noise * np.hypot(judged.sigma, judged.rho)
    score = _interval(np.exp(mine)) if judged.known else None
    scratch = judged.arms.index(SCRATCH_ARM)
    return score, _interval(np.exp(judged.means[:, first] - judged.means[:, scratch]))


def unvaried(evidence: Evidence) -> tuple[str, ...]:
    """Of what a search varies beside the source, that which all trials have alike."""
    tuned = [one for one in evidence.tried if one.rates]
    gans = [one for one in tuned if one.arm.method == DEFAULT_METHOD]
    parts = {one.arm.parts for one in gans if one.arm != SCRATCH_ARM}
    alike = {
        "learning rates": len({one.rates for one in tuned}) < 2,
        "the networks transferred": bool(gans) and len(parts) < 2,
    }
    return tuple(name for name, same in alike.items() if same)


def search_gain(
    judged: Judgement, trials: int, hours: float | None, seed: int = 0, unvaried: tuple[str, ...] = ()
) -> SearchGain:
    """Deal `trials` out to the arms, likeliest first; see the module's words."""
    rng = np.random.default_rng(seed)
    means, order = judged.means, judged.order
    counts = np.zeros(len(order))
    for place, arm in enumerate(order):
        counts[arm] = trials // len(order) + (place < trials % len(order))
    prior, variance = means.mean(0), np.maximum(means.var(0), 1e-12)
    seen = counts > 0
    noise = rng.standard_normal(means.shape) * judged.sigma[:, None] / np.sqrt(np.maximum(counts, 1))
    weight = seen * variance / (variance + judged.sigma[:, None] ** 2 / np.maximum(counts, 1))
    after = prior + weight * (means + noise - prior)
    chosen = after.argmin(1)
    gap = means[np.arange(len(means)), chosen] - means[:, order[0]]
    return SearchGain(trials=trials, hours=hours, ratio=_interval(np.exp(gap)), unvaried=unvaried)


def _interval(draws: Floats) -> Interval:
    low, middle, high = np.percentile(draws, [INTERVAL[0], 50.0, INTERVAL[1]])
    return Interval(expected=float(middle), low=float(low), high=float(high))


def pattern(evidence: Evidence, target: str, arm: Arm, level: str | None = None) -> Tried:
    """The trial whose other settings a training of the arm takes: the best of the arm here, else elsewhere, else any."""

    def distance(one: Tried) -> tuple[bool, bool, bool, bool, float]:
        other_method = one.arm.method != arm.method
        return one.arm != arm, other_method, one.level != (level or target), one.target != target, one.score

    return min(evidence.tried, key=distance)
