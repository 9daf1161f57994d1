"""Whether a trial that has begun should go on: by what its learning curve promises, for what that costs.

At each evaluation the trial's curve is carried on to its budget (`search.picking.extrapolation`), from the curves of the trials
that the search began from and of its own. What going on is worth is the expected improvement over the best score of a trial
that came to its end, in logs, by the share of a trial that it still costs. A new trial is worth the same by the whole of its
cost, being one like those so far. The trial is stopped where it is worth less than a new one. Nothing
is stopped until enough trials have been seen, and one came to its end.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from scipy.stats import norm

from search.picking.arms import Arm
from search.picking.curves import Curve
from search.picking.extrapolation import Extrapolation, Outcome
from search.records.study import StudyPaths
from spaces.config import TrialConfig
from spaces.plain_json import parse_json
from trainables.storage.home import fetch, writing

ENOUGH = 3
"""Trials that were seen before any is stopped."""


@dataclass(frozen=True)
class Believed:
    """What was believed of a trial at one of its evaluations."""

    trial: int
    images: int
    score: float
    low: float
    high: float
    """Of the score at the budget: what is expected, and the bounds that hold 90 %."""
    chance: float
    """Of beating the best one so far."""
    worth: float
    """What going on promises over what a new trial does, each by its cost; endless where a new one promises nothing."""
    stopped: bool


class Beliefs:
    """The file of what was believed in a study, of which one process writes at a time."""

    def __init__(self, paths: StudyPaths) -> None:
        self._path = paths.beliefs
        self._known = {(each.trial, each.images): each for each in beliefs_of(paths)}

    def note(self, believed: Believed) -> None:
        """Write it down behind those before; of one evaluation the first belief stays."""
        if (believed.trial, believed.images) in self._known:
            return
        self._known[believed.trial, believed.images] = believed
        with writing(self._path) as beside:
            beside.write_text("".join(json.dumps(asdict(each)) + "\n" for each in self._known.values()))


def beliefs_of(paths: StudyPaths) -> list[Believed]:
    """What was believed at each decision of a study, in their order; a line that is damaged is left out."""
    fetch(paths.beliefs)
    found = []
    for line in paths.beliefs.read_bytes().splitlines() if paths.beliefs.is_file() else ():
        try:
            found.append(Believed(**parse_json(line, finite=False)))
        except (ValueError, TypeError):
            continue
    return found


@dataclass
class CurveStopping:
    """The trials of a search by their curves, and what is to become of them. Scores are positive, lower is better."""

    target: str
    images: int
    """The budget."""
    earlier: Sequence[Curve]
    """What the search began from."""
    config: TrialConfig
    """Of any trial; a curve has one."""
    _arms: dict[int, Arm] = field(default_factory=dict)
    _scores: dict[int, dict[int, float]] = field(default_factory=dict)
    _pace: dict[int, float] = field(default_factory=dict)
    """Seconds for each image of a trial."""
    _told: Extrapolation | None = None
    _outcomes: dict[int, Outcome | None] = field(default_factory=dict)
    """What the trials come to, as far as it was asked since anything was told."""

    def see(self, trial: int, arm: Arm, images: int, score: float, seconds: float) -> Believed | None:
        """An evaluation of a trial; gives what is believed of it, None where that is nothing."""
        self._arms[trial] = arm
        self._scores.setdefault(trial, {})[images] = math.log(score)
        self._outcomes.pop(trial, None)
        if not images:
            return None
        self._pace[trial] = seconds / images
        if images >= self.images:
            self._told = None  # its curve is learnt from
            return None
        if self._told is None:
            self._told = Extrapolation([*self.earlier, *self._through], self.images)
            self._outcomes.clear()
        outcome = self._outcome(trial)
        others = [found for other in self._scores if other != trial and (found := self._outcome(other))]
        through = (self._scores[each] for each, arm in self._arms.items() if self._ended(each) and arm.makes_images)
        best = min((scores[max(scores)] for scores in through), default=None)
        if outcome is None or best is None or len(others) < ENOUGH:
            return None
        pace = float(np.median(list(self._pace.values()))) or 1.0
        costs = (1 - images / self.images) * self._pace[trial] / pace
        fresh = _fresh(others)
        worth = outcome.improvement(best) / max(costs, 1e-9) / fresh if fresh else math.inf
        low, high = (math.exp(norm.ppf(q, outcome.mean, outcome.spread)) for q in (0.05, 0.95))
        score_then = math.exp(outcome.mean)
        return Believed(trial, images, score_then, low, high, outcome.below(best), worth, stopped=worth < 1)

    @property
    def _through(self) -> list[Curve]:
        """The curves of the search's own trials that came to their end."""
        found = []
        for trial, scores in self._scores.items():
            if self._ended(trial) and max(scores):
                where = "this one", trial, self.target, self.target, self._arms[trial]
                found.append(Curve(*where, dict(sorted(scores.items())), False, 0.0, self.config))
        return found

    def _ended(self, trial: int) -> bool:
        return max(self._scores[trial]) >= self.images or not self._arms[trial].is_trained

    def _outcome(self, trial: int) -> Outcome | None:
        if trial not in self._outcomes:
            self._outcomes[trial] = self._carried_on(trial)
        return self._outcomes[trial]

    def _carried_on(self, trial: int) -> Outcome | None:
        scores, arm = self._scores[trial], self._arms[trial]
        if self._ended(trial):
            return Outcome(np.ones(1), np.array([scores[max(scores)]]), np.full(1, 1e-6))
        assert self._told is not None, "asked before anything was told"
        return self._told.outcome(arm, self.target, scores)


def _fresh(outcomes: Sequence[Outcome]) -> float:
    """The expected improvement of a new trial, in logs.

    One like those so far is the best of all as likely as any of them. By how much, is how far the best third lies from the rest
    (Hill's estimator: below some score they thin out exponentially); so hopeless ones make no new one promising.
    """
    means = sorted(each.mean for each in outcomes)
    third = math.ceil(len(means) / 3)
    return float(np.mean([means[third] - each for each in means[:third]])) / (len(means) + 1)
