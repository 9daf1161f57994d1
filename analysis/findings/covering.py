"""What a search for a front came to, trial after trial: how much of the space of its goals is covered, for what cost."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.findings.spending import device_hours
from analysis.tables import last_rows
from search.fronts import Floats, hypervolume, not_beaten
from search.records.study import StudySpec
from spaces.protocol import Metric

BEYOND = 0.1
"""How far beyond the worst scores the corner lies that hypervolume is counted from, as a share of their range."""


def covered(rows: pd.DataFrame, spec: StudySpec, goals: Sequence[Metric]) -> pd.DataFrame:
    """A row a trial, in the order of their numbers: trial, source, status, hours (spent until then), goals, front, covered.

    Goals are NaN of a trial that did not spend its budget. `front` says whether it is on the front of all. `covered` is the
    hypervolume until then, as a share of the box between the best of each goal and a corner a little beyond the worst of each.
    """
    last = last_rows(rows).sort_values("trial")
    names = [goal.name for goal in goals]
    values = last[names].astype(float)
    values[last["status"] != "completed"] = np.nan
    costs = values.to_numpy() * [goal.sign for goal in goals]
    known = np.isfinite(costs).all(axis=1)
    return pd.DataFrame(
        {
            "trial": last["trial"],
            "source": last["source"],
            "status": last["status"],
            "hours": (last["seconds"].fillna(0.0) * device_hours(spec)[1]).cumsum(),
            **{name: values[name].where(known) for name in names},
            "front": known & not_beaten(costs),
            "covered": _covered(costs, known),
        }
    ).reset_index(drop=True)


def _covered(costs: Floats, known: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> list[float]:
    """(trials,) shares; NaN before the first trial that has all scores."""
    if not known.any():
        return [np.nan] * len(costs)
    low, spread = costs[known].min(axis=0), np.ptp(costs[known], axis=0)
    unit = (costs - low) / np.where(spread > 0, spread, 1.0)
    corner = np.full(costs.shape[1], 1 + BEYOND)
    found = []
    for place in range(1, len(costs) + 1):
        seen = unit[:place][known[:place]]
        found.append(hypervolume(seen[not_beaten(seen)], corner) / corner.prod() if len(seen) else np.nan)
    return found
