"""Does generated data help a small classifier of unseen classes? METHODS.md 1.11, of few-shot methods.

    python -m benchmarks.fewshot --home HOME --folder FOLDER --target glyphs-unseen --source glyphs --methods matchinggan,f2gan

A learned method is trained once, on the seen classes of `--source`, never on the target; it goes on where an earlier call was
killed. For each seed K images a class are drawn, and each method makes more of them. Then a classifier is trained in each arm,
all for as many steps, and asked for the target's other images: real images alone; with standard augmentation; beside pixel
mixtures; beside the method's images (half of each batch real); and beside these with augmentation of the real ones. Last step,
no look at the test images before.

Rows go to --output as they are measured, one an arm and seed; those that are there are not measured again. What is printed are
paired differences from seed to seed, with their 95 % interval: "generated" has to beat both "augmented" and "mixture".
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
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
from trainables.machine.devices import native_precision
from trainables.methods.fewshot.augmented import augmented
from trainables.methods.fewshot.mixture import mixed
from trainables.methods.fewshot.sampling import ShotSampler, shots_of
from trainables.methods.registry import open_sampler
from trainables.networks.shots import ShotImages
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.trial_files import TrialFiles

CPU = torch.device("cpu")
WIDTHS = (32, 64, 128, 128)
BATCH = 64
COLUMNS = ("target", "source", "shots", "arm", "seed", "steps", "images", "accuracy", "chance", "n")
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
    network = classifier(int(test[1].max()) + 1).to(memory_format=torch.channels_last)
    fast = torch.autocast("cpu", torch.bfloat16, enabled=native_precision(CPU) == "bfloat16")
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
        with fast:
            loss = F.cross_entropy(network(images), labels)
        loss.backward()
        adam.step()
    network.eval()
    with torch.no_grad():
        guesses = torch.cat([network(to_float(part)).argmax(1) for part in torch.split(test[0], 256)])
    return float((guesses == test[1]).float().mean())


def _drawn(sets: Sets, n: int, draws: Draws) -> Sets:
    rows = (draws.uniform(n) * len(sets[0])).long()
    return to_float(sets[0][rows]), sets[1][rows]


def trained(home: Home, options: argparse.Namespace, method: str) -> ShotSampler:
    """The sampler of a method's model, after `--images` of the source's classes."""
    learns = takes_domains(method)
    values = {
        "target": options.target,
        "source": options.source if learns else SCRATCH,
        "method": method,
        "data": {"shots": options.shots},
        "budget": {"images": options.images, "eval_every_images": options.images},
        "protocol": {"metrics": ("kd",), "n_fake": 64, "input_size": 32},
    }
    if learns:
        values |= {"training": {"lr": options.lr}, "width": options.width}
    place = f"{options.target}-{method}-{options.shots}"
    files = TrialFiles(options.folder / "trials" / place, options.folder / "samples" / place)
    for _ in run_trial(parse_trial(values, "benchmark"), home, files, CPU):
        pass
    sampler = open_sampler(files.model)
    assert isinstance(sampler, ShotSampler), f"{method} makes no more of shots"
    return sampler


def more_of(sampler: ShotSampler, images: ShotImages, each: int, seed: int) -> Sets:
    """So many images of each class, made of the class's own."""
    classes = range(len(images.labels))
    made = [sampler.drawn_of(images.images[n], each, seed * len(classes) + n).images for n in classes]
    return torch.cat(made), images.labels.repeat_interleave(each)


def measured(home: Home, options: argparse.Namespace, seed: int, method: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a seed: of what takes no method, or of one method."""
    domain = open_domain(home, options.target)
    rows = domain.chosen(Data(shots=options.shots, seed=seed))
    others = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(len(domain.labels)), rows))[: options.test]
    images, test = shots_of(_config(options, seed), domain), _sets(domain, others)
    n, real = options.per_class * len(images.labels), _sets(domain, rows)
    arms: list[tuple[str, Callable[[], Sets] | None, bool]]
    if method is None:
        arms = [
            ("real", None, False),
            ("augmented", None, True),
            ("mixture", lambda: _mixtures(images, n, seed), False),
        ]
    else:
        more = more_of(trained(home, options, method), images, options.per_class, seed)
        arms = [(method, lambda: more, False), (f"{method} + augmented", lambda: more, True)]
    for arm, beside, augment in arms:
        found = accuracy(real, beside() if beside else None, test, options.steps, seed, augment=augment)
        about = options.target, options.source, options.shots, arm, seed, options.steps, options.images if method else 0
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
    parser.add_argument("--folder", type=Path, required=True, help="for models of methods; the same one goes on")
    parser.add_argument("--images", type=int, default=24_000, help="budget of a learned method")
    parser.add_argument("--lr", type=float, default=5e-4, help="of a learned method")
    parser.add_argument("--width", type=int, default=16, help="of a learned method")
    parser.add_argument("--test", type=int, help="of the target's other images, at most; by default all")
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
