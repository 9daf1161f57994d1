"""Do few-shot methods beat doing nothing? python -m benchmarks.methods.fewshot_methods --folder FOLDER [--methods dagan,f2gan]

The smallest tests of METHODS 3, on MNIST at 32 pixels: digits 0 to 6 are seen, of 7 to 9 a trial has three images each. Every
method is trained with a few seeds, one thread each, in trials that go on where an earlier call was killed. A row a method and
seed is printed, and kept in FOLDER/rows.csv, which a later call does not do again.

Scores are of 300 images, against all other images of the three digits: `kd` to them; `accuracy`, the share whose nearest of
them by features is of the digit that was asked for; and `copies`, the share that lies nearer to one of its shots, by pixels,
than all but one in a hundred real images lie to another real image. Baselines train nothing.
"""

import argparse
import csv
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from torch import Tensor

from spaces.protocol import Protocol
from spaces.trials import parse_trial
from trainables.images.domains import Domain, open_domain, write_domain
from trainables.images.importing.importers import add_domain
from trainables.images.pixels import to_float
from trainables.methods.fewshot.episodes import SeenClasses, episodes
from trainables.methods.fewshot.sampling import shots_of
from trainables.methods.registry import open_sampler
from trainables.metrics.distances import kernel_distance
from trainables.metrics.features import Extractor, load_extractor
from trainables.metrics.manifolds import squared_distances
from trainables.networks.models import read_model
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import evaluations
from trainables.training.trial_files import TrialFiles

SEEN, UNSEEN, UNSEEN_FROM = "digits-seen", "digits-unseen", 7
SHOTS, SAMPLES = 3, 300
CPU = torch.device("cpu")

Images = NDArray[np.uint8]

ADAPTED = {"width": 8, "adaptation": {"steps": 10, "rate": 1e-3}}

METHODS: dict[str, tuple[int, Mapping[str, object]]] = {
    "dagan": (200, {"method": "dagan", "width": 8, "training": {"batch": 16, "n_critic": 5}}),
    "dagan, faithful": (
        200,
        {"method": "dagan", "width": 8, "training": {"batch": 16, "n_critic": 5}, "faithful": True},
    ),
    "dagan, longer": (1_000, {"method": "dagan", "width": 8, "training": {"batch": 8, "n_critic": 2, "lr": 5e-4}}),
    "matchinggan": (600, {"method": "matchinggan", "width": 8}),
    "matchinggan, longer": (3_000, {"method": "matchinggan", "width": 8, "training": {"lr": 5e-4}}),
    "f2gan, longer": (3_000, {"method": "f2gan", "width": 8, "training": {"lr": 5e-4}}),
    "matchinggan, random": (600, {"method": "matchinggan", "width": 8, "mixing": "random"}),
    "matchinggan, faithful": (600, {"method": "matchinggan", "width": 8, "faithful": True}),
    "f2gan": (600, {"method": "f2gan", "width": 8}),
    "f2gan, no attention": (600, {"method": "f2gan", "width": 8, "attention": False}),
    "f2gan, faithful": (600, {"method": "f2gan", "width": 8, "faithful": True}),
    "figr": (400, {"method": "figr", **ADAPTED}),
    "figr, fomaml": (400, {"method": "figr", "meta": "fomaml", **ADAPTED}),
    "figr, faithful": (400, {"method": "figr", "faithful": True, **ADAPTED}),
    "joint": (200, {"method": "joint", **ADAPTED, "training": {"batch": 16, "n_critic": 5}}),
    "gmn": (300, {"method": "gmn", "width": 8, "training": {"batch": 10}}),
    "figr, longer": (600, {"method": "figr", **ADAPTED, "training": {"lr": 1e-3}}),
    "joint, longer": (1_000, {"method": "joint", **ADAPTED, "training": {"batch": 8, "n_critic": 2, "lr": 5e-4}}),
    "gmn, longer": (600, {"method": "gmn", "width": 8, "training": {"batch": 10}}),
    "from scratch": (1, {"method": "joint", **ADAPTED, "training": {"batch": 1, "n_critic": 1}}),
}
"""What is trained, by what it is called in the table: iterations, and settings."""

METHODS |= {
    f"{name}, {form}, longer": (METHODS[f"{name}, longer"][0], {**METHODS[f"{name}, longer"][1], **settings})
    for name, form, settings in (
        *((name, "faithful", {"faithful": True}) for name in ("dagan", "matchinggan", "f2gan", "figr")),
        ("figr", "fomaml", {"meta": "fomaml"}),
    )
}


@dataclass(frozen=True)
class Unseen:
    """The images of the unseen digits, and what is needed to score more of them."""

    domain: Domain
    extractor: Extractor
    seed: int
    """Which images are the shots."""

    @cached_property
    def shots(self) -> Images:
        """(3, K, 3, R, R)."""
        config = parse_trial(_values({"method": "dagan"}, self.seed, 1), "benchmark")
        return shots_of(config, self.domain).images.numpy()  # type: ignore[arg-type]

    @cached_property
    def real(self) -> tuple[Images, NDArray[np.int64]]:
        """All other images, and their labels."""
        given = {shot.tobytes() for shot in self.shots.reshape(-1, *self.shots.shape[2:])}
        rows = [row for row, image in enumerate(self.domain.images) if image.tobytes() not in given]
        return self.domain.images[rows], self.domain.labels[rows]

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Of the real images."""
        return self.extractor(self.real[0])

    @cached_property
    def near(self) -> float:
        """The squared distance within which one real image in a hundred has another one, by pixels."""
        flat = _flat(self.real[0])
        distances = squared_distances(flat, flat)
        np.fill_diagonal(distances, np.inf)
        return float(np.quantile(distances.min(1), 0.01))

    def scores(self, images: Images, labels: NDArray[np.int64]) -> dict[str, float]:
        """Of images that are to be of these digits."""
        found = self.extractor(images)
        nearest = squared_distances(found, self.features).argmin(1)
        to_shots = squared_distances(_flat(images), _flat(self.shots.reshape(-1, *images.shape[1:])))
        return {
            "kd": kernel_distance(found, self.features, seed=0),
            "accuracy": float((self.real[1][nearest] == labels).mean()),
            "copies": float((to_shots.min(1) <= self.near).mean()),
        }

    def untrained(self) -> Iterator[tuple[str, Images]]:
        """What takes no training, by name: images of each digit in turn."""
        random = np.random.default_rng(self.seed)
        sets = self.shots[np.arange(SAMPLES) % len(self.shots)]  # (n, K, 3, R, R)
        weights = random.dirichlet(np.ones(SHOTS), SAMPLES)
        yield "mixture of pixels", np.einsum("nk...,nk->n...", sets, weights).round().astype(np.uint8)
        chosen = sets[np.arange(SAMPLES), random.integers(SHOTS, size=SAMPLES)]
        yield "copies", chosen
        yield "copies, moved and turned", np.stack([_moved(image, random) for image in chosen])
        yield (
            "real images",
            self.real[0][[random.choice(np.flatnonzero(self.real[1] == n % 3)) for n in range(SAMPLES)]],
        )


def _flat(images: Images) -> NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32)


def _moved(image: Images, random: np.random.Generator) -> Images:
    """The image turned by up to 10 degrees, scaled by up to a tenth and moved by up to 2 pixels."""
    angle, scale = np.deg2rad(random.uniform(-10, 10)), random.uniform(0.9, 1.1)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    centre = (image.shape[1] - 1) / 2
    offset = centre - matrix @ np.full(2, centre) + random.uniform(-2, 2, 2)
    return np.stack([affine_transform(plane, matrix, offset, order=1, cval=float(plane[0, 0])) for plane in image])


def _values(settings: Mapping[str, object], seed: int, iterations: int) -> dict[str, object]:
    training = {"batch": 8, "n_critic": 1, **dict(settings.get("training", {}))}  # type: ignore[call-overload]
    images = iterations * int(training["batch"]) * int(training["n_critic"])
    if settings["method"] == "figr":  # of one task
        images = iterations * SHOTS * (2 if settings.get("meta") == "fomaml" else 1)
    if settings["method"] == "gmn":
        images *= SHOTS + 1
    return {
        "target": UNSEEN,
        "source": SEEN,
        "seed": seed,
        "data": {"shots": SHOTS, "seed": seed},
        "budget": {"images": images, "eval_every_images": images},
        "protocol": {"metrics": ("kd",), "n_fake": 64, "input_size": 32},  # scored here instead
        **settings,
    }


Sample = Callable[[int], tuple[Images, object]]


def trained(home: Home, folder: Path, name: str, seed: int) -> tuple[Sample | None, float]:
    """Train a method, or go on with it: what samples it, None if it diverged, and its seconds."""
    iterations, settings = METHODS[name]
    config = parse_trial(_values(settings, seed, iterations), "benchmark")
    place = f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    files = TrialFiles(folder / "trials" / place, folder / "samples" / place)
    start = time.process_time()
    *_, last = evaluations(run_trial(config, home, files, CPU))
    if last.status == "diverged":
        return None, time.process_time() - start
    sampler = open_sampler(files.model)

    def sample(n: int) -> tuple[Images, object]:
        samples = sampler(n, 0)
        assert samples.labels is not None, "digits have labels"
        return samples.images.numpy(), samples.labels.numpy()

    return sample, time.process_time() - start


def bounds(home: Home, folder: Path, seed: int, sets: int = 100) -> NDArray[np.float32]:
    """GMN's bound on -log p of an unseen digit's image, in nats, after 0, 1, ..., K images of it: means of so many sets."""
    trained(home, folder, "gmn, longer", seed)
    network = read_model(folder / "trials" / f"gmn-longer-{seed}" / "model")[0].network("generator")
    seen = SeenClasses.of(open_domain(home, UNSEEN), SHOTS + 1)
    images = next(episodes(seen, SHOTS + 1, sets, seed=seed, first=0, device=CPU)).images
    noise = torch.randn(sets, SHOTS + 1, network.z_dim, generator=torch.Generator().manual_seed(seed))  # type: ignore[call-overload]
    with torch.no_grad():
        found: Tensor = network(to_float(images.flatten(0, 1)).unflatten(0, images.shape[:2]), noise)
    return found.mean(0).numpy()


def split_digits(home: Home) -> None:
    """The two domains, made of the builtin digits."""
    add_domain(home, "mnist", "builtin:mnist", 32)
    mnist = open_domain(home, "mnist")
    for name, rows in {SEEN: mnist.labels < UNSEEN_FROM, UNSEEN: mnist.labels >= UNSEEN_FROM}.items():
        labels = mnist.labels[rows] - (UNSEEN_FROM if name == UNSEEN else 0)
        write_domain(home.domain(name), mnist.images[rows], labels, mnist.is_val[rows], origin="mnist", resizer="none")


def main(folder: Path, names: list[str], seeds: int, bound: bool) -> None:
    """Score what is not scored yet, a row each; or print GMN's bounds."""
    torch.set_num_threads(1)
    home = Home.make(folder / "home")
    if UNSEEN not in home.names("domains"):
        split_digits(home)
    if bound:
        for seed in range(seeds):
            print(
                f"gmn, seed {seed}, bounds after 0 to {SHOTS} images:", *bounds(home, folder, seed).round(1), flush=True
            )
        return
    protocol, rows = Protocol(), folder / "rows.csv"
    extractor = load_extractor(protocol.extractor, protocol.input_size, home, CPU)
    known = [tuple(row[:2]) for row in csv.reader(rows.open())] if rows.exists() else []
    with rows.open("a", newline="") as file:
        writer = csv.writer(file)

        def write(name: str, seed: int, scores: Mapping[str, float], seconds: float) -> None:
            row = [name, seed, *(f"{value:.4g}" for value in scores.values()), f"{seconds:.0f}"]
            writer.writerow(row)
            file.flush()
            print(*row, sep=", ", flush=True)

        if not known:
            writer.writerow(["method", "seed", "kd", "accuracy", "copies", "seconds"])
        for seed in range(seeds):
            unseen = Unseen(open_domain(home, UNSEEN), extractor, seed)
            labels = np.arange(SAMPLES) % 3
            if ("real images", str(seed)) not in known:
                for name, images in unseen.untrained():
                    write(name, seed, unseen.scores(images, labels), 0)
            for name in names:
                if (name, str(seed)) not in known:
                    sample, seconds = trained(home, folder, name, seed)
                    if sample is None:
                        write(name, seed, dict.fromkeys(("kd", "accuracy", "copies"), math.nan), seconds)
                        continue
                    images, asked = sample(SAMPLES)
                    write(name, seed, unseen.scores(images, asked), seconds)  # type: ignore[arg-type]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for domains, trials and rows; the same one goes on")
    parser.add_argument("--methods", default=";".join(METHODS), help="by name, ';' between them; by default all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--bounds", action="store_true", help="print GMN's bounds on the likelihood of unseen digits alone"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.methods.split(";") if name not in METHODS]:
        sys.exit(f"unknown method {unknown[0]!r}; known: {'; '.join(METHODS)}")
    main(options.folder, options.methods.split(";"), options.seeds, options.bounds)
