"""Cost to reach a score, with and without transfer, for several scores: the speed-up shrinks as the score tightens."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings.gains import Gain, Side
from spaces.protocol import Metric

COSTS = {"images": "images_seen", "seconds": "seconds"}
AT_MOST = 6
"""How many thresholds a race has at most."""


def race(rows: pd.DataFrame, gain: Gain, metric: Metric) -> pd.DataFrame:
    """A row a threshold, the loosest first, for the two configurations of `gain`.

    Columns: threshold; for side in transfer, scratch and cost in images, seconds: `<side>_<cost>`, the median over seeds of
    the cost at the first evaluation as good as the threshold, NaN unless every seed got there, and `<side>_reached`, how
    many did; `speedup_<cost>`, scratch's cost over transfer's; `bound`: "at least" where transfer was better at its first
    evaluation; "never" where scratch was not there in the end, and has all it spent for cost; else "". There is no speed-up,
    but NaN, over a source as it is, which costs no training, and where scratch in vain spent no more than transfer.
    """
    return pd.DataFrame(
        [_row(rows, gain, metric, value) for value in thresholds(rows, gain, metric)],
        columns=[
            "threshold",
            *(f"{side}_{what}" for side in ("transfer", "scratch") for what in (*COSTS, "reached")),
            *(f"speedup_{cost}" for cost in COSTS),
            "bound",
        ],
    )


def thresholds(rows: pd.DataFrame, gain: Gain, metric: Metric) -> list[float]:
    """Scores that either side came to, the loosest first: from the faster side's first evaluation to its last.

    Of more than 6 some are left out, evenly; the first and the last stay.
    """
    slower, faster = (gain.baseline, gain.transfer) if gain.value >= 0 else (gain.transfer, gain.baseline)
    own = _improving(rows, faster, metric)
    costs = {metric.sign * value for value in (*own, *_improving(rows, slower, metric))}
    within = sorted((cost for cost in costs if metric.sign * own[-1] <= cost <= metric.sign * own[0]), reverse=True)
    keep = np.unique(np.linspace(0, len(within) - 1, min(AT_MOST, len(within))).round().astype(int))
    return [metric.sign * within[i] for i in keep]


def _improving(rows: pd.DataFrame, side: Side, metric: Metric) -> list[float]:
    """The worst of the side's seeds at each evaluation that all of them have, where it is better than all before.

    The worst one, so that every seed has reached the threshold.
    """
    own = rows[rows["trial"].isin(side.trials) & rows[metric.name].notna()]
    costs = (metric.sign * own[metric.name]).groupby([own["trial"], own["images_seen"]]).min().unstack("trial")
    worst = costs.cummin().dropna().max(axis=1).tolist() or [metric.sign * own[metric.name].iloc[-1]]
    better = [worst[0], *(after for before, after in pairwise(worst) if after < before)]
    return [metric.sign * cost for cost in better]


def _row(rows: pd.DataFrame, gain: Gain, metric: Metric, value: float) -> dict[str, Any]:
    row: dict[str, Any] = {"threshold": value}
    for name, side in (("transfer", gain.transfer), ("scratch", gain.baseline)):
        for cost, column in COSTS.items():
            reached = [cost_to_reach(rows, trial, metric, value, column) for trial in side.trials]
            row[f"{name}_{cost}"] = _median(reached)
            row[f"{name}_reached"] = sum(item is not None for item in reached)
    bound = "at least" if _at_first(rows, gain.transfer, metric, value) else ""
    for cost, column in COSTS.items():
        theirs, ours = row[f"scratch_{cost}"], row[f"transfer_{cost}"]
        in_vain = bool(np.isnan(theirs))
        if in_vain:  # at least as much as scratch has spent
            theirs, bound = spent(rows, gain.baseline, column), "never"
        unknown = gain.transfer.is_untrained or not ours or (in_vain and theirs <= ours)
        row[f"speedup_{cost}"] = np.nan if unknown else theirs / ours
    return row | {"bound": bound}


def spent(rows: pd.DataFrame, side: Side, cost: str) -> float:
    """What a side has spent of a cost (a column) in the end, the median over its seeds."""
    return float(rows[rows["trial"].isin(side.trials)].groupby("trial")[cost].max().median())


def cost_to_match(rows: pd.DataFrame, gain: Gain, metric: Metric) -> dict[str, float]:
    """What the baseline had spent, by column, when it was as good as transfer in the end; NaN unless all its seeds were."""
    value = gain.transfer.mean
    return {
        cost: _median([cost_to_reach(rows, trial, metric, value, cost) for trial in gain.baseline.trials])
        for cost in COSTS.values()
    }


def _median(reached: Sequence[float | None]) -> float:
    return float(np.median([item if item is not None else np.nan for item in reached]))


def _at_first(rows: pd.DataFrame, side: Side, metric: Metric, value: float) -> bool:
    """Whether every seed was better than that when it was first looked at, so that it got there sooner than is known."""
    first = rows[rows["trial"].isin(side.trials) & rows[metric.name].notna()].groupby("trial").head(1)
    return bool((metric.sign * first[metric.name] < metric.sign * value).all())


def cost_to_reach(rows: pd.DataFrame, trial: int, metric: Metric, value: float, cost: str) -> float | None:
    """The `cost` (a column) at the trial's first evaluation that is as good as `value`; None if none is."""
    own = rows[(rows["trial"] == trial) & (metric.sign * rows[metric.name] <= metric.sign * value)]
    return None if own.empty else float(own[cost].iloc[0])
