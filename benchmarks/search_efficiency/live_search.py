"""Searches of real trainings, on targets that no table has.

    python -m benchmarks.search_efficiency.live_search run --home HOME [--ways "A;B"]
    python -m benchmarks.search_efficiency.live_search table    # the tables of docs/search-efficiency.md

Every way has the same seconds of one processor core, in which everything counts: ranking, where it ranks, proposals, training,
evaluation, decisions. Seconds of the processor, because other work makes seconds of the clock worth less at times. So a search
runs in this process, by the ledger, samplers and schedulers of `understock search`, without Ray. HOME has the domains and the
source models of `benchmarks.recorded_transfer record`, and is for this alone: each search begins by removing the studies there,
so that the table that ships is all that is known beforehand.

`run` makes what docs/live-search.csv lacks, a search of minutes after the other. One that is interrupted begins anew.
"""

import argparse
import math
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import optuna

from benchmarks.recorded_transfer.plan import ICONS, PHOTOS, TARGET_IMAGES
from benchmarks.results import append_row, read_rows, score_in_row
from search.launch import begin, resolve_study
from search.picking.arms import Arm
from search.picking.recorded import table_of, write_table
from search.prior import write_prior
from search.records.study import StudyPaths, StudySpec, open_study
from search.running.ledger import Ledger
from search.running.stopping import scheduler_of
from spaces.config import SCRATCH, TrialConfig
from spaces.suggest import Space, methods
from trainables.machine.devices import best_device, use_cores
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import Evaluation
from trainables.training.trial_files import TrialFiles

RESULTS = Path(__file__).parents[2] / "docs" / "live-search.csv"
COLUMNS = (
    "target",
    "way",
    "seed",
    "trial",
    "source",
    "way_of_use",
    "lr_g",
    "lr_d",
    "status",
    "images_seen",
    "seconds",
    "fd",
)
"""`seconds` are those of the search until the trial's end; `fd` is empty where the trial diverged."""

TARGETS, SEEDS = ("dogs", "hoofed"), (0, 1)
SECONDS = 120.0
"""Of a core, a search."""
IMAGES = 3_072
"""Seen by a trial: half of the recorded table's, whose curves go through it."""
RANKING = "ranking"
"""In the place of a way: the row of what ranking took."""
SHARES = (0.25, 0.5, 1.0)
"""Of the seconds, after which the score in hand is shown."""

_COMMON: Mapping[str, Any] = {
    "optim/batch": 32,
    "optim/ema_halflife_images": 1_000,
    "loss/n_critic": 2,
    "augment/flip": True,
    "budget/images": IMAGES,
    "budget/eval_every_images": IMAGES // 4,
    "budget/eval_growth": 1,
    "protocol/metrics": ("fd",),
}
_RATES: Mapping[str, float] = {"optim/lr_g": 1e-3, "optim/lr_d": 1e-3}
_BOTH: Mapping[str, Any] = {**_RATES, "method": "finetune", "transfer/parts": "both"}

first_named = Space(methods, _COMMON, [_BOTH], [_RATES], methods=("finetune", "as_is"))
"""The space of `understock search --space methods`, rates continuous, with its first trials."""
nothing_first = Space(methods, _COMMON, (), (), methods=("finetune", "as_is"))
"""The same, of which nothing is tried before the sampler proposes."""


class Way(NamedTuple):
    """How to search."""

    space: str
    settings: Mapping[str, Any]
    ranks: bool
    """Whether it ranks the sources, and pays for it."""
    knows: bool = False
    """Whether it goes by the table that ships."""


_BY_TRANSFER: Mapping[str, Any] = {"sampler": "transfer", "stopping": "curves"}

WAYS: Mapping[str, Way] = {
    "random search": Way("nothing_first", {"sampler": "random", "early_stopping": False}, False),
    "ASHA + TPE": Way("nothing_first", {"sampler": "tpe"}, False),
    "each source, ASHA + TPE": Way("first_named", {"sampler": "tpe"}, True),
    "search, nothing known": Way("first_named", _BY_TRANSFER, True),
    "search": Way("first_named", _BY_TRANSFER, True, knows=True),
}
"""The last two are what a search does by default, where no earlier trials tell of transfer and where some do."""


@dataclass
class Clock:
    """Seconds of the processor that a search takes, what it began with included."""

    before: float

    def __post_init__(self) -> None:
        self._begun = time.process_time()

    @property
    def seconds(self) -> float:
        """So far."""
        return self.before + time.process_time() - self._begun


def ranked(home: Home, target: str) -> float:
    """Seconds that ranking the sources takes where nothing is known of them yet; what it measures is kept for the searches."""
    for kept in (home.domain(target) / "moments").glob("*"):
        kept.unlink()
    _forget(home)
    begun = time.process_time()
    begin(home, _spec(home, target, "ranking", WAYS["search, nothing known"], 0))
    return time.process_time() - begun


def _forget(home: Home) -> None:
    """Remove all searches: a home's studies are known to whoever searches in it."""
    for name in home.names("studies"):
        shutil.rmtree(home.study(name))


def _spec(home: Home, target: str, name: str, way: Way, seed: int) -> StudySpec:
    """A search's study."""
    sources = [each for each in PHOTOS if each != target] + [ICONS]
    given = {
        "name": f"live-{target}-{name}",
        "sources": ",".join(sources),
        "target_images": TARGET_IMAGES,
        "seed": seed,
    }
    takes = {"core_hours": SECONDS / 3600, "concurrency": 1, "threads_per_trial": 1}
    return resolve_study(home, target, f"{Path(__file__)}:{way.space}", **given, **takes, **way.settings).spec  # type: ignore[arg-type]


def _tell(home: Home, paths: StudyPaths, spec: StudySpec, knows: bool) -> None:
    """What the search begins from: the table that ships, or one of no trial."""
    if knows:
        write_prior(home, paths, spec)
    else:
        write_table(paths.prior, table_of(()))


def searched(home: Home, target: str, way: str, seed: int, ranking: float) -> Iterator[tuple[object, ...]]:
    """One search, from its ranking on, which took so long; a row of the CSV for each trial."""
    how = WAYS[way]
    spec = _spec(home, target, f"{re.sub('[^a-z]+', '-', way.lower())}-{seed}", how, seed)
    _forget(home)
    paths, spec = open_study(home, begin(home, spec))
    clock = Clock(ranking if how.ranks else 0.0)
    _tell(home, paths, spec, how.knows)
    ledger = Ledger(paths, spec)
    scheduler = scheduler_of(ledger)
    while clock.seconds < SECONDS and (asked := ledger.ask()):
        number, config = asked
        last, status = _trained(home, ledger, scheduler, number, config, clock)
        ledger.finish(number, config, "stopped" if status == "over" else status)  # type: ignore[arg-type]
        arm, rates = Arm.of(config), config.rates or (math.nan, math.nan)
        what = target, way, seed, number, arm.source or SCRATCH, arm.way, *(f"{rate:.3g}" for rate in rates)
        yield *what, status, last.images_seen, f"{clock.seconds:.1f}", score_in_row(last.metrics, "fd")


def _trained(
    home: Home, ledger: Ledger, scheduler: Any, number: int, config: TrialConfig, clock: Clock
) -> tuple[Evaluation, str]:
    """A trial until its end, or until it is stopped, or "over": the time is; its last evaluation and its status."""
    paths, spec = ledger.paths, ledger.spec
    known = {"number": number, "evaluated": 0, "reference": ledger.is_reference(number)}
    trial = SimpleNamespace(trial_id=str(number), config={**known, "config": config.model_dump_json()})
    scheduler.on_trial_add(None, trial)
    files = TrialFiles(paths.trial(number), paths.samples(number))
    last, status = None, "completed"
    for item in run_trial(config, home, files, best_device(), spec.digests):
        if isinstance(item, Evaluation):
            last = item
            row = item.row()
            ledger.record(number, config, row)
            decision = scheduler.on_trial_result(None, trial, {**row, "status": item.status})
            if item.status != "running":
                status = item.status
            elif decision == "STOP":
                status = "stopped"
                break
        if last is not None and clock.seconds >= SECONDS:
            status = "over"
            break
    assert last is not None, f"{config=} came to no evaluation"
    if status != "over" and clock.seconds > SECONDS:
        status = "over"
    if status == "completed":
        scheduler.on_trial_complete(None, trial, last.row())
    else:
        scheduler.on_trial_remove(None, trial)
    return last, status


def run(home: Home, ways: Sequence[str]) -> None:
    """Every search that the CSV lacks: seed by seed, the ways after each other on each target."""
    for target in TARGETS:
        if not _rows(target, RANKING, 0):
            seconds = ranked(home, target)
            append_row(RESULTS, COLUMNS, (target, RANKING, 0, *("",) * 7, f"{seconds:.1f}", ""))
    for seed, target, way in product(SEEDS, TARGETS, ways):
        if _rows(target, way, seed):
            continue
        rows = []
        for row in searched(home, target, way, seed, float(_rows(target, RANKING, 0)[0]["seconds"])):
            print(*row, flush=True)
            rows.append(row)
        for row in rows:  # together: a search stands there whole or not at all
            append_row(RESULTS, COLUMNS, row)


def _rows(target: str, way: str, seed: int) -> list[dict[str, str]]:
    """Of the CSV."""
    wanted = target, way, str(seed)
    return [row for row in read_rows(RESULTS) if (row["target"], row["way"], row["seed"]) == wanted]


def in_hand(rows: list[dict[str, str]], seconds: float) -> float:
    """The best score of a trial that was through by then; endless before one was."""
    through = (float(row["fd"]) for row in rows if row["status"] == "completed" and float(row["seconds"]) <= seconds)
    return min(through, default=math.inf)


def table() -> Iterator[str]:
    """As Markdown: a row a search, and a line a way."""
    at = " | ".join(f"FD at {share:.0%}" for share in SHARES)
    yield f"| target | seed | way | trials through | {at} | arm of the best, rates |"
    yield "|---" * (5 + len(SHARES)) + "|"
    behind: dict[str, list[float]] = {}
    for target, seed in product(TARGETS, SEEDS):
        found = {way: own for way in WAYS if (own := _rows(target, way, seed))}
        held = {way: [in_hand(own, share * SECONDS) for share in SHARES] for way, own in found.items()}
        for way, own in found.items():
            if len(found) == len(WAYS):
                best = min(each[-1] for each in held.values())
                behind.setdefault(way, []).append(held[way][-1] / best)
            through = [row for row in own if row["status"] == "completed" and float(row["seconds"]) <= SECONDS]
            cells = (target, seed, way, len(through), *map(_shown, held[way]), _arm(through))
            yield "| " + " | ".join(map(str, cells)) + " |"
    yield ""
    for way, ratios in behind.items():
        over = math.exp(sum(map(math.log, ratios)) / len(ratios)) - 1
        yield f"- {way}: {over:.1%} over the best way, in the mean of the {len(ratios)} targets and seeds with all of them"


def _arm(through: Sequence[Mapping[str, str]]) -> str:
    """That of the best trial."""
    first = min(through, key=lambda row: float(row["fd"]), default=None)
    if first is None:
        return "-"
    rates = "" if first["lr_g"] == "nan" else f", {first['lr_g']} {first['lr_d']}"
    return f"{first['source']} ({first['way_of_use']}){rates}"


def _shown(score: float) -> str:
    return f"{score:,.0f}" if math.isfinite(score) else "-"


def main() -> int:
    """Read the command line; gives an exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--home", type=Path, help="where domains and source models are, and studies are put")
    parser.add_argument("--ways", default=";".join(WAYS), help="names with semicolons between [all]")
    given = parser.parse_args()
    if given.what == "table":
        print("\n".join(table()))
        return 0
    if given.home is None:
        parser.error("run needs --home")
    if unknown := [way for way in given.ways.split(";") if way not in WAYS]:
        parser.error(f"--ways: unknown way {unknown[0]!r}; known: {', '.join(WAYS)}")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    use_cores(1)
    run(Home(given.home), given.ways.split(";"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
