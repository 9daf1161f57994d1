"""Budgets of ten times the table's: python -m benchmarks.transfer.longer run --home HOME; where does scratch catch up?

    python -m benchmarks.transfer.longer run --home HOME    # what docs/longer.csv lacks; HOME as recorded_transfer made it
    python -m benchmarks.transfer.longer table              # what docs/findings.md says of it

One target, a near source and a far one with both networks transferred, and scratch, trained as the table's first wave is, but for
ten times as many images, of which every tenth part ends with an evaluation of as many samples as the table's last one has. The
first seed comes first. Stop it at any time: evaluations are appended as they come, and a training goes on where it was. One that
diverges ends with a row without an FD, and is not trained again.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr

from benchmarks.recorded_transfer.plan import ICONS, IMAGES, RESOLUTION, TARGET_IMAGES, WAVES, space_of
from benchmarks.results import append_row, read_rows, score_in_row
from benchmarks.transfer.findings import Interval
from search.records.results import merged
from spaces.config import SCRATCH, TrialConfig
from spaces.presets import small
from spaces.trials import parse_trial
from trainables.machine.devices import native_precision, use_cores
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import evaluations
from trainables.training.trial_files import TrialFiles

RESULTS = Path(__file__).parents[2] / "docs" / "longer.csv"
COLUMNS = ("target", "source", "seed", "images_seen", "seconds", "fd")
TARGET, SOURCES, SEEDS = "cats", ("dogs", ICONS, SCRATCH), (0, 1, 2)
"""Of the sources the nearest by rank, the farthest, and none."""
TIMES = 10
SAMPLES = 1_000
CPU = torch.device("cpu")


def config_of(source: str, seed: int) -> TrialConfig:
    """A training's: the table's first wave's but for its length."""
    common: Mapping[str, Any] = {
        **space_of(WAVES[0]).common,
        "source": source,
        "seed": seed,
        "data/target_images": TARGET_IMAGES,
        "optim/precision": native_precision(CPU),
        "budget/images": TIMES * IMAGES,
        "budget/eval_every_images": IMAGES,
        "protocol/metrics": ("fd",),
        "protocol/n_rung": SAMPLES,
    }
    parts = {} if source == SCRATCH else {"transfer/parts": "both"}
    return parse_trial(merged(small(TARGET, RESOLUTION).model_dump(), {**common, **parts}), "longer")


def run(home: Home) -> None:
    """Every evaluation that the CSV lacks, a training after the other."""
    for seed, source in product(SEEDS, SOURCES):
        own = _rows(source, seed)
        there = {int(row["images_seen"]) for row in own if row["fd"]}
        if TIMES * IMAGES in there or _diverged_after(own) is not None:
            continue
        folder = home.root / "longer" / f"{TARGET}-{source}-{seed}"
        files = TrialFiles(folder / "trial", folder / "samples")
        for each in evaluations(run_trial(config_of(source, seed), home, files, CPU)):
            if each.status == "diverged" or each.images_seen not in {0, *there}:
                seconds, fd = f"{each.wall_seconds:.1f}", score_in_row(each.metrics, "fd")
                row = TARGET, source, seed, each.images_seen, seconds, fd
                append_row(RESULTS, COLUMNS, row)
                print(*row, flush=True)


def _rows(source: str, seed: int) -> list[dict[str, str]]:
    """Of the CSV."""
    wanted = TARGET, source, str(seed)
    return [row for row in read_rows(RESULTS) if (row["target"], row["source"], row["seed"]) == wanted]


def _diverged_after(rows: Sequence[Mapping[str, str]]) -> int | None:
    """Images that a training had seen when it diverged; None of one that did not."""
    return next((int(row["images_seen"]) for row in rows if not row["fd"]), None)


def curve(source: str, seed: int) -> dict[int, float]:
    """FD by images seen, in tenths; endless from where the training diverged."""
    rows = _rows(source, seed)
    found = {round(int(row["images_seen"]) / IMAGES): float(row["fd"]) for row in rows if row["fd"]}
    if (images := _diverged_after(rows)) is not None:
        found |= {n: math.inf for n in range(1, TIMES + 1) if n not in found and n * IMAGES >= images}
    return found


def _shown(fd: float | None) -> str:
    """A cell of the table."""
    return "-" if fd is None else f"{fd:,.0f}" if math.isfinite(fd) else "diverged"


def ratios() -> Iterator[str]:
    """How far one source's FD is over another's at the table's budget and at the longest, over the seeds that are whole."""
    whole = [seed for seed in SEEDS if all(TIMES in curve(source, seed) for source in SOURCES)]
    for n, (better, worse) in product((1, TIMES), combinations(SOURCES, 2)):
        logs = [math.log(curve(worse, seed)[n] / curve(better, seed)[n]) for seed in whole]
        if len(logs) > 1:
            yield f"{worse} over {better} after {n * IMAGES:,} images: {Interval.of(logs).ratio}, {len(logs)} seeds"


def table() -> Iterator[str]:
    """A row a training, as Markdown; and of each seed that is whole, where scratch is ahead, and how orders agree."""
    yield "| source | seed | " + " | ".join(f"{n * IMAGES:,}" for n in range(1, TIMES + 1)) + " |"
    yield "|---" * (2 + TIMES) + "|"
    for seed in SEEDS:
        curves = {source: found for source in SOURCES if (found := curve(source, seed))}
        for source, found in curves.items():
            cells = (_shown(found.get(n)) for n in range(1, TIMES + 1))
            yield f"| {source} | {seed} | " + " | ".join(cells) + " |"
    for seed in SEEDS:
        curves = {source: curve(source, seed) for source in SOURCES}
        if any(TIMES not in found for found in curves.values()):
            continue
        scratch = curves[SCRATCH]
        for source in SOURCES[:-1]:
            ahead = next((n for n in sorted(scratch) if scratch[n] < curves[source][n]), None)
            when = "never" if ahead is None else f"after {ahead * IMAGES:,} images"
            yield f"\nseed {seed}: scratch is ahead of {source} {when}"
        first, last = ([found[n] for found in curves.values()] for n in (1, TIMES))
        yield f"seed {seed}: Spearman's correlation of the orders at 1 and {TIMES} times: {spearmanr(first, last)[0]:.2f}"


def main() -> int:
    """Read the command line; gives an exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--home", type=Path, help="where domains and source models are, and trainings go on")
    given = parser.parse_args()
    if given.what == "table":
        print("\n".join([*table(), "", *ratios()]))
        return 0
    if given.home is None:
        parser.error("run needs --home")
    use_cores(1)
    run(Home(given.home))
    return 0


if __name__ == "__main__":
    sys.exit(main())
