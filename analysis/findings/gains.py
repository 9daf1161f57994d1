"""What is gained at equal cost, by transfer over scratch and by training over the source as it is, over the seeds.

A configuration is all settings but the seeds. Of each side the best one counts, by the mean over its seeds, and where both
have two seeds or more, `selection` says what is left of the difference, the choice of the best allowed for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from analysis.drawn import alike
from analysis.findings.selection import Scores, left
from analysis.tables import (
    AS_IS,
    NO_SOURCE,
    UNTRAINED,
    WAY,
    as_text,
    choices,
    comparable,
    last_rows,
    meeting,
    of_a_side,
    ranking,
    trained_nothing,
)
from spaces.config import SCRATCH
from spaces.protocol import Metric

Cost = Literal["images_seen", "seconds"]


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
    def is_untrained(self) -> bool:
        """Whether nothing was trained for it, as for a source as it is."""
        return self.way in UNTRAINED


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
    expected: float | None
    """What of it is to be expected of fresh seeds; None where a side has one seed."""
    interval: tuple[float, float] | None
    """Where that lies with a probability of 95 %; None where a side has one seed."""
    chosen_of: int
    """How many configurations the two are the best of."""

    @property
    def settled(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)

    @property
    def share(self) -> float:
        """The gain as a share of the baseline's score."""
        return self.value / abs(self.baseline.mean) if self.baseline.mean else math.nan


def gains(rows: pd.DataFrame, metric: Metric) -> list[Gain]:
    """The gain of transfer over scratch at equal images and, for the same configurations, at equal seconds.

    Equal images: the most that a trial of each side has reached and has a score at. Equal seconds, of training and
    evaluation: the most that all trials of the two configurations have taken; scores lie linearly between evaluations. A source
    as it is has its score at any cost. Images that are handed on untranslated are no transfer. Empty without both sides.
    """
    scored = of_a_side(_comparable_evaluations(rows, metric))
    found = _at_equal_images(scored.assign(baseline=scored["source"] == SCRATCH), choices(rows), metric)
    if found is None:
        return []
    gain, ours, theirs = found
    return [gain, *_at_equal_seconds(scored, ours, theirs, metric)]


def gain_of_training(rows: pd.DataFrame, metric: Metric, ranked: Mapping[str, float]) -> Gain | None:
    """What training gains over the source as it is, at the most images that a trial from a source has a score at.

    The best configuration that is trained from a source stands against the best source as it is, which can be another one.
    `ranked` are the Frechet distances of sources as they are that the study began with. None without both sides, or where they
    were never measured by equally many images and the metric depends on that.
    """
    scored = _comparable_evaluations(rows, metric)
    transfer = scored[scored["source"] != SCRATCH]
    both = pd.concat([transfer, untouched(transfer, metric, ranked)], ignore_index=True)
    found = _at_equal_images(both.assign(baseline=trained_nothing(both)), choices(rows), metric)
    return found and found[0]


def untouched(rows: pd.DataFrame, metric: Metric, ranked: Mapping[str, float]) -> pd.DataFrame:
    """What trials say of their sources as they are, which were measured before the first image: a trial a source.

    Only where all of the source's generator was taken over, and no trial sampled it as it is. They have numbers below 0. At a
    rung few images are drawn: a Frechet distance is that of the ranking instead, of as many as a trial's last, where it has one.
    """
    trained = ~trained_nothing(rows)
    whole = rows["transfer/parts"].isin(["generator", "both"]) & rows["transfer/on_mismatch"].eq("error")
    known = rows.loc[~trained, "source"]
    first = rows[trained & whole & rows["images_seen"].eq(0) & rows["iterations"].eq(0) & ~rows["source"].isin(known)]
    first = first.drop_duplicates("source")
    known = first["source"].map(ranked if metric.is_ratio else {}).astype(float)
    scored = {
        metric.name: known.fillna(first[metric.name]),
        "n_drawn": first["n_drawn"].mask(known.notna(), first["n_fake"]),
    }
    return first.assign(
        trial=-1 - first["trial"],
        status="completed",
        **{"method": "as_is", WAY: AS_IS, "transfer/parts": None},
        **scored,
    )


def _comparable_evaluations(rows: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The evaluations of the trials that have a score and compare with the best one."""
    ranked = ranking(last_rows(rows), metric)
    return rows[rows["trial"].isin(comparable(ranked, ranked)["trial"]) & rows["source"].ne(NO_SOURCE)]


def _at_equal_images(
    scored: pd.DataFrame, chosen: Sequence[str], metric: Metric
) -> tuple[Gain, list[Side], list[Side]] | None:
    """The gain over the side that the column `baseline` marks, and the configurations of both; None where they never meet."""
    budget, level = meeting(scored, metric, "baseline")
    if budget is None:
        return None
    ours, theirs = (
        configurations(level[level["baseline"] == is_baseline], chosen, metric) for is_baseline in (False, True)
    )
    return _gain("images_seen", float(budget), ours, theirs, metric), ours, theirs


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


def _at_equal_seconds(scored: pd.DataFrame, ours: Sequence[Side], theirs: Sequence[Side], metric: Metric) -> list[Gain]:
    """The gain of the same configurations after the seconds that all of their trials have taken, if there are any.

    Those that they were chosen from count as far as they have taken as long.
    """
    measured = alike(scored[scored[metric.name].notna()], metric)
    curves = {int(str(trial)): curve for trial, curve in measured.groupby("trial")}
    if not curves.keys() >= {*ours[0].trials, *theirs[0].trials}:
        return []
    chosen = [curves[trial] for side in (ours[0], theirs[0]) for trial in side.trials]
    trained = [curve["seconds"] for curve in chosen if not trained_nothing(curve).any()]
    if not trained:
        return []
    seconds = min(float(own.max()) for own in trained)
    if seconds < max(float(own.min()) for own in trained):
        return []
    at_ours, at_theirs = (
        [replace(side, values=tuple(values)) for side in sides if (values := _values_at(side, curves, seconds, metric))]
        for sides in (ours, theirs)
    )
    return [_gain("seconds", seconds, at_ours, at_theirs, metric)]


def _values_at(side: Side, curves: Mapping[int, pd.DataFrame], seconds: float, metric: Metric) -> list[float]:
    """The scores of a configuration after so many seconds; none if not all of its trials were measured around then."""
    if not curves.keys() >= {*side.trials}:
        return []
    own = [curves[trial] for trial in side.trials]
    known = (
        trained_nothing(curve).any() or curve["seconds"].min() <= seconds <= curve["seconds"].max() for curve in own
    )
    return [_value_at(curve, seconds, metric) for curve in own] if all(known) else []


def _value_at(curve: pd.DataFrame, seconds: float, metric: Metric) -> float:
    """The score after so many seconds, linearly between evaluations; with a single evaluation, its score."""
    return float(np.interp(seconds, curve["seconds"], curve[metric.name]))


def _gain(cost: Cost, at: float, ours: Sequence[Side], theirs: Sequence[Side], metric: Metric) -> Gain:
    difference = metric.sign * (theirs[0].mean - ours[0].mean)
    found = left(scores(ours), scores(theirs), metric.sign, is_ratio=metric.is_ratio)
    around = None if found is None else (found.low, found.high)
    expected = None if found is None else found.expected
    return Gain(cost, at, ours[0], theirs[0], difference, expected, around, max(len(ours), len(theirs)))


def scores(sides: Sequence[Side]) -> Scores:
    """The scores of the configurations that the first was chosen from; of a source as it is its own, without any chance."""
    if sides[0].is_untrained:
        return sides[0].mean
    return [side.values for side in sides if not side.is_untrained]
