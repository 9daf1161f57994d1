"""What transfer gains over scratch at equal cost: the best configuration of each side, over its seeds.

A configuration is all settings but the seeds. Each side is judged by the mean over its seeds, and the difference has
Welch's t interval where both sides have two seeds or more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.tables import PARTS, SEEDS, Metric, comparable, last_rows, ranking, settings, sides_at_equal_budget
from search.records.study import StudySpec

Cost = Literal["images_seen", "train_seconds"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Side:
    """A configuration, the trials that ran it with different seeds, and their scores at the cost in question."""

    source: str
    parts: str
    trials: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return math.fsum(self.values) / len(self.values)


@dataclass(frozen=True)
class Gain:
    """How much better transfer is than scratch after `at` images or seconds, in the metric's units."""

    cost: Cost
    at: float
    transfer: Side
    scratch: Side
    value: float
    """Positive where transfer is better."""
    interval: tuple[float, float] | None
    """Of 95 %; None where a side has one seed."""

    @property
    def settled(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def share(self) -> float:
        """The gain as a share of scratch's score."""
        return self.value / abs(self.scratch.mean) if self.scratch.mean else math.nan


def gains(rows: pd.DataFrame, spec: StudySpec, metric: Metric) -> list[Gain]:
    """The gain at equal images and, for the same configurations, at equal seconds of training.

    Equal images: the most that a trial of each side has reached and has a score at. Equal seconds: the most that all
    trials of the two configurations have trained for; scores lie linearly between evaluations. Empty without both sides.
    """
    ranked = ranking(last_rows(rows), metric)
    scored = rows[rows["trial"].isin(comparable(ranked, ranked)["trial"])]
    budget, level = sides_at_equal_budget(scored, metric)
    if budget is None:
        return []
    chosen = choices(rows, spec)
    transfer, scratch = (
        configurations(level[level["scratch"] == is_scratch], chosen, metric)[0] for is_scratch in (False, True)
    )
    found = [_gain("images_seen", float(budget), transfer, scratch, metric)]
    return found + _at_equal_seconds(scored, transfer, scratch, metric)


def choices(rows: pd.DataFrame, spec: StudySpec) -> list[str]:
    """The settings that vary, seeds left out."""
    return [name for name in settings(rows, spec) if name not in SEEDS]


def configurations(level: pd.DataFrame, chosen: Sequence[str], metric: Metric) -> list[Side]:
    """The configurations of `level`, one row a trial with a score, the best mean first; of equals, the earlier trial."""
    level = level.sort_values("trial")
    groups: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    keys = zip(*(level[name].astype(str) for name in ("source", PARTS, *chosen)), strict=True)
    for key, trial, value in zip(keys, level["trial"], level[metric.name], strict=True):
        groups.setdefault(key, []).append((int(trial), float(value)))
    sides = [
        Side(key[0], key[1], *(tuple(column) for column in zip(*found, strict=True))) for key, found in groups.items()
    ]
    return sorted(sides, key=lambda side: metric.sign * side.mean)


def _at_equal_seconds(rows: pd.DataFrame, transfer: Side, scratch: Side, metric: Metric) -> list[Gain]:
    measured = rows[rows[metric.name].notna()]
    curves = {trial: measured[measured["trial"] == trial] for trial in (*transfer.trials, *scratch.trials)}
    seconds = min(float(curve["train_seconds"].max()) for curve in curves.values())
    if seconds < max(float(curve["train_seconds"].min()) for curve in curves.values()):
        return []
    there = [
        replace(side, values=tuple(_value_at(curves[trial], seconds, metric) for trial in side.trials))
        for side in (transfer, scratch)
    ]
    return [_gain("train_seconds", seconds, there[0], there[1], metric)]


def _value_at(curve: pd.DataFrame, seconds: float, metric: Metric) -> float:
    return float(np.interp(seconds, curve["train_seconds"], curve[metric.name]))


def _gain(cost: Cost, at: float, transfer: Side, scratch: Side, metric: Metric) -> Gain:
    difference = metric.sign * (scratch.mean - transfer.mean)
    return Gain(cost, at, transfer, scratch, difference, interval(difference, transfer.values, scratch.values))


def interval(difference: float, one: Sequence[float], other: Sequence[float]) -> tuple[float, float] | None:
    """Welch's t interval of 95 % around a difference of two means; None unless both have two values or more."""
    if min(len(one), len(other)) < 2:
        return None
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (one, other)]
    if sum(parts) == 0:
        return difference, difference
    degrees = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )
    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * math.sqrt(sum(parts))
    return difference - half, difference + half
