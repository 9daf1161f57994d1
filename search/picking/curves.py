"""Learning curves of earlier trials, and what their scores are at a budget that not all of them were asked to spend.

Between two evaluations a log score lies linearly in the log of images seen. Beyond its last evaluation (or before its first)
a trial is carried on by the mean progress of trials that were measured at both ends. That mean is taken over all of them,
drawn to those of the trial's own kind (from scratch, or the networks transferred), and from there to those of its kind on
its target, each the more the more there are. How far single trials were from such means is the error of a carried score.
Leaving stopped trials out would flatter whatever was stopped most: only its best trials would count.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.picking.arms import Arm
from spaces.config import TrialConfig

_SHRINK = 2.0
"""Trials that a wider group's mean is worth in a narrower one."""
_SPREAD = 0.3
"""A priori, how far single trials are from the mean progress, for each unit of log images: as many trials' worth of it as of
a mean."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A trial that has a score, at whatever budgets."""

    study: str
    trial: int
    target: str
    level: str
    """The target, and how many of its images the trial had: what fixes how high scores are, whatever the arm."""
    arm: Arm
    scores: Mapping[int, float]
    """Log scores by images seen, ascending; of one that trained nothing a single one, at 0."""
    stopped: bool
    """Early, by a search's scheduler."""
    seconds: float
    """Wall time."""
    config: TrialConfig
    is_trial: bool = True
    """False of a source as it is that no trial sampled: it was measured before another trial's first image."""
    at_rung: bool = False
    """Whether that was done by as few samples as a rung takes."""

    @property
    def untrained(self) -> bool:
        """Whether its score is the same at any budget."""
        return max(self.scores) == 0

    def covers(self, *images: int) -> bool:
        """Whether it was measured before and after each of these; one that trained nothing has no curve."""
        return not self.untrained and all(min(self._begun) <= each <= max(self._begun) for each in images)

    def at(self, images: int) -> float:
        """The log score after so many images, the nearest one outside of what was measured."""
        if self.untrained:
            return self.scores[0]
        return float(np.interp(math.log(images), np.log(list(self._begun)), list(self._begun.values())))

    @property
    def _begun(self) -> Mapping[int, float]:
        """The scores after its first image."""
        return {images: score for images, score in self.scores.items() if images}

    def spent(self, images: int) -> float:
        """Seconds that such a trial takes of a search with a budget of `images`: fewer, if it was stopped before that."""
        last = max(self.scores)
        whole = self.untrained or (self.stopped and last < images)
        return self.seconds if whole else self.seconds * images / last


def distinct(curves: Iterable[Curve], images: int) -> list[Curve]:
    """One curve of each training, or source as it is: equal settings and seed train alike, which no study makes two of.

    Of several that is the one that was measured at a budget of `images` nearest to its own end; of sources as they are a trial,
    and else one by most samples.
    """
    found: dict[tuple[object, ...], Curve] = {}
    for curve in curves:
        training = None if curve.untrained else curve.config.model_dump_json(exclude={"budget", "protocol"})
        key = curve.target, curve.level, curve.arm, training
        found[key] = min(found.get(key, curve), curve, key=lambda each: _remoteness(each, images))
    return list(found.values())


def _remoteness(curve: Curve, images: int) -> tuple[bool, float]:
    if curve.untrained:
        return not curve.is_trial, float(curve.at_rung)
    return not curve.covers(images), abs(math.log(max(curve.scores) / images))


def carried(curve: Curve, images: int, others: Sequence[Curve]) -> tuple[float, float] | None:
    """A trial's log score after `images`, and its error (a standard deviation); None where no curve tells of progress."""
    if curve.untrained or curve.covers(images):
        return curve.at(images), 0.0
    end = min(max(images, min(curve.scores)), max(curve.scores))
    moved = progress(curve, end, images, others)
    return moved and (curve.at(end) + moved[0], moved[1])


def progress(of: Curve, begin: int, end: int, others: Sequence[Curve]) -> tuple[float, float] | None:
    """The change of a trial's log score from `begin` to `end` images, and its error, by the module's words.

    Where no trial was measured at both, by the slopes of all curves in log images; None if there are none.
    """
    far = math.log(end / begin)
    there = [(other, other.at(end) - other.at(begin)) for other in others if other.covers(begin, end)]
    there = there or [(other, slope * far) for other in others if (slope := _slope(other)) is not None]
    if not there:
        return None
    mean, error = float(np.mean([change for _, change in there])), _SPREAD * abs(far)
    own = [pair for pair in there if _kind(pair[0].arm) == _kind(of.arm)]
    for group in (own, [pair for pair in own if pair[0].target == of.target]):
        mean = (_SHRINK * mean + sum(change for _, change in group)) / (_SHRINK + len(group))
    near = own or there
    squares = sum((change - mean) ** 2 for _, change in near)
    variance = (_SHRINK * error**2 + squares) / (_SHRINK + len(near))
    return mean, math.sqrt(variance * (1 + 1 / (_SHRINK + len(near))))


def _kind(arm: Arm) -> tuple[str, str]:
    return arm.method, arm.parts


def _slope(curve: Curve) -> float | None:
    """Of the log score in log images, from the first evaluation to the last; None with fewer than two."""
    first, last = min(curve.scores), max(curve.scores)
    return None if curve.untrained or first == last else (curve.at(last) - curve.at(first)) / math.log(last / first)
