"""What is gained at equal cost, by transfer over scratch and by training over the source as it is, over the seeds.

A configuration is all settings but the seeds. Of each side the best one counts, by the mean over its seeds, and the
difference has Welch's t interval where both sides have two seeds or more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.tables import AS_IS, WAY, as_text, choices, comparable, last_rows, meeting, ranking, trained_nothing
from spaces.config import SCRATCH
from spaces.protocol import Metric

Cost = Literal["images_seen", "train_seconds"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Side:
    """A configuration, the trials that ran it with different seeds, and their scores at the cost in question."""

    source: str
    way: str
    trials: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of the scores over the seeds."""
        return math.fsum(self.values) / len(self.values)

    @property
    def is_source(self) -> bool:
        """Whether it is a source as it is, for which nothing was trained."""
        return self.way == AS_IS


@dataclass(frozen=True)
class Gain:
    """How much better transfer is than a baseline after `at` images or seconds, in the metric's units."""

    cost: Cost
    at: float
    transfer: Side
    baseline: Side
    """Training from scratch, or a source as it is."""
    value: float
    """The difference of the means, positive where transfer is better."""
    interval: tuple[float, float] | None
    """Where the difference lies with 95 % confidence; None where a side has one seed."""

    @property
    def settled(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def share(self) -> float:
        """The gain as a share of the baseline's score."""
        return self.value / abs(self.baseline.mean) if self.baseline.mean else math.nan


def gains(rows: pd.DataFrame, metric: Metric) -> list[Gain]:
    """The gain of transfer over scratch at equal images and, for the same configurations, at equal seconds of training.

    Equal images: the most that a trial of each side has reached and has a score at. Equal seconds: the most that all
    trials of the two configurations have trained for; scores lie linearly between evaluations. A source as it is has its
    score at any cost. Empty without both sides.
    """
    scored = _comparable_evaluations(rows, metric)
    found = _at_equal_images(scored.assign(baseline=scored["source"] == SCRATCH), choices(rows), metric)
    return [found, *_at_equal_seconds(scored, found, metric)] if found else []


def gain_of_training(rows: pd.DataFrame, metric: Metric) -> Gain | None:
    """What training gains over the source as it is, at the most images that a trial from a source has a score at.

    The best configuration that is trained from a source stands against the best source as it is, which can be another one.
    None without both.
    """
    scored = _comparable_evaluations(rows, metric)
    transfer = scored[scored["source"] != SCRATCH]
    return _at_equal_images(transfer.assign(baseline=trained_nothing(transfer)), choices(rows), metric)


def _comparable_evaluations(rows: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The evaluations of the trials that have a score and compare with the best one."""
    ranked = ranking(last_rows(rows), metric)
    return rows[rows["trial"].isin(comparable(ranked, ranked)["trial"])]


def _at_equal_images(scored: pd.DataFrame, chosen: Sequence[str], metric: Metric) -> Gain | None:
    """The gain over the side that the column `baseline` marks; None where the two never meet."""
    budget, level = meeting(scored, metric, "baseline")
    if budget is None:
        return None
    transfer, baseline = (
        configurations(level[level["baseline"] == is_baseline], chosen, metric)[0] for is_baseline in (False, True)
    )
    return _gain("images_seen", float(budget), transfer, baseline, metric)


def configurations(level: pd.DataFrame, chosen: Sequence[str], metric: Metric) -> list[Side]:
    """The configurations of `level`, one row a trial with a score, the best mean first; of equals, the earlier trial."""
    level = level.sort_values("trial")
    groups: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    keys = zip(*(as_text(level[name]) for name in ("source", WAY, *chosen)), strict=True)
    for key, trial, value in zip(keys, level["trial"], level[metric.name], strict=True):
        groups.setdefault(key, []).append((int(trial), float(value)))
    sides = [
        Side(key[0], key[1], *(tuple(column) for column in zip(*found, strict=True))) for key, found in groups.items()
    ]
    return sorted(sides, key=lambda side: metric.sign * side.mean)


def _at_equal_seconds(scored: pd.DataFrame, at_images: Gain, metric: Metric) -> list[Gain]:
    """The gain of the same configurations after the seconds that all of their trials have trained for, if there are any."""
    measured = scored[scored[metric.name].notna()]
    sides = (at_images.transfer, at_images.baseline)
    curves = {trial: measured[measured["trial"] == trial] for side in sides for trial in side.trials}
    trained = [curve["train_seconds"] for curve in curves.values() if not trained_nothing(curve).any()]
    seconds = min(float(own.max()) for own in trained)
    if seconds < max(float(own.min()) for own in trained):
        return []
    transfer, baseline = (
        replace(side, values=tuple(_value_at(curves[trial], seconds, metric) for trial in side.trials))
        for side in sides
    )
    return [_gain("train_seconds", seconds, transfer, baseline, metric)]


def _value_at(curve: pd.DataFrame, seconds: float, metric: Metric) -> float:
    """The score after so many seconds, linearly between evaluations; with a single evaluation, its score."""
    return float(np.interp(seconds, curve["train_seconds"], curve[metric.name]))


def _gain(cost: Cost, at: float, transfer: Side, baseline: Side, metric: Metric) -> Gain:
    difference = metric.sign * (baseline.mean - transfer.mean)
    around = interval(difference, *(draws(side) for side in (transfer, baseline)))
    return Gain(cost, at, transfer, baseline, difference, around)


def draws(side: Side) -> tuple[float, ...]:
    """The scores of a side as draws; those of a source as it is would all be the same, as nothing in them is chance."""
    return side.values * 2 if side.is_source else side.values


def interval(difference: float, one: Sequence[float], other: Sequence[float]) -> tuple[float, float] | None:
    """Welch's t interval of 95 % around a difference of two means; None unless both have two values or more."""
    if min(len(one), len(other)) < 2:
        return None
    variances = [float(np.var(values, ddof=1)) / len(values) for values in (one, other)]  # of the means
    if sum(variances) == 0:
        return difference, difference
    degrees = sum(variances) ** 2 / sum(
        variance**2 / (len(values) - 1) for variance, values in zip(variances, (one, other), strict=True)
    )
    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * math.sqrt(sum(variances))
    return difference - half, difference + half
