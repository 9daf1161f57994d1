"""Replays the recorded table, leaving one target out at a time: python -m benchmarks.search_efficiency [--table FILE]

Nothing is trained: a trial costs the seconds that its rows say, evaluations included, one stopped early those up to its rung,
and whoever ranks sources or thinks about proposals pays for that. Each way of searching knows the other targets' trials, or
nothing, and is run with as many seeds. Printed is how soon it holds a trial whose true score is within 2 % of the table's
best; results.json has all curves, and results.html shows them. `--made-up` replays a made-up table, to see that all works.
`--about stops` compares what stops trials early, `--about calibration` counts how often intervals and claims hold.
"""

import argparse
import json
import math
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import optuna
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from analysis.page import Plot
from analysis.pictures import draw as draw_plots
from benchmarks.recorded_transfer.export import TABLE
from benchmarks.search_efficiency.calibration import calibration
from benchmarks.search_efficiency.figure import by_target, overview
from benchmarks.search_efficiency.made_up import made_up
from benchmarks.search_efficiency.outcomes import Outcome, outcome, shares, worse_than
from benchmarks.search_efficiency.peers import PEERS, there
from benchmarks.search_efficiency.replay import Replay
from benchmarks.search_efficiency.stops import stops
from benchmarks.search_efficiency.table import WITHIN, Target, targets_of
from benchmarks.search_efficiency.ways import RANDOM, WAYS, Way
from search.picking.recorded import told
from trainables.storage.home import writing

OUT = Path(__file__).parent
ABOUT = {"stops": stops, "calibration": calibration}
"""What the table is asked: how soon ways of searching are near the best, what early stopping stops, how far claims hold."""


def ways_there() -> Mapping[str, Way]:
    """All that can be run here."""
    return {**WAYS, **(PEERS if there() else {})}


def replayed(way: str, target: Target, others: Sequence[Target], seeds: int, share: float) -> Outcome:
    """One way on one target, over all seeds."""
    limit = share * target.grid_seconds
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    replays = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(seeds):
            replays.append(Replay(target, seed, limit))
            ways_there()[way](replays[-1], others)
    return outcome(way, target, replays, limit)


def all_replayed(targets: Sequence[Target], ways: Sequence[str], seeds: int, share: float, jobs: int) -> list[Outcome]:
    """Every way on every target, each time with the others known."""
    tasks = [(way, target, [other for other in targets if other is not target]) for way in ways for target in targets]
    run = partial(_task, seeds=seeds, share=share)
    if jobs == 1:
        return [run(task) for task in tasks]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(run, tasks))


def _task(task: tuple[str, Target, list[Target]], seeds: int, share: float) -> Outcome:
    begun = time.monotonic()
    found = replayed(*task, seeds, share)
    print(f"{task[0]} on {task[1].name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return found


def shown(outcomes: Sequence[Outcome]) -> Table:
    """A row a way, those first that are soonest near the best."""
    targets = sorted({each.target for each in outcomes})
    table = Table("way", "share of the grid", *targets, "over the best at 5 %", "worse than random", box=None)
    found = shares(outcomes)
    random = {each.target: each for each in outcomes if each.way == RANDOM}
    for way in sorted(
        found, key=lambda each: (found[each], -sum(math.isfinite(o.median_near) for o in outcomes if o.way == each))
    ):
        own = {each.target: each for each in outcomes if each.way == way}
        worse = [w for name in targets if name in random and (w := worse_than(own[name], random[name])) >= 0]
        at = float(np.exp(np.mean([math.log(own[name].at(0.05)) for name in targets])))
        cells = [_seconds(own[name].median_near) for name in targets]
        table.add_row(way, _share(found[way]), *cells, _over(at), _share(max(worse, default=math.nan)))
    return table


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if math.isfinite(value) else "-"


def _share(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "-"


def _over(ratio: float) -> str:
    return f"{ratio - 1:.1%}" if math.isfinite(ratio) else "nothing"


def main() -> int:
    """Read the command line; gives an exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="a recorded table [that of recorded_transfer]")
    parser.add_argument("--made-up", action="store_true", help="a made-up table instead")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--share", type=float, default=0.3, help="of the grid's cost that a search may spend")
    parser.add_argument("--ways", help="names, ';' between them [all]")
    parser.add_argument("--jobs", type=int, default=1, help="replays at once")
    parser.add_argument("--out", type=Path, default=OUT, help="where results.json and results.html go")
    parser.add_argument("--png", type=Path, help="where the figure goes too, by Chromium")
    parser.add_argument(
        "--about", choices=["searches", *ABOUT], default="searches", help="what is asked of the table [searches]"
    )
    given = parser.parse_args()
    if not given.made_up and not given.table.exists():
        print(f"{given.table}: there is no such table; record one, or take --made-up", file=sys.stderr)
        return 2
    table = made_up() if given.made_up else pq.read_table(given.table)
    targets = targets_of(study for study, _ in told(table, None))
    if given.about != "searches":
        Console(width=180).print(ABOUT[given.about](targets, given.seeds))
        return 0
    ways = given.ways.split(";") if given.ways else list(ways_there())
    if unknown := [way for way in ways if way not in ways_there()]:
        parser.error(f"--ways: unknown way {unknown[0]!r}; known: {', '.join(ways_there())}")
    outcomes = all_replayed(targets, ways, given.seeds, given.share, given.jobs)
    about = f"{len(targets)} targets, {sum(len(t.cells) for t in targets)} cells, {given.seeds} seeds"
    print(f"{about}; seconds to within {WITHIN - 1:.0%} of the table's best, in the median over seeds", flush=True)
    Console(width=180).print(shown(outcomes))
    given.out.mkdir(parents=True, exist_ok=True)
    whole, apart = overview(outcomes, about), by_target(outcomes, about)
    with writing(given.out / "results.json") as beside:
        beside.write_text(json.dumps({"about": about, "outcomes": [each.as_dict() for each in outcomes]}) + "\n")
    with writing(given.out / "results.html") as beside:
        parts = (
            whole.to_html(include_plotlyjs="cdn", full_html=False),
            apart.to_html(include_plotlyjs=False, full_html=False),
        )
        beside.write_text(f"<!doctype html><meta charset=utf-8><title>Replays: {about}</title>{''.join(parts)}\n")
    if given.png:
        (png,) = draw_plots([Plot("replays", whole, "")])
        with writing(given.png) as beside:
            beside.write_bytes(png)
    return 0


if __name__ == "__main__":
    sys.exit(main())
