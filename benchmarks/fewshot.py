"""Does generated data help a small classifier of unseen classes? METHODS.md 1.11, of few-shot methods.

    python -m benchmarks.fewshot --home HOME --target glyphs-unseen --source glyphs --shots 3 --methods augmented,f2gan

For each seed K images a class are drawn. Each method makes more of them: a learned one is first trained on the seen classes of
`--source`, never on the target. Then a classifier is trained in each arm, all for as many steps, and asked for the target's
other images: real images alone; with standard augmentation; beside pixel mixtures; beside the method's images (half of each
batch real); and beside these with augmentation of the real ones. Last step, no look at the test images before.

Rows go to --output as they are measured, one an arm and seed; those that are there are not measured again. What is printed are
paired differences from seed to seed, with their 95 % interval: "generated" has to beat both "augmented" and "mixture".
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.config import SCRATCH, Data
from spaces.trials import CONFIGS, parse_trial, takes_domains
from trainables.images.domains import Domain, open_domain
from trainables.images.pixels import to_float
from trainables.methods.fewshot.augmented import augmented
from trainables.methods.fewshot.mixture import mixed
from trainables.methods.fewshot.sampling import ShotSampler, shots_of
from trainables.methods.method import Given, Sampler
from trainables.methods.registry import method_of
from trainables.networks.shots import ShotImages
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.parallel import Group

CPU = torch.device("cpu")
WIDTHS = (32, 64, 128, 128)
BATCH = 64
COLUMNS = ("target", "source", "shots", "arm", "seed", "steps", "iterations", "accuracy", "chance", "n")
Sets = tuple[Tensor, Tensor]
"""Images uint8 (n, 3, R, R) and labels (n,)."""


def classifier(classes: int) -> nn.Sequential:
    """4 x [C3, BN, R, P], mean, linear."""
    stages: list[nn.Module] = []
    for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
        stages += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], classes))


def accuracy(real: Sets, beside: Sets | None, test: Sets, steps: int, seed: int, *, augment: bool) -> float:
    """Of a classifier after so many steps of Adam at 1e-3 on `real`, half of each batch from `beside` where there is any."""
    torch.manual_seed(seed)
    network = classifier(int(test[1].max()) + 1)
    adam = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(steps):
        draws = Draws(seed, step, "classifier")
        images, labels = _drawn(real, BATCH if beside is None else BATCH // 2, draws)
        if augment:
            images = augmented(images, draws)
        if beside is not None:
            more = _drawn(beside, BATCH - BATCH // 2, draws)
            images, labels = torch.cat([images, more[0]]), torch.cat([labels, more[1]])
        adam.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        adam.step()
    network.eval()
    with torch.no_grad():
        guesses = torch.cat([network(to_float(part)).argmax(1) for part in torch.split(test[0], 256)])
    return float((guesses == test[1]).float().mean())


def _drawn(sets: Sets, n: int, draws: Draws) -> Sets:
    rows = (draws.uniform(n) * len(sets[0])).long()
    return to_float(sets[0][rows]), sets[1][rows]


def made(
    home: Home, domain: Domain, source: str, method: str, shots: int, seed: int, train: int
) -> tuple[Sampler, int]:
    """The sampler of a method's model after `train` iterations on the source's classes, and how many there were."""
    learns = takes_domains(method)
    values = {
        "target": domain.facts.name,
        "source": source if learns else SCRATCH,
        "method": method,
        "data": {"shots": shots, "seed": seed},
        "budget": {"images": 1_000_000, "eval_every_images": 1_000_000},
        "seed": seed,
    }
    config, ours = parse_trial(values, "benchmark"), method_of(method)
    given = Given(domain, domains=(open_domain(home, source),) if learns else ())
    learner = ours.build(config, given, CPU, Group())
    for batch in islice(ours.batches(config, given, 0, CPU), train if learns else 0):
        learner.step(batch)
    return ours.sampler(learner.model()), learner.iterations


def measured(home: Home, options: argparse.Namespace, seed: int, method: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a seed: of what takes no method, or of one method."""
    domain = open_domain(home, options.target)
    rows = domain.chosen(Data(shots=options.shots, seed=seed))
    others = np.setdiff1d(np.arange(len(domain.labels)), rows)
    images, test = shots_of(_config(options, seed), domain), _sets(domain, others)
    n, iterations, real = options.per_class * len(images.labels), 0, _sets(domain, rows)
    arms: list[tuple[str, Callable[[], Sets] | None, bool]]
    if method is None:
        arms = [
            ("real", None, False),
            ("augmented", None, True),
            ("mixture", lambda: _mixtures(images, n, seed), False),
        ]
    else:
        sampler, iterations = made(home, domain, options.source, method, options.shots, seed, options.train)
        assert isinstance(sampler, ShotSampler), f"{method} makes no more of shots"
        drawn = sampler.drawn(n, seed)
        assert drawn.labels is not None, f"{method=}"
        more = drawn.images, drawn.labels
        arms = [(method, lambda: more, False), (f"{method} + augmented", lambda: more, True)]
    for arm, beside, augment in arms:
        found = accuracy(real, beside() if beside else None, test, options.steps, seed, augment=augment)
        about = options.target, options.source, options.shots, arm, seed, options.steps, iterations
        yield dict(zip(COLUMNS, (*about, round(found, 4), round(1 / len(images.labels), 4), len(others)), strict=True))


def _config(options: argparse.Namespace, seed: int) -> Any:
    values = {
        "target": options.target,
        "source": SCRATCH,
        "method": "mixture",
        "budget": {"images": 1, "eval_every_images": 1},
    }
    return CONFIGS["mixture"].parse({**values, "data": {"shots": options.shots, "seed": seed}}, "benchmark")


def _sets(domain: Domain, rows: NDArray[np.int64]) -> Sets:
    return torch.from_numpy(domain.images[rows]), torch.from_numpy(domain.labels[rows])


def _mixtures(images: ShotImages, n: int, seed: int) -> Sets:
    classes = torch.arange(n) % len(images.labels)
    return mixed(images.images, classes, Draws(seed, 0, "mixtures")).images, images.labels[classes]


def paired(rows: Sequence[dict[str, Any]], one: str, other: str) -> tuple[float, float, int]:
    """The mean difference of two arms' accuracy over the seeds that both have, half of its 95 % interval, and how many."""
    of = {(row["arm"], int(row["seed"])): float(row["accuracy"]) for row in rows}
    seeds = sorted({seed for arm, seed in of if arm == one} & {seed for arm, seed in of if arm == other})
    gains = [of[one, seed] - of[other, seed] for seed in seeds]
    if len(gains) < 2:
        return (fmean(gains) if gains else float("nan")), float("nan"), len(gains)
    return fmean(gains), float(stats.t.ppf(0.975, len(gains) - 1)) * stdev(gains) / len(gains) ** 0.5, len(gains)


def main() -> None:
    """Measure what the table lacks, and print what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home")
    parser.add_argument("--target", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--methods", default="f2gan", help="with commas between")
    parser.add_argument("--shots", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--train", type=int, default=1_500, help="iterations of a learned method")
    parser.add_argument("--steps", type=int, default=1_000, help="of each classifier")
    parser.add_argument("--per-class", type=int, default=128, help="images made of each class")
    parser.add_argument("--output", type=Path, default=Path("docs/fewshot-classifier.csv"))
    options = parser.parse_args()
    rows = list(csv.DictReader(options.output.open())) if options.output.exists() else []
    ours = [row for row in rows if (row["target"], int(row["shots"])) == (options.target, options.shots)]
    for seed in range(options.seeds):
        for method in (None, *options.methods.split(",")):
            if any((row["arm"], int(row["seed"])) == (method or "mixture", seed) for row in ours):
                continue
            found = list(measured(Home.find(options.home), options, seed, method))
            with options.output.open("a", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerows(found)
            ours += found
    arms = list(dict.fromkeys(str(row["arm"]) for row in ours))
    for arm in arms:
        scores = [float(row["accuracy"]) for row in ours if row["arm"] == arm]
        beside = ", ".join("{} {:+.3f} ± {:.3f}".format(other, *paired(ours, arm, other)[:2]) for other in arms[:3])
        print(f"{arm}: {fmean(scores):.3f} over {len(scores)} seeds; beside {beside}")


if __name__ == "__main__":
    main()
