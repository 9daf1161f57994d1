"""The recorded table as something to search: for each target a grid of cells, each trained to its end with every evaluation.

The machine that recorded it did other work at times, so that of equal work one trial took eight times as long as another. What a
trial costs is therefore what those like it took, at the pace of the fastest study: all that train have the same networks, batch
and budget.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from search.picking.arms import SCRATCH_ARM, Arm, Rates, trial_values
from search.picking.evidence import PICKED_BY, level_of
from search.picking.told import Told
from search.prediction import Seen, scaled
from search.records.results import config_of, is_evaluation
from spaces.config import Data, TrialConfig
from spaces.trials import parse_trial
from trainables.sources.likeness import Part, distance_names

_Trial = tuple[TrialConfig, list[Mapping[str, Any]]]
"""Its configuration, and its rows."""
_Costs = Mapping[tuple[bool, int], float]
"""Seconds from a trial's begin to the end of an evaluation, by whether it trains and the images that it had seen by then."""

WITHIN = 1.02
"""How near the table's best counts as having found it."""


@dataclass(frozen=True)
class Run:
    """One training of a cell: a seed's."""

    images: tuple[int, ...]
    scores: tuple[float, ...]
    seconds: tuple[float, ...]
    """From the trial's begin to the end of each evaluation, as trials like it took at the pace of the fastest study."""
    alive: bool
    """Whether it came to its budget's end with a score."""


@dataclass(frozen=True, eq=False)
class Cell:
    """An arm with its learning rates, and what its trainings came to."""

    arm: Arm
    rates: Rates | None
    runs: tuple[Run, ...]
    config: TrialConfig

    @cached_property
    def true(self) -> float:
        """The geometric mean of its last scores over the seeds that were recorded; endless if one came to nothing."""
        if not all(run.alive for run in self.runs):
            return math.inf
        return math.exp(float(np.mean([math.log(run.scores[-1]) for run in self.runs])))

    @property
    def seconds(self) -> float:
        """Of one training of it, evaluations included."""
        return float(np.mean([run.seconds[-1] for run in self.runs]))

    @property
    def parameters(self) -> dict[str, Any]:
        """As a search space would suggest it."""
        values: dict[str, Any] = {"source": self.arm.source or "scratch"}
        if self.arm.source is not None:
            values["method"] = self.arm.method
            if self.arm.method == SCRATCH_ARM.method:
                values["transfer/parts"] = self.arm.parts
        if self.rates:
            values |= dict(zip(("optim/lr_g", "optim/lr_d"), self.rates, strict=True))
        return values


@dataclass(frozen=True, eq=False)
class Target:
    """A target's grid."""

    name: str
    cells: tuple[Cell, ...]
    images: int
    """The budget."""
    ranks: Mapping[str, float]
    distances: Mapping[str, float]
    """Of the paper's selector."""
    told: tuple[Told, ...]
    """What its studies tell."""

    @property
    def likeness(self) -> Mapping[str, Mapping[str, Part]]:
        """Of its sources, every part, as they were ranked."""
        return {source: parts for study in self.told for source, parts in study.likeness.items()}

    @property
    def seen(self) -> Seen | None:
        """What came of its sources, by the mean log score of fine-tuning both networks; None if not all parts were measured."""
        logs: dict[str, list[float]] = {}
        for cell in self.cells:
            if cell.arm.source and cell.arm.parts == "both" and math.isfinite(cell.true):
                logs.setdefault(cell.arm.source, []).append(math.log(cell.true))
        if not logs or logs.keys() - self.likeness.keys():
            return None
        names = distance_names(self.base.protocol)
        rows = np.array([scaled(self.likeness[source], names) for source in logs])
        if np.isnan(rows).all(0).any():
            return None
        return Seen(tuple(logs), rows, np.array([np.mean(each) for each in logs.values()]))

    @cached_property
    def best(self) -> float:
        """The lowest true score."""
        return min(cell.true for cell in self.cells)

    @property
    def grid_seconds(self) -> float:
        """What training every cell once takes."""
        return sum(cell.seconds for cell in self.cells)

    @property
    def sources(self) -> list[str]:
        """By rank; those without one last."""
        found = {cell.arm.source for cell in self.cells if cell.arm.source}
        return sorted(found, key=lambda source: (self.ranks.get(source, math.inf), source))

    @property
    def ranking_seconds(self) -> float:
        """What ranking its sources takes, nearly: to sample each as it is and to measure that, as its trial as it is does."""
        costs: dict[str, float] = {}
        for cell in self.cells:
            if cell.arm.source:
                as_it_is = cell.seconds if cell.rates is None else cell.runs[0].seconds[0]
                costs[cell.arm.source] = max(costs.get(cell.arm.source, 0.0), as_it_is if cell.rates is None else 0.0)
        return sum(costs.values())

    @cached_property
    def pairs(self) -> frozenset[Rates]:
        """The pairs of learning rates that were recorded."""
        return frozenset(cell.rates for cell in self.cells if cell.rates)

    @property
    def level(self) -> str:
        """The target and how many of its images its trials have."""
        size = self.cells[0].config.data.target_images
        return level_of(self.name, Data(target_images=None if size == self.told[0].whole else size))

    @cached_property
    def base(self) -> TrialConfig:
        """What a search lays its suggestions over."""
        tuned = next(cell for cell in self.cells if cell.rates)
        return parse_trial(trial_values(tuned.config.model_dump(), self.name, SCRATCH_ARM, tuned.rates), "a replay")

    def nearest(self, arm: Arm, rates: Rates | None) -> Cell:
        """The arm's cell whose rates are nearest, in logs: where a pair was not recorded, the nearest one was trained."""
        own = [cell for cell in self.cells if cell.arm == arm]
        if rates is None or len(own) == 1:
            return own[0]
        logs = np.log(rates)
        return min(own, key=lambda cell: float(np.abs(np.log(cell.rates or rates) - logs).sum()))


def targets_of(studies: Iterable[Told]) -> list[Target]:
    """The grids of a table: of each target the trials with the budget that most of the table's have."""
    by_target: dict[str, list[Told]] = defaultdict(list)
    for study in studies:
        by_target[study.target].append(study)
    trials = {target: list(_trials(own)) for target, own in by_target.items()}
    budgets = Counter(
        config.budget.images for found in trials.values() for config, _ in found if config.rates is not None
    )
    if not budgets:
        return []
    images = budgets.most_common(1)[0][0]
    costs = _costs([trial for found in trials.values() for trial in found], images)
    return [_target(target, by_target[target], found, images, costs) for target, found in sorted(trials.items())]


def _costs(trials: Iterable[_Trial], images: int) -> _Costs:
    """Medians over the trials of each study, at the pace of the fastest one; the median of them over studies."""
    taken: dict[tuple[bool, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    whole: dict[str, list[float]] = defaultdict(list)
    for config, rows in trials:
        trains = config.rates is not None
        if trains and config.budget.images != images:
            continue
        for row in rows:
            if row["wall_seconds"] is not None and (row["images_seen"] or not trains):
                taken[trains, row["images_seen"]][row["study"]].append(row["wall_seconds"])
        if trains and rows[-1]["status"] == "completed":
            whole[rows[-1]["study"]].append(rows[-1]["wall_seconds"] or 0.0)
    medians = {study: float(np.median(seconds)) for study, seconds in whole.items()}
    paces = {study: min(medians.values()) / own for study, own in medians.items() if own}
    return {
        what: float(np.median([paces.get(study, 1.0) * np.median(seconds) for study, seconds in by_study.items()]))
        for what, by_study in taken.items()
    }


def _trials(studies: Sequence[Told]) -> Iterable[_Trial]:
    for study in studies:
        rows: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for row in study.rows:
            rows[row["trial"]].append(row)
        for own in rows.values():
            if own[-1]["status"] != "running":
                yield config_of(own[-1]), own


def _target(name: str, told: Sequence[Told], trials: Iterable[_Trial], images: int, costs: _Costs) -> Target:
    metric = next(each for each in PICKED_BY if each in told[0].metrics)
    runs: dict[tuple[Arm, Rates | None], list[Run]] = defaultdict(list)
    configs = {}
    for config, rows in trials:
        if config.rates is not None and config.budget.images != images:
            continue
        place = Arm.of(config), config.rates
        if found := _run(rows, metric, costs, trains=config.rates is not None):
            if config.rates is None and runs[place]:
                continue  # a source as it is comes to the same every time
            runs[place].append(found)
            configs[place] = config
    cells = tuple(Cell(arm, rates, tuple(own), configs[arm, rates]) for (arm, rates), own in runs.items() if own)
    ranks = {source: rank for study in told for source, rank in study.ranks.items()}
    distances = {source: value for study in told for source, value in study.ranking.items()}
    return Target(name, cells, images, ranks, distances, tuple(told))


def _run(rows: Sequence[Mapping[str, Any]], metric: str, costs: _Costs, trains: bool) -> Run | None:
    """A trial's evaluations that have a score; of one that trained none but the last."""
    scored = [row for row in rows if is_evaluation(row) and row[metric] is not None and row[metric] > 0]
    scored = [row for row in scored if row["images_seen"]] or scored
    if not scored:
        return None
    columns = (
        (int(row["images_seen"]), float(row[metric]), costs.get((trains, row["images_seen"]), 0.0)) for row in scored
    )
    images, scores, seconds = zip(*columns, strict=True)
    return Run(images, scores, seconds, rows[-1]["status"] == "completed")
