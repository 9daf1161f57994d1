"""How far intervals and claims hold on targets left out: by the trials of the others, and of some cells of the target itself.

A cell that is told is told with each of its trainings, as trials of their own. An interval is of one training of a cell that
was not told, each of which is asked for: of its score where cells of the target are told, else of its score over that of the
first from scratch. A claim is that one cell beats another, made where that has a probability of 0.95; the recorded trainings
judge it, whose seeds differ too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from benchmarks.search_efficiency.table import Cell, Target
from benchmarks.search_efficiency.ways import prior_of
from search.picking.arms import SCRATCH_ARM
from search.picking.pick import SURE
from search.picking.transfer_model import Posterior, posterior
from search.prior import Prior

TOLD = (0, 5, 10)
"""Cells of the target itself that are told beside the others' trials."""
DRAWS = 2_000


@dataclass
class Counted:
    """Intervals and claims, and how many were right."""

    intervals: int = 0
    held: int = 0
    claims: int = 0
    wrong: int = 0
    picks: int = 0
    wrong_picks: int = 0
    """Claims of the arm that would be picked alone, over each other one."""


def calibration(targets: Sequence[Target], seeds: int) -> Table:
    """A row for each number of the target's own cells that were told; one seed where that is none."""
    table = Table("cells told", "intervals", "90 % hold", "claims", "wrong", "claims of a pick", "wrong", box=None)
    for told in TOLD:
        counted = Counted()
        for target in targets:
            others = tuple(other for other in targets if other is not target)
            prior = prior_of(target, others, others)[0]
            for seed in range(seeds if told else 1):
                _count(counted, target, prior, told, seed)
        cells = (counted.intervals, _share(counted.held, counted.intervals), counted.claims)
        wrong = _share(counted.wrong, counted.claims), counted.picks, _share(counted.wrong_picks, counted.picks)
        table.add_row(str(told), *map(str, (*cells, *wrong)))
    return table


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else "-"


def _count(counted: Counted, target: Target, prior: Prior, told: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = [cell for cell in target.cells if math.isfinite(cell.true)]
    own = {int(place) for place in rng.permutation(len(cells))[:told]}
    rest = [cell for place, cell in enumerate(cells) if place not in own]
    asked = [prior.case(cell.arm, cell.rates) for cell in rest]
    trials = [(cells[place], run) for place in own for run in cells[place].runs]
    more = [prior.case(cell.arm, cell.rates)._replace(study="this one") for cell, _ in trials]
    logs = np.r_[prior.log_scores, [math.log(run.scores[-1]) for _, run in trials]]
    drawn = posterior([*prior.cases, *more], logs, asked, DRAWS, seed)
    for held in _held(drawn, rest, known=bool(told), rng=rng):
        counted.intervals += 1
        counted.held += held
    first = int(drawn.mean.mean(0).argmin())
    for one in range(len(rest)):
        for other in range(len(rest)):
            if one != other and (drawn.mean[:, one] < drawn.mean[:, other]).mean() >= SURE:
                wrong = rest[one].true > rest[other].true
                counted.claims += 1
                counted.wrong += wrong
                counted.picks += one == first
                counted.wrong_picks += wrong and one == first


def _held(drawn: Posterior, cells: Sequence[Cell], known: bool, rng: np.random.Generator) -> Iterator[bool]:
    """Of each training of each cell, whether its 90 % interval holds it; over the first from scratch, if nothing is known."""
    runs = [(place, run) for place, cell in enumerate(cells) for run in cell.runs]
    mean = drawn.mean[:, [place for place, _ in runs]]
    single = mean + rng.standard_normal(mean.shape) * drawn.sigma[:, None]
    true = np.log([run.scores[-1] for _, run in runs])
    if known:
        single = single + rng.standard_normal((len(single), 1)) * drawn.rho[:, None]
    else:
        scratch = next((nth for nth, (place, _) in enumerate(runs) if cells[place].arm == SCRATCH_ARM), None)
        if scratch is None:
            return
        single, true = (np.delete(each - each[..., [scratch]], scratch, axis=-1) for each in (single, true))
    low, high = np.percentile(single, [5, 95], axis=0)
    yield from ((low <= true) & (true <= high)).tolist()
