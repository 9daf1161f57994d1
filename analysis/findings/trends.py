"""Whether the curves of a study still fall where they end: what a verdict at one budget lets one say of a longer one.

An arm is looked at by the best configuration of those that went farthest, in the mean over its seeds, in logs of the score
where that has a true zero. A change counts where it is larger than noise at a rung makes it in 95 % of cases. That noise is
taken from the study's own curves: how far an evaluation lies from the line between the two around it, over the log of images
seen, by the median, which a few curves that bend leave as it is. Where most bend, that counts as noise, and too little is
claimed rather than too much. From a rung to a trial's end a Frechet distance falls without any training, as it is carried on
from few images there: a change across the two counts beyond that too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from analysis.drawn import alike, counts
from analysis.findings.gains import Side, configurations
from analysis.tables import WAY, choices, comparable, last_rows, ranking, trained_nothing
from spaces.protocol import Metric

State = Literal["improving", "level", "flat", "worsening"]
"""At its end: improving still; level after it improved; never off where it began; or getting worse."""

_TRIPLES = 4
"""Sets of three evaluations of one trial, below which noise at a rung is not known."""
_NORMAL_MEDIAN, _EFFICIENCY = 0.6745, 0.37
"""Of a normal variable's absolute value, in standard deviations; and how much of a sample's information a median has."""

_CARRIED = 0.03
"""How far, in logs, a distance that is carried on from a rung's images may lie above that of all: docs/measuring.md, "Rungs"."""


@dataclass(frozen=True)
class Trend:
    """What the curve of an arm's best configuration does at its end."""

    side: Side
    state: State
    first: int
    before: int
    last: int
    """Images seen at its first, second last and last evaluation."""
    step: float
    """The change from the second last to the last, as a share where scores have a true zero; negative is better."""
    whole: float
    """Likewise from the first."""
    noise: float
    """How large a step noise at a rung makes, at most in 95 % of cases, and what was carried on beside it; likewise."""

    def as_dict(self, metric: Metric) -> dict[str, Any]:
        """Plain values, for JSON."""
        values = asdict(self)
        side = values.pop("side")
        return {"source": side["source"], "way": side["way"], "trials": list(side["trials"]), **values} | {
            "says": said(self, metric)
        }


def said(trend: Trend, metric: Metric) -> str:
    """The state in words."""
    falling, rising = ("falling", "rising")[:: metric.sign]
    words = {
        "improving": f"still {falling}",
        "level": "level at its end",
        "flat": "flat from the start",
        "worsening": f"{rising} again",
    }
    return words[trend.state]


def trends(rows: pd.DataFrame, metric: Metric) -> list[Trend]:
    """The trend of each arm that was trained and evaluated twice, the best at its end first; none where noise is not known."""
    ranked = ranking(last_rows(rows), metric)
    peers = rows["trial"].isin(comparable(ranked, ranked)["trial"])
    scored = alike(rows[peers & ~trained_nothing(rows) & rows[metric.name].notna()], metric)
    noise = _noise(scored, metric)
    if noise is None:
        return []
    chosen, found = choices(rows), []
    for _, arm in scored.groupby(["source", WAY]):
        ends = last_rows(arm)
        side = configurations(ends[ends["images_seen"] == ends["images_seen"].max()], chosen, metric)[0]
        if trend := _trend(arm, side, metric, *noise):
            found.append(trend)
    return sorted(found, key=lambda trend: metric.sign * trend.side.mean)


def _curve(values: pd.Series | pd.DataFrame, metric: Metric) -> np.ndarray:
    """Scores on the scale on which changes add up, lower is better."""
    found = values.to_numpy(float)
    return np.log(found) if metric.is_ratio else np.asarray(metric.sign * found)


def _noise(scored: pd.DataFrame, metric: Metric) -> tuple[float, int] | None:
    """The standard deviation of an evaluation, and its degrees of freedom; None of too few."""
    off: list[float] = []
    for _, trial in scored[scored["images_seen"] > 0].groupby("trial"):
        x, y = np.log(trial["images_seen"].to_numpy(float)), _curve(trial[metric.name], metric)
        share = (x[1:-1] - x[:-2]) / (x[2:] - x[:-2])
        off += list((y[1:-1] - (1 - share) * y[:-2] - share * y[2:]) / np.sqrt(1 + share**2 + (1 - share) ** 2))
    if len(off) < _TRIPLES:
        return None
    return float(np.median(np.abs(off))) / _NORMAL_MEDIAN, max(1, round(_EFFICIENCY * len(off)))


def _trend(arm: pd.DataFrame, side: Side, metric: Metric, sd: float, degrees: int) -> Trend | None:
    mine = arm[arm["trial"].isin(side.trials)]
    own = mine.pivot_table(index="images_seen", columns="trial", values=metric.name).dropna().sort_index()
    if len(own) < 2:
        return None
    y, images = _curve(own, metric).mean(1), [int(each) for each in own.index]
    step, whole = float(y[-1] - y[-2]), float(y[-1] - y[0])
    most = float(stdtrit(degrees, 0.975)) * sd * (2 / own.shape[1]) ** 0.5
    ends = counts(mine[mine["images_seen"].isin([images[0], images[-2], images[-1]])])
    most += _CARRIED * (metric.is_ratio and ends.nunique() > 1)
    state = _state(step, whole, most)
    sizes = (float(np.expm1(change)) if metric.is_ratio else change for change in (step, whole, most))
    return Trend(side, state, images[0], images[-2], images[-1], *sizes)


def _state(step: float, whole: float, most: float) -> State:
    if abs(step) > most:
        return "improving" if step < 0 else "worsening"
    return "flat" if abs(whole) <= most else "level"


def of_arm(found: Sequence[Trend], source: str, way: str) -> Trend | None:
    """The trend of an arm, if it has one."""
    return next((trend for trend in found if (trend.side.source, trend.side.way) == (source, way)), None)
