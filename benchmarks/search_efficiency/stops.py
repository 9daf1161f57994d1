"""What early stopping stops: every cell of a target's grid once, in random order, under each rule.

As in a search, the first trial from scratch is stopped by none.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from rich.table import Table

from benchmarks.search_efficiency.replay import FirstScratch
from benchmarks.search_efficiency.table import Cell, Target
from benchmarks.search_efficiency.ways import TunesAsha, by_curves

Stop = Callable[[int, Cell, int, float, float], bool]
"""Whether a trial is stopped, by its number, cell, images seen, score and seconds."""


@dataclass
class Tally:
    """What a rule came to, over targets and orders."""

    shares: list[float] = field(default_factory=list)
    """Of the grid's cost."""
    behind: list[float] = field(default_factory=list)
    """The score in hand at the end over the grid's best."""
    trials: int = 0
    stopped: int = 0
    wrong: int = 0
    """Stopped, though they would have beaten the best in hand then."""
    beliefs: int = 0
    held: int = 0
    """Of those, whose 90 % interval holds what the trial comes to, stopped or not."""


def stops(targets: Sequence[Target], seeds: int) -> Table:
    """A row a rule; each target is left out of what the rule knows."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for target in targets:
        others = [other for other in targets if other is not target]
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(target.cells))
            for name in ("none", "ASHA", "curves"):
                _run(target, order, tallies[name], _rule(name, target, others, tallies[name]))
    table = Table(
        "early stopping", "trials", "stopped", "of those wrongly", "cost", "over the best", "intervals hold", box=None
    )
    for name, tally in tallies.items():
        wrong = f"{tally.wrong} ({tally.wrong / tally.stopped:.1%})" if tally.stopped else "-"
        held = f"{tally.held} of {tally.beliefs} ({tally.held / tally.beliefs:.0%})" if tally.beliefs else "-"
        behind = f"{np.mean(tally.behind) - 1:.1%} (worst {max(tally.behind) - 1:.1%})"
        table.add_row(name, str(tally.trials), str(tally.stopped), wrong, f"{np.mean(tally.shares):.0%}", behind, held)
    return table


def _run(target: Target, order: Sequence[int], tally: Tally, stop: Stop) -> None:
    spent, best, true, spare = 0.0, math.inf, math.inf, FirstScratch()
    for place in order:
        cell, stopped, seconds = target.cells[place], False, 0.0
        run, spared = cell.runs[0], spare(cell)
        for images, score, seconds in zip(run.images, run.scores, run.seconds, strict=True):
            stopped = stop(int(place), cell, images, score, seconds) and not spared
            if stopped:
                break
        spent += seconds
        tally.trials += 1
        tally.stopped += stopped
        if stopped:
            tally.wrong += run.alive and run.scores[-1] < best
        elif run.alive and run.scores[-1] < best:
            best, true = run.scores[-1], cell.true
    tally.shares.append(spent / sum(cell.runs[0].seconds[-1] for cell in target.cells))
    tally.behind.append(true / target.best)


def _rule(name: str, target: Target, others: Sequence[Target], tally: Tally) -> Stop:
    if name == "none":
        return lambda *_: False
    if name == "curves":
        judge = by_curves(target, others)

        def curves(number: int, cell: Cell, images: int, score: float, seconds: float) -> bool:
            believed = judge.see(number, cell.arm, images, score, seconds)
            if believed is None:
                return False
            tally.beliefs += 1
            run = cell.runs[0]
            tally.held += run.alive and believed.low <= run.scores[-1] <= believed.high
            return believed.stopped

        return curves
    rungs = TunesAsha(target.images)

    def asha(number: int, cell: Cell, images: int, score: float, seconds: float) -> bool:
        if images in (0, target.images):
            return False
        trial = SimpleNamespace(number=number, last_step=images, intermediate_values={images: score})
        return rungs.prune(None, trial)  # type: ignore[arg-type]

    return asha
