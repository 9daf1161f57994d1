"""MineGAN, CDC, AdAM and a projected critic against what each must beat: python -m benchmarks.methods.adaptation [--home HOME]

Three small tests of three seeds each, with the source models that ship with the package: MNIST's for one digit of which there
are 50 images, and the icons' (mdi) for 10 and for 1,000 icons of another font. Every trial is shown as many images. A run
takes some 30 minutes of one core; an interrupted one goes on when called again. It prints Markdown tables: scores, and what
an iteration costs, in seconds of the processor.

The projected critic trains on the features of the default extractor, so no score in them, IW included, decides anything between
it and the others. `--tests "1,000 icons" --extractor random_convnet` scores that test by a network that nobody trained; its
rows stand beside those by the default.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.setting_up import JUDGES, add_builtin, ending, learner_of
from spaces.protocol import LITE0
from spaces.trials import parse_trial
from trainables.images.domains import Domain, open_domain, write_domain
from trainables.methods.registry import open_sampler
from trainables.metrics.diversity import CENTRES, embedding, intra_cluster
from trainables.metrics.features import load_extractor
from trainables.networks.families import DISCRIMINATOR
from trainables.networks.models import read_model
from trainables.networks.sampling import ZSampler, critic_logits
from trainables.running.trial import run_trial
from trainables.sources.shelf import open_source
from trainables.storage.home import Home
from trainables.training.loop import evaluations
from trainables.training.trial_files import TrialFiles

CPU = torch.device("cpu")
DIGIT, SEEDS, SAMPLES = 5, (0, 1, 2), 1_000
STEPS, BATCH, CRITIC_STEPS = 240, 8, 2
RECIPE: Mapping[str, Any] = {
    "network": {"resolution": 32, "width": 16, "z_dim": 128},
    "loss": {"n_critic": CRITIC_STEPS},
    "optim": {"lr_g": 1e-3, "lr_d": 1e-3, "batch": BATCH, "ema_halflife_images": 1_000, "precision": "bfloat16"},
}
MODULATION: Mapping[str, Any] = {"percentile": 75.0, "probe_steps": 40, "fisher_steps": 20}


@dataclass(frozen=True)
class Test:
    """A source, a target of few images, and what is tried."""

    source: str
    target: str
    images: int
    tried: Mapping[str, Mapping[str, Any]]
    """Settings of a method's config, by what the table calls it."""
    metrics: tuple[str, ...] = ("kd", "fd", "intra_diversity", "copy_rate")


PROJECTED: Mapping[str, Any] = {
    "method": "projected",
    "loss": {"name": "hinge", "penalty": 0.0, "n_critic": CRITIC_STEPS},
}
TESTS: Mapping[str, Test] = {
    "one digit": Test(
        "mnist",
        f"digit-{DIGIT}",
        50,
        {
            "source as it is": {"method": "as_is"},
            "fine-tuning": {"method": "finetune"},
            "MineGAN, miner alone": {"method": "minegan", "mining": {"steps_alone": STEPS}},
            "MineGAN, then all": {"method": "minegan", "mining": {"steps_alone": STEPS // 2}},
        },
    ),
    "ten icons": Test(
        "mdi",
        "phosphor",
        10,
        {
            "source as it is": {"method": "as_is"},
            "fine-tuning": {"method": "finetune"},
            "CDC": {"method": "cdc"},
            "AdAM": {"method": "kernel_modulation", "modulation": MODULATION},
            "AdAM, random filters": {
                "method": "kernel_modulation",
                "modulation": {**MODULATION, "filters": "random"},
            },
        },
    ),
    "1,000 icons": Test(
        "mdi",
        "phosphor",
        1_000,
        {
            "source as it is": {"method": "as_is"},
            "fine-tuning": {"method": "finetune"},
            "fine-tuning, hinge without penalty": {"method": "finetune", "loss": PROJECTED["loss"]},
            "projected critic": PROJECTED,
        },
        metrics=("iw", "copy_rate"),
    ),
}


def prepare(home: Home) -> None:
    """The builtin domains, and one of a single digit, where the home lacks them."""
    add_builtin(home, "mnist", "phosphor")
    if f"digit-{DIGIT}" not in home.names("domains"):
        mnist = open_domain(home, "mnist")
        rows = np.flatnonzero(mnist.labels == DIGIT)
        labels, is_val = np.full(len(rows), -1), np.arange(len(rows)) % 5 == 0
        write_domain(home.domain(f"digit-{DIGIT}"), mnist.images[rows], labels, is_val, origin="mnist", resizer="none")


def config_values(test: Test, settings: Mapping[str, Any], seed: int, extractor: str = LITE0) -> dict[str, Any]:
    """The config of a trial, as plain values."""
    images = STEPS * BATCH * CRITIC_STEPS
    recipe = RECIPE if settings["method"] != "as_is" else {"network": RECIPE["network"]}
    return {
        **recipe,
        **settings,
        **{"source": test.source, "target": test.target, "seed": seed},
        "data": {"target_images": test.images, "seed": seed},
        "budget": {"images": images, "eval_every_images": images},
        "protocol": {"metrics": test.metrics, "n_fake": SAMPLES, "extractor": extractor},
    }


def run(home: Home, name: str, test: Test, what: str, seed: int, extractor: str = LITE0) -> dict[str, Any]:
    """One trial, and the row of its scores."""
    config = parse_trial(config_values(test, test.tried[what], seed, extractor), what)
    folder = home.root / "trials" / f"{name} {what} {seed}{ending(extractor)}".replace(" ", "-").replace(",", "")
    files = TrialFiles(folder, folder / "samples")
    last = list(evaluations(run_trial(config, home, files, CPU)))[-1]
    row = {"test": name, "what": what, "seed": seed, **last.metrics}
    if last.record.get("empty_clusters") is not None:
        row["empty"] = last.record["empty_clusters"]
    if name == "one digit":
        row["accuracy"] = accuracy(home, open_sampler(files.model)(SAMPLES, seed).images.numpy())
        if what == "MineGAN, miner alone":
            row["rejected"] = rejection(home, test, files, seed)
    return row


def rejection(home: Home, test: Test, files: TrialFiles, seed: int) -> dict[str, float]:
    """What the tenth of the source's samples scores that the trial's critic likes best."""
    critic = read_model(files.model)[0].network(DISCRIMINATOR)
    drawn = ZSampler(open_source(home, test.source).model())(10 * SAMPLES, seed).images
    best = drawn[critic_logits(critic, drawn).topk(SAMPLES).indices].numpy()
    domain, embed = open_domain(home, test.target), embedding(CPU)
    centres = embed(domain.images[domain.subset(test.images, seed)][:CENTRES])
    return {"accuracy": accuracy(home, best), "intra_diversity": intra_cluster(embed(best), centres).value}


@cache
def _classifier(home: Home) -> tuple[NDArray[np.float64], float]:
    """Ridge regression from features of real digits to their classes, (d + 1, 10), and its accuracy on unseen ones."""
    mnist: Domain = open_domain(home, "mnist")
    train, val = mnist.subset(None, 0), mnist.subset(None, 0, "val")
    x, y = _features(home, mnist.images[train]), np.eye(10)[mnist.labels[train]]
    weights = np.linalg.solve(x.T @ x + 1.0 * np.eye(x.shape[1]), x.T @ y)
    right = (_features(home, mnist.images[val]) @ weights).argmax(1) == mnist.labels[val]
    return weights, float(right.mean())


def accuracy(home: Home, images: NDArray[np.uint8]) -> float:
    """The share of images that the classifier takes for the digit."""
    return float(((_features(home, images) @ _classifier(home)[0]).argmax(1) == DIGIT).mean())


def _features(home: Home, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    features = load_extractor("efficientnet_lite0", 64, home, CPU)(images).astype(np.float64)
    return np.concatenate([features, np.ones((len(features), 1))], 1)


TIMED: Mapping[str, tuple[str, str, int]] = {
    "fine-tuning": ("ten icons", "fine-tuning", 0),
    "MineGAN, miner alone": ("one digit", "MineGAN, miner alone", 0),
    "MineGAN, all": ("one digit", "MineGAN, then all", STEPS // 2),
    "CDC": ("ten icons", "CDC", 0),
    "AdAM, probe": ("ten icons", "AdAM", 0),
    "AdAM, measuring": ("ten icons", "AdAM", MODULATION["probe_steps"]),
    "AdAM, adapting": ("ten icons", "AdAM", MODULATION["probe_steps"] + MODULATION["fisher_steps"] - 1),
}
"""Of what an iteration is timed: test, trial, and the iteration before the first that is."""


def cost(home: Home, repeats: int = 12) -> dict[str, float]:
    """Mean seconds of the processor that an iteration takes, of learners that take turns."""
    steps, seconds = {}, {}
    for what, (name, tried, begin) in TIMED.items():
        config = parse_trial(config_values(TESTS[name], TESTS[name].tried[tried], 0), what)
        learner, batches = learner_of(config, home)
        learner.iterations = begin
        learner.step(next(batches))
        steps[what], seconds[what] = (learner, batches), 0.0
    for _ in range(repeats):
        for what, (learner, batches) in steps.items():
            start = time.process_time()
            learner.step(next(batches))
            seconds[what] += (time.process_time() - start) / repeats
    return seconds


def scores(home: Home, names: Sequence[str], extractor: str = LITE0) -> list[dict[str, Any]]:
    """A row a trial; those that an earlier call has written are taken from there."""
    path, rows = home.root / f"rows{ending(extractor)}.jsonl", []
    if path.exists():
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    done = {(row["test"], row["what"], row["seed"]) for row in rows}
    for seed in SEEDS:
        for name in names:
            for what in TESTS[name].tried:
                if (name, what, seed) not in done:
                    rows.append(run(home, name, TESTS[name], what, seed, extractor))
                    with path.open("a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
                    print(f"{name}, {what}, seed {seed}", file=sys.stderr, flush=True)
    return rows


COLUMNS = {
    "iw": "IW",
    "kd": "KD",
    "fd": "FD",
    "intra_diversity": "intra-cluster diversity",
    "empty": "empty clusters",
    "copy_rate": "copy rate",
    "accuracy": "taken for the digit",
}


def table(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """The scores of a test in Markdown: the mean, and each seed's in brackets."""
    own = [row for row in rows if row["test"] == name]
    columns = [column for column in COLUMNS if any(column in row for row in own)]
    lines = [f"| {name} | {' | '.join(COLUMNS[column] for column in columns)} |", "|---" * (len(columns) + 1) + "|"]
    sets = {what: [row for row in own if row["what"] == what] for what in TESTS[name].tried}
    if rejected := [row["rejected"] for row in own if "rejected" in row]:
        sets["the tenth of the source that the critic likes best"] = rejected
    for what, each in sets.items():
        cells = [_cell([row[column] for row in each if column in row]) for column in columns]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    floors = [_cell([own[0][f"{column}_floor"]] if f"{column}_floor" in own[0] else []) for column in columns]
    return "\n".join([*lines, f"| real images not trained on | {' | '.join(floors)} |"])


def _cell(values: Iterable[float]) -> str:
    found = list(values)
    each = ", ".join(f"{value:.3g}" for value in found)
    return f"{np.mean(found):.3g} ({each})" if len(set(found)) > 1 else each.partition(",")[0]


def main(home: Home, names: Sequence[str], extractor: str = LITE0) -> None:
    """Run what is missing of those tests, and print their tables."""
    torch.set_num_threads(1)
    prepare(home)
    rows = scores(home, names, extractor)
    print("\n\n".join(table(rows, name) for name in names))
    print(f"\nThe classifier is right of {_classifier(home)[1]:.1%} of unseen digits.\n")
    seconds = cost(home)
    print("| an iteration of | seconds | over fine-tuning's |\n|---|---|---|")
    for what, each in seconds.items():
        print(f"| {what} | {each:.3f} | {each / seconds['fine-tuning']:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--home", type=Path, default=Path("~/.cache/understock-adaptation"))
    parser.add_argument("--tests", nargs="*", choices=list(TESTS), default=list(TESTS))
    parser.add_argument("--extractor", default=LITE0, choices=JUDGES, help="that scores all trials")
    asked = parser.parse_args()
    main(Home.make(asked.home.expanduser()), asked.tests, asked.extractor)
