"""What replays came to: scores against seconds over seeds, and how soon each way was near the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_efficiency.replay import Replay
from benchmarks.search_efficiency.table import WITHIN, Target

POINTS = 80
"""Times at which ways are compared, evenly in the log of seconds."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcome:
    """One way on one target, over all seeds."""

    way: str
    target: str
    best: float
    grid_seconds: float
    seconds: Floats
    """(POINTS,) at which the curves are read."""
    ratios: Floats
    """(seeds, POINTS): true score of what is in hand over the table's best; endless before anything is."""
    near: Floats
    """(seeds,) seconds to come within WITHIN of the best; endless where the time was over before."""
    first: float
    """Seconds after which every seed's first trial was through."""

    @property
    def median_near(self) -> float:
        """Seconds within which half of the seeds are near the best."""
        return float(np.median(self.near))

    @property
    def mean_ratio(self) -> Floats:
        """(POINTS,) geometric means over seeds; endless as long as one of them has nothing in hand."""
        means: Floats = np.exp(np.log(self.ratios).mean(0))
        return means

    def at(self, share: float) -> float:
        """The mean ratio once this share of the grid's cost is spent."""
        return float(self.mean_ratio[np.searchsorted(self.seconds, share * self.grid_seconds, side="right") - 1])

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, which knows nothing endless."""
        low, middle, high = np.percentile(self.ratios, [5, 50, 95], axis=0, method="nearest")

        def plain(values: Floats) -> list[float | None]:
            return [round(float(value), 4) if math.isfinite(value) else None for value in values]

        return {
            "way": self.way,
            "target": self.target,
            "best": self.best,
            "grid_seconds": self.grid_seconds,
            "near_seconds": plain(self.near),
            "seconds": plain(self.seconds),
            "mean": plain(self.mean_ratio),
            "low": plain(low),
            "median": plain(middle),
            "high": plain(high),
        }


def outcome(way: str, target: Target, replays: Sequence[Replay], limit: float) -> Outcome:
    """Read the replays' traces at the same times."""
    seconds = np.geomspace(max(1.0, limit / 2_000), limit, POINTS)
    ratios = np.array([_read(replay.trace, seconds) for replay in replays]) / target.best
    near = [
        min((at for at, true in replay.trace if true <= WITHIN * target.best), default=math.inf) for replay in replays
    ]
    first = max(replay.first for replay in replays)
    return Outcome(way, target.name, target.best, target.grid_seconds, seconds, ratios, np.array(near), first)


def _read(trace: Sequence[tuple[float, float]], seconds: Floats) -> Floats:
    """What was in hand at each of these times."""
    held = np.array([math.inf, *(true for _, true in trace)])
    found: Floats = held[np.searchsorted([at for at, _ in trace], seconds, side="right")]
    return found


def worse_than(own: Outcome, other: Outcome) -> float:
    """At which share of the times beyond both first trials the mean is worse than another way's, beyond chance.

    Chance is two standard errors of the difference of their mean logs over seeds.
    """
    later = own.seconds >= max(own.first, other.first)
    if not later.any():
        return math.nan
    mine, theirs = np.log(own.ratios[:, later]), np.log(other.ratios[:, later])
    error = np.sqrt(mine.var(0) / max(1, len(mine) - 1) + theirs.var(0) / max(1, len(theirs) - 1))
    return float((mine.mean(0) - theirs.mean(0) > 2 * error + 1e-9).mean())


def shares(outcomes: Sequence[Outcome]) -> Mapping[str, float]:
    """Of each way, the share of the grid's cost after which it is near the best, in the median target."""
    ways = dict.fromkeys(each.way for each in outcomes)
    return {
        way: float(np.median([each.median_near / each.grid_seconds for each in outcomes if each.way == way]))
        for way in ways
    }
