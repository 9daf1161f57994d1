"""A search on a recorded grid: trainings take the seconds that were recorded, and come to what was recorded."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from benchmarks.search_efficiency.table import Cell, Run, Target
from search.curve_stopping import CurveStopping
from search.picking.arms import SCRATCH_ARM
from spaces.errors import UserError


@dataclass
class Replay:
    """A search's clock, and what it has in hand.

    In hand is the trial that came through with the best score as it was seen; it is judged by its cell's true score. A cell
    trained again shows its other seed, where it has one.
    """

    target: Target
    seed: int
    limit: float
    """Seconds after which no trial begins."""
    clock: float = 0.0
    trace: list[tuple[float, float]] = field(default_factory=list)
    """Seconds, and the true score of what is in hand from then on."""
    first: float = math.inf
    """When the first trial was through."""
    _trained: Counter[int] = field(default_factory=Counter)
    _seen: float = math.inf

    def __post_init__(self) -> None:
        starts = np.random.default_rng([self.seed, 1]).integers(0, 1 << 16, len(self.target.cells))
        self._starts = {id(cell): int(start) for cell, start in zip(self.target.cells, starts, strict=True)}

    @property
    def over(self) -> bool:
        """Whether no trial begins any more."""
        return self.clock >= self.limit

    def train(self, cell: Cell) -> tuple[Run, Iterator[tuple[int, float]]]:
        """Which run of the cell is shown, and its images seen and scores, an evaluation after the other.

        Whoever takes no more of these has stopped the trial. A searcher may know of the run what it has taken, and at its end
        whether it came through; of the cell's other runs nothing.
        """
        key = id(cell)
        run = cell.runs[(self._starts[key] + self._trained[key]) % len(cell.runs)]
        self._trained[key] += 1
        return run, self._evaluated(cell, run)

    def _evaluated(self, cell: Cell, run: Run) -> Iterator[tuple[int, float]]:
        before = 0.0
        for place, (images, score, seconds) in enumerate(zip(run.images, run.scores, run.seconds, strict=True), 1):
            self.clock += seconds - before
            before = seconds
            if place == len(run.images) and run.alive:
                self.first = min(self.first, self.clock)
                if score < self._seen:
                    self._seen = score
                    self.trace.append((self.clock, cell.true))
            yield images, score

    def to_the_end(self, cell: Cell) -> None:
        """A whole trial."""
        for _ in self.train(cell)[1]:
            pass

    @contextmanager
    def thinking(self) -> Iterator[None]:
        """What is done in the block takes the processor's time that it takes."""
        begun = time.process_time()
        yield
        self.clock += time.process_time() - begun


class FirstScratch:
    """Asked of each trial of a search as it begins, whether it is the first from scratch: `search` stops that one never early."""

    def __init__(self) -> None:
        self._seen = False

    def __call__(self, cell: Cell) -> bool:
        first = cell.arm == SCRATCH_ARM and not self._seen
        self._seen = self._seen or first
        return first


Suggest = Callable[[optuna.Trial], Cell]


def _recorded(suggest: Suggest, trial: optuna.Trial) -> Cell | None:
    """The cell that is suggested; None of one that the table has not."""
    try:
        return suggest(trial)
    except UserError:
        return None


def by_optuna(
    replay: Replay,
    sampler: BaseSampler,
    suggest: Suggest,
    pruner: BasePruner | None = None,
    first: tuple[dict[str, object], ...] = (),
    judge: CurveStopping | None = None,
    spares_scratch: bool = False,
) -> None:
    """Search by Optuna's ask and tell, trial after trial; `first` are planned, and `judge` stops trials if no pruner does.

    What the table has not is told as failed, and asked for again. Where it spares scratch, the first trial from scratch is
    trained to its end whatever is thought of it, as `search` does.
    """
    spare = FirstScratch() if spares_scratch else None
    study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner or NopPruner())
    for parameters in first:
        study.enqueue_trial(parameters)
    while not replay.over:
        with replay.thinking():
            trial = study.ask()
            cell = _recorded(suggest, trial)
        if cell is None:
            study.tell(trial, state=TrialState.FAIL)
            continue
        spared = spare is not None and spare(cell)
        last, stopped, begun = math.nan, False, replay.clock
        run, evaluations = replay.train(cell)
        for images, score in evaluations:
            trial.report(score, images)
            last = score
            if judge:
                with replay.thinking():
                    believed = judge.see(trial.number, cell.arm, images, score, replay.clock - begun)
                stopped = believed is not None and believed.stopped and not spared
            elif images not in (0, replay.target.images) and not (run.alive and images == run.images[-1]):
                with replay.thinking():
                    stopped = trial.should_prune() and not spared
            if stopped:
                break
        if stopped or not run.alive:
            trial.set_user_attr("status", "stopped" if stopped else "diverged")  # as a study's journal says it
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, last)
