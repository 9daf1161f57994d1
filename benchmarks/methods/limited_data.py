"""What helps where the target has few images: each knob of fine-tuning beside its baseline, three seeds, and what it costs.

    python -m benchmarks.methods.limited_data run icons --home HOME    # the knobs' smallest tests, 100 icons of builtin:phosphor
    python -m benchmarks.methods.limited_data run photos --home HOME   # cats from source dogs, which HOME has, of 32 pixels
    python -m benchmarks.methods.limited_data cost                     # milliseconds that each knob adds to an iteration
    python -m benchmarks.methods.limited_data table                    # the tables of docs/limited-data.md

Runs are appended to docs/limited-data.csv as they end, and those that stand there are not run again: stop it at any time.
Distances are to all training images of the domain, nearly all of them unseen by the trial; which images it sees differs from
seed to seed. Arms on photos are given equal seconds: the iterations that `SHARE` of the plain one's time leave them.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.results import append_row, read_rows
from search.records.results import merged
from spaces.trials import parse_trial
from trainables.images.batches import Batch
from trainables.images.importing.importers import add_domain
from trainables.machine.devices import native_precision, use_cores
from trainables.methods.finetuning.finetune import Finetune
from trainables.running.given import gather
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import Evaluation, evaluations
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles

RESULTS = Path(__file__).parents[2] / "docs" / "limited-data.csv"
CPU = torch.device("cpu")
SEEDS = 3
COLUMNS = ("table", "arm", "images", "seed", "images_seen", "seconds", "fd", "kd", "copy_rate")

Fields = Mapping[str, Any]
"""Config fields by path."""

DIFFAUGMENT: Fields = {"augment/policy": "color,translation,cutout"}
R1: Fields = {"loss/name": "nonsaturating", "loss/penalty": 1.0}
HINGE: Fields = {"loss/name": "hinge"}
R3: Fields = {**R1, "loss/name": "relativistic"}


@dataclass(frozen=True)
class Arm:
    """A way to train, and the one that it has to beat."""

    fields: Fields
    baseline: str | None = None


SMALL: Fields = {"network/width": 8, "optim/batch": 16, "budget/images": 4_800, "loss/n_critic": 2}
MDI: Fields = {"source": "mdi", "optim/batch": 16, "budget/images": 1_600, "loss/n_critic": 2}
ICONS: Mapping[str, Arm] = {
    "transfer": Arm(MDI),
    "transfer + DiffAugment": Arm({**MDI, **DIFFAUGMENT}, "transfer"),
    "transfer + DiffAugment, translation": Arm({**MDI, "augment/policy": "translation"}, "transfer"),
    "transfer + FreezeD": Arm({**MDI, "transfer/freeze_d": 1}, "transfer"),
    "transfer + L2-SP": Arm({**MDI, "transfer/l2_sp": 0.1}, "transfer"),
    "transfer + EWC": Arm({**MDI, "transfer/ewc": 0.1}, "transfer"),
    "transfer, norms alone": Arm({**MDI, "transfer/train": "norms"}, "transfer"),
    "transfer, hinge": Arm({**MDI, **HINGE}, "transfer"),
    "transfer, hinge + LeCam": Arm({**MDI, **HINGE, "loss/lecam": 0.3}, "transfer, hinge"),
    "transfer, non-saturating + R1": Arm({**MDI, **R1}, "transfer"),
    "transfer, relativistic + R1 + R2": Arm({**MDI, **R3}, "transfer"),
    "scratch": Arm(SMALL),
    "scratch + DiffAugment": Arm({**SMALL, **DIFFAUGMENT}, "scratch"),
    "scratch, hinge": Arm({**SMALL, **HINGE}, "scratch"),
    "scratch, hinge + LeCam": Arm({**SMALL, **HINGE, "loss/lecam": 0.3}, "scratch, hinge"),
    "scratch, non-saturating + R1": Arm({**SMALL, **R1}, "scratch"),
    "scratch, non-saturating + R1 + DiffAugment": Arm({**SMALL, **R1, **DIFFAUGMENT}, "scratch, non-saturating + R1"),
    "scratch, non-saturating + R1 + ADA": Arm(
        {**SMALL, **R1, "augment/ada_target": 0.6}, "scratch, non-saturating + R1 + DiffAugment"
    ),
    "scratch, relativistic + R1 + R2": Arm({**SMALL, **R3}, "scratch"),
}

DOGS: Fields = {"source": "dogs", "augment/flip": True, "loss/n_critic": 2, "optim/batch": 32}
PHOTOS: Mapping[str, Arm] = {
    "transfer": Arm(DOGS),
    "transfer + DiffAugment": Arm({**DOGS, **DIFFAUGMENT}, "transfer"),
    "transfer + FreezeD": Arm({**DOGS, "transfer/freeze_d": 1}, "transfer"),
    "scratch + DiffAugment": Arm({**DOGS, "source": "scratch", **DIFFAUGMENT}, "transfer"),
}
PHOTO_IMAGES, PHOTO_SIZES = 9_216, (100, 1_000, 300)
"""What the plain arm is shown of photos, and how many different ones there are, in the order of running."""
SHARE: Mapping[str, float] = {"transfer + DiffAugment": 1.03, "transfer + FreezeD": 0.84, "scratch + DiffAugment": 1.03}
"""How long an arm's iteration takes beside the plain one's (`cost`)."""

TABLES: Mapping[str, tuple[str, Mapping[str, Arm]]] = {"icons": ("icons-32", ICONS), "photos": ("cats", PHOTOS)}
"""By table: the target, and the arms."""


def plan(table: str) -> Iterator[tuple[str, int, int]]:
    """The runs of a table, arm, target images and seed: of icons an arm is whole before the next begins, of photos a seed."""
    arms = TABLES[table][1]
    if table == "icons":
        return ((arm, 100, seed) for arm in arms for seed in range(SEEDS))
    return ((arm, images, seed) for seed in range(SEEDS) for images in PHOTO_SIZES for arm in arms)


def config_values(table: str, arm: str, images: int, seed: int) -> dict[str, Any]:
    """The nested values of a run's config."""
    target, arms = TABLES[table]
    budget = int(PHOTO_IMAGES / SHARE.get(arm, 1.0)) if table == "photos" else 0
    common: dict[str, Any] = {
        "target": target,
        "source": "scratch",
        "network/resolution": 32,
        "network/width": 16,
        "data/target_images": images,
        "data/seed": seed,
        "seed": seed,
        "optim/lr_g": 1e-3,
        "optim/lr_d": 1e-3,
        "optim/ema_halflife_images": 1_000,
        "optim/precision": native_precision(CPU),
        "budget/images": budget,
        "protocol/metrics": ("fd", "kd", "copy_rate"),
    }
    values = {**common, **arms[arm].fields}
    return merged({}, {**values, "budget/eval_every_images": values["budget/images"]})


def run(table: str, home: Home) -> None:
    """Train what is not in the results yet, one run after another, on one thread."""
    use_cores(1)
    if table == "icons" and "icons-32" not in home.names("domains"):
        add_domain(home, "icons-32", "builtin:phosphor", 32)
    for arm, images, seed in plan(table):
        if any(_is(row, table, arm, images, seed) for row in read_rows(RESULTS)):
            continue
        config = parse_trial(config_values(table, arm, images, seed), f"benchmark {arm!r}")
        folder = home.root / "limited-data" / f"{table}-{arm}-{images}-{seed}".replace(" ", "-").replace("+", "with")
        *_, last = evaluations(run_trial(config, home, TrialFiles(folder, folder / "samples"), CPU))
        _append(table, arm, images, seed, last)


def _is(row: Mapping[str, str], *run: object) -> bool:
    return [row[name] for name in COLUMNS[:4]] == [str(each) for each in run]


def _append(table: str, arm: str, images: int, seed: int, last: Evaluation) -> None:
    scores = [f"{last.metrics[name]:.5g}" if name in last.metrics else last.status for name in COLUMNS[6:]]
    append_row(RESULTS, COLUMNS, [table, arm, images, seed, last.images_seen, f"{last.train_seconds:.1f}", *scores])
    print(table, arm, images, seed, scores, flush=True)


def show_table(table: str) -> None:
    """Print a table in Markdown: each arm's scores of every seed, and on how many seeds it beats its baseline."""
    rows, arms = [row for row in read_rows(RESULTS) if row["table"] == table], TABLES[table][1]
    print(
        "| target images | arm | FD: mean (seeds) | KD | copy rate | beats | on seeds, by FD |\n|---|---|---|---|---|---|---|"
    )
    for images in sorted({int(row["images"]) for row in rows}):
        scores = {arm: _by_seed(rows, arm, images) for arm in arms}
        for arm, of_seed in scores.items():
            if not of_seed:
                continue
            fd, kd, copies = ([row[name] for row in of_seed.values()] for name in ("fd", "kd", "copy_rate"))
            each = ", ".join(f"{value:,.0f}" for value in fd)
            base = arms[arm].baseline or "-"
            both = [seed for seed in of_seed if seed in scores.get(base, {})]
            wins = sum(of_seed[seed]["fd"] < scores[base][seed]["fd"] for seed in both)
            told = f"{wins} of {len(both)}" if base != "-" else "-"
            means = f"{statistics.mean(fd):,.0f} ({each}) | {statistics.mean(kd):.2f} | {statistics.mean(copies):.3f}"
            print(f"| {images:,} | {arm} | {means} | {base} | {told} |")


def _by_seed(rows: list[dict[str, str]], arm: str, images: int) -> dict[str, dict[str, float]]:
    found = [row for row in rows if row["arm"] == arm and row["images"] == str(images) and row["fd"] != "diverged"]
    return {row["seed"]: {name: float(row[name]) for name in ("fd", "kd", "copy_rate")} for row in found}


COSTS: Mapping[str, Arm] = {
    "plain": Arm({}),
    "every knob at 0": Arm(
        {"augment/policy": "", "augment/ada_target": 0, "loss/lecam": 0, "transfer/l2_sp": 0, "transfer/ewc": 0},
        "plain",
    ),
    "DiffAugment, all three": Arm(DIFFAUGMENT, "plain"),
    "DiffAugment, color": Arm({"augment/policy": "color"}, "plain"),
    "FreezeD, 1 block": Arm({"transfer/freeze_d": 1}, "plain"),
    "L2-SP": Arm({"transfer/l2_sp": 0.1}, "plain"),
    "EWC": Arm({"transfer/ewc": 0.1}, "plain"),
    "norms alone": Arm({"transfer/train": "norms"}, "plain"),
    "hinge": Arm({"loss/name": "hinge"}, "plain"),
    "hinge + LeCam": Arm({"loss/name": "hinge", "loss/lecam": 0.3}, "hinge"),
    "non-saturating + R1": Arm({"loss/name": "nonsaturating"}, "plain"),
    "non-saturating + R1 + ADA at p 0.3": Arm(
        {"loss/name": "nonsaturating", "augment/ada_target": 0.6, "augment/ada_images": 10**9}, "non-saturating + R1"
    ),
    "relativistic + R1 + R2": Arm({"loss/name": "relativistic"}, "plain"),
}


def cost(home: Home, repeats: int) -> None:
    """Print what each knob adds to an iteration at width 16, 32 pixels, batch 32, two critic steps, on one thread."""
    use_cores(1)
    if "icons-32" not in home.names("domains"):
        add_domain(home, "icons-32", "builtin:phosphor", 32)
    learners = {name: _timed(arm.fields, home) for name, arm in COSTS.items()}
    batch = Batch(torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8))
    seconds: dict[str, list[float]] = {name: [] for name in learners}
    for _ in range(repeats + 1):
        for name, learner in learners.items():
            start = time.process_time()
            learner.step(batch)
            seconds[name].append(time.process_time() - start)
    took = {name: 1_000 * statistics.median(each[1:]) for name, each in seconds.items()}
    print("| arm | ms an iteration, of the processor | added to | ms added |\n|---|---|---|---|")
    for name, arm in COSTS.items():
        added = f"{took[name] - took[arm.baseline]:+.1f}" if arm.baseline else "-"
        print(f"| {name} | {took[name]:.1f} | {arm.baseline or '-'} | {added} |")


def _timed(fields: Fields, home: Home) -> Finetune:
    values = config_values("icons", "transfer", 100, 0)
    config = parse_trial(merged(values, {"optim/batch": 32, **fields}), "benchmark")
    learner = Finetune(config, gather(config, home).source, CPU, Group())  # type: ignore[arg-type]
    if learner.ada is not None:
        learner.ada.p.fill_(0.3)
    return learner


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["run", "cost", "table"])
    parser.add_argument("table", choices=list(TABLES), nargs="?")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    if given.what == "run":
        run(given.table, Home.make(given.home))
    elif given.what == "cost":
        cost(Home.make(given.home), given.repeats)
    else:
        for each in [given.table] if given.table else TABLES:
            print(f"\n{each}\n")
            show_table(each)
