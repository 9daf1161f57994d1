"""Two families of networks at equal seconds: the ResNet of WGAN-GP and a narrow StyleGAN2, from a source and from scratch.

    python -m benchmarks.transfer.families cost --home HOME   # milliseconds of one core that a real image costs each of them
    python -m benchmarks.transfer.families run --home HOME --photos ../shared/domains
    python -m benchmarks.transfer.families table              # the table of docs/families.md

Targets are 1,000 icons of builtin:phosphor, from a source that learnt builtin:mdi, and 1,000 cats, from one that learnt
dogs; all of 32 pixels. Each source model is trained here for as long as those of the other family, and each trial is, on one
thread: what they are shown is `SECONDS` by what an image costs. Runs are appended to docs/families.csv as they end, and
those that stand there are not run again: stop it at any time.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import append_row, read_rows
from search.records.results import merged
from spaces.config import SCRATCH
from spaces.methods.finetune import FinetuneConfig
from spaces.presets import FAMILY_PRESETS
from trainables.images.batches import Batch
from trainables.images.importing.importers import add_domain
from trainables.machine.devices import native_precision, use_cores
from trainables.methods.finetuning.families import FINETUNE
from trainables.running.given import gather
from trainables.running.source_training import train_source
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import Evaluation, evaluations
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles

RESULTS = Path(__file__).parents[2] / "docs" / "families.csv"
COLUMNS = ("target", "family", "start", "seed", "images_seen", "seconds", "fd", "kd", "iw")
CPU, PIXELS, SEEDS, TARGET_IMAGES = torch.device("cpu"), 32, 3, 1_000
SECONDS = {"source": 600, "trial": 90}
"""Of one core, for the training of each."""
COST: Mapping[str, float] = {"resnet": 4.9, "stylegan2": 12.1}
"""Milliseconds of one core that a real image costs in training (`cost`)."""
IMAGES: Mapping[str, str] = {
    "icons": "builtin:phosphor",
    "mdi": "builtin:mdi",
    "cats": "cats.parquet",
    "dogs": "dogs.parquet",
}
"""What each domain is imported from."""
SOURCE_OF: Mapping[str, str] = {"icons": "mdi", "cats": "dogs"}
"""By target: the domain that its source models learn."""
RATES: Mapping[str, float] = {"resnet": 1e-3, "stylegan2": 2.5e-3}


def shown(family: str, what: str) -> int:
    """How many real images a training of so many seconds is shown: whole batches of two critic steps."""
    return int(1_000 * SECONDS[what] / COST[family]) // 64 * 64


def config_values(target: str, family: str, start: str, seed: int) -> dict[str, Any]:
    """The nested values of a trial's config: the family's small preset, for the target."""
    preset = FAMILY_PRESETS[family]["small"](target, PIXELS).model_dump()
    fields: dict[str, Any] = {
        "source": f"{SOURCE_OF[target]}-{family}" if start == "transfer" else SCRATCH,
        "transfer/parts": "both" if start == "transfer" else "none",
        "data/target_images": TARGET_IMAGES,
        "data/seed": seed,
        "seed": seed,
        "augment/flip": target == "cats",
        "optim/lr_g": RATES[family],
        "optim/lr_d": RATES[family],
        "optim/ema_halflife_images": 2_000,
        "optim/precision": native_precision(CPU),
        "budget/images": shown(family, "trial"),
        "budget/eval_every_images": shown(family, "trial"),
        "protocol/metrics": ("fd", "kd", "iw"),
    }
    if family == "resnet":
        fields["loss/n_critic"] = 2
    return merged(preset, fields)


def run(home: Home, photos: Path) -> None:
    """Import, train the sources, and then the trials that are not in the results yet, one after another on one thread."""
    use_cores(1)
    for domain, origin in IMAGES.items():
        if domain not in home.names("domains"):
            add_domain(home, domain, origin if origin.startswith("builtin:") else str(photos / origin), PIXELS)
    for domain in SOURCE_OF.values():
        for family in COST:
            if (name := f"{domain}-{family}") not in home.names("sources"):
                train_source(home, domain, name, "small", max_images=shown(family, "source"), threads=1, family=family)
    for target, family, start, seed in plan():
        if any([row[name] for name in COLUMNS[:4]] == [target, family, start, str(seed)] for row in read_rows(RESULTS)):
            continue
        config = FinetuneConfig.parse(config_values(target, family, start, seed), "benchmark")
        folder = home.root / "families" / f"{target}-{family}-{start}-{seed}"
        *_, last = evaluations(run_trial(config, home, TrialFiles(folder, folder / "samples"), CPU))
        _append((target, family, start, seed), last)


def plan() -> Iterator[tuple[str, str, str, int]]:
    """The trials, a seed of all of them before the next."""
    return (
        (target, family, start, seed)
        for seed in range(SEEDS)
        for target in SOURCE_OF
        for family in COST
        for start in ("transfer", SCRATCH)
    )


def _append(run: tuple[str, str, str, int], last: Evaluation) -> None:
    scores = [f"{last.metrics[name]:.5g}" if name in last.metrics else last.status for name in COLUMNS[6:]]
    append_row(RESULTS, COLUMNS, [*run, last.images_seen, f"{last.train_seconds:.1f}", *scores])
    print(*run, scores, flush=True)


def show_table() -> None:
    """Print the results in Markdown: each row a target, a family and where it starts."""
    rows = read_rows(RESULTS)
    print("| target | family | from | images seen | FD: mean (seeds) | KD | IW |\n|---|---|---|---|---|---|---|")
    for target, family, start in dict.fromkeys(run[:3] for run in plan()):
        found = [row for row in rows if (row["target"], row["family"], row["start"]) == (target, family, start)]
        whole = [row for row in found if row["fd"] != "diverged"]
        if not whole:
            continue
        scores = {name: [float(row[name]) for row in whole] for name in ("fd", "kd", "iw")}
        each = ", ".join(f"{value:,.0f}" for value in scores["fd"])
        means = f"{statistics.mean(scores['fd']):,.0f} ({each}) | {statistics.mean(scores['kd']):.2f}"
        seen = f"{int(whole[0]['images_seen']):,}"
        origin = SOURCE_OF[target] if start == "transfer" else start
        print(f"| {target} | {family} | {origin} | {seen} | {means} | {statistics.mean(scores['iw']):.4f} |")


def cost(home: Home, rounds: int) -> None:
    """Print what a real image costs each family in training, both in one process and in turns, on one thread."""
    use_cores(1)
    took: dict[str, list[float]] = {family: [] for family in COST}
    if "icons" not in home.names("domains"):
        add_domain(home, "icons", IMAGES["icons"], PIXELS)
    learners = {}
    for family in COST:
        config = FinetuneConfig.parse(config_values("icons", family, SCRATCH, 0), "benchmark")
        learner = FINETUNE.build(config, gather(config, home), CPU, Group())
        learners[family] = (learner, config.loss.n_critic * config.optim.batch)
    for _ in range(rounds):
        for family, (learner, images) in learners.items():
            batch = Batch(torch.randint(0, 256, (images, 3, PIXELS, PIXELS), dtype=torch.uint8))
            start = time.process_time()
            for _ in range(16):  # StyleGAN2's lazy steps come every 16th and every fourth
                learner.step(batch)
            took[family].append((time.process_time() - start) / (16 * images))
    for family, seconds in took.items():
        print(f"{family}: {1_000 * statistics.median(seconds):.2f} ms of one core for each real image")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["run", "cost", "table"])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--photos", type=Path, default=Path(__file__).parents[3] / "shared" / "domains")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.what == "run":
        run(Home.make(asked.home), asked.photos)
    elif asked.what == "cost":
        cost(Home.make(asked.home), asked.rounds)
    else:
        show_table()
