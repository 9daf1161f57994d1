"""Fronts: of trials judged by several goals, those that no other beats in one without losing in another.

Costs are (trials, goals), lower is better in all. The order of a search's trials is NSGA-II's (Deb et al. 2002): by how many
fronts lie before a trial's own, and on one front those first that have most room to their neighbours. Hypervolume is how much
of the space below a reference point the trials cover (Zitzler and Thiele 1998), by slices along the last goal.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.picking.arms import Arm
from search.records.journal import is_score
from search.records.results import score_of
from spaces.protocol import GOALS, Metric

Floats = NDArray[np.float64]


def not_beaten(costs: Floats) -> NDArray[np.bool_]:
    """(trials,) whether no other trial is as good in all goals and better in one; costs that are not numbers beat nothing."""
    no_worse = (costs <= costs[:, None]).all(axis=-1)  # (trials, trials): the column's trial against the row's
    better = (costs < costs[:, None]).any(axis=-1)
    return np.asarray(~np.any(no_worse & better, axis=1))


def ranks(costs: Floats) -> NDArray[np.int64]:
    """(trials,) how many fronts have to be taken away until a trial is on one: 0 on the front."""
    found, left, rank = np.zeros(len(costs), np.int64), np.arange(len(costs)), 0
    while len(left):
        on_front = not_beaten(costs[left])
        found[left[on_front]] = rank
        left, rank = left[~on_front], rank + 1
    return found


def room(costs: Floats) -> Floats:
    """(trials,) crowding distance: how far apart the neighbours of a trial are, added up over goals; endless at either end."""
    found = np.zeros(len(costs))
    for cost in costs.T:
        order = np.argsort(cost, kind="stable")
        gaps = np.full(len(cost), np.inf)
        gaps[1:-1] = (cost[order][2:] - cost[order][:-2]) / (np.ptp(cost) or 1.0)
        found[order] += gaps
    return found


def places(costs: Floats) -> NDArray[np.int64]:
    """(trials,) how many trials come before each in NSGA-II's order; equals come before none of each other."""
    rank, space = ranks(costs), np.zeros(len(costs))
    for each in np.unique(rank):
        space[rank == each] = room(costs[rank == each])
    before = (rank[None] < rank[:, None]) | ((rank[None] == rank[:, None]) & (space[None] > space[:, None]))
    counts: NDArray[np.int64] = before.sum(1)
    return counts


def hypervolume(costs: Floats, reference: Floats) -> float:
    """How much of the space is at least as good as a reference point and no better than some trial."""
    inside = costs[(costs < reference).all(1)]
    if not len(inside):
        return 0.0
    if inside.shape[1] == 1:
        return float(reference[0] - inside.min())
    inside = inside[inside[:, -1].argsort(kind="stable")]
    heights = np.diff(np.r_[inside[:, -1], reference[-1]])
    areas = (hypervolume(inside[:place, :-1], reference[:-1]) for place in range(1, len(inside) + 1))
    return float(sum(height * area for height, area in zip(heights, areas, strict=True) if height))


@dataclass(frozen=True)
class Member:
    """A trial on a front."""

    trial: int
    what: str
    """Source and how it is used."""
    values: Mapping[str, float]
    """By goal."""

    def said(self, goals: Sequence[Metric]) -> str:
        """ "trial 3, dogs (both): FD 310, IW -0.1"."""
        scores = ", ".join(f"{goal.label} {self.values[goal.name]:.4g}" for goal in goals)
        return f"trial {self.trial}, {self.what}: {scores}"


def costs_of(values: Iterable[Mapping[str, float]], goals: Sequence[str]) -> Floats:
    """(trials, goals) of scores by goal."""
    found = [[GOALS[name].sign * each[name] for name in goals] for each in values]
    return np.array(found, dtype=np.float64).reshape(-1, len(goals))


def scored(rows: Iterable[Mapping[str, Any]], goals: Sequence[str]) -> list[Member]:
    """The trials that spent their budget and have a score of every goal, by rows of the evaluations table.

    Those that make no images are left out: whatever their scores, they are no answer.
    """
    last = {row["trial"]: row for row in rows if row["status"] == "completed"}
    found = []
    for trial, row in sorted(last.items()):
        values, arm = {name: score_of(row, name) for name in goals}, Arm.of_row(row)
        if all(map(is_score, values.values())) and arm.makes_images:
            known = {name: value for name, value in values.items() if value is not None}
            found.append(Member(trial, str(arm), known))
    return found


def front_of(members: Sequence[Member], goals: Sequence[str]) -> list[Member]:
    """Those that no other beats, the best by the first goal first."""
    if not members:
        return []
    costs = costs_of((each.values for each in members), goals)
    kept = [each for each, on_front in zip(members, not_beaten(costs), strict=True) if on_front]
    return sorted(kept, key=lambda each: (GOALS[goals[0]].sign * each.values[goals[0]], each.trial))


def exchanges(front: Sequence[Member], goals: Sequence[Metric]) -> list[str]:
    """What going from each trial of a front to the next one costs in one goal, and buys in the others."""
    found = []
    for one, other in pairwise(front):
        changes = {goal: other.values[goal.name] - one.values[goal.name] for goal in goals}
        paid = [_changed(goal, by, one) for goal, by in changes.items() if goal.sign * by > 0]
        bought = [_changed(goal, by, one) for goal, by in changes.items() if goal.sign * by < 0]
        if paid and bought:
            found.append(
                f"from trial {one.trial} to trial {other.trial}: {' and '.join(bought)} for {' and '.join(paid)}"
            )
    return found


def _changed(goal: Metric, by: float, of: Member) -> str:
    before = of.values[goal.name]
    share = f" ({abs(by / before):.1%})" if (goal.is_ratio or goal.name == "seconds") and before else ""
    return f"{goal.label} {by:+.3g}{share}"


def labelled(goals: Sequence[str], extractor: str) -> list[Metric]:
    """Goals as readers of a study meet them."""
    return [GOALS[name].labelled(extractor) for name in goals]
