"""Checks that speed buys no other result: compares losses and Frechet distance with a plain float32 port's, over seeds.

    python -m benchmarks.speed.same_results [--seeds 3] [--iterations 200]

The networks have width 8 and train with batches of 16 on 1,000 images, of 32 pixels, of the icon font `phosphor`. With
one seed all contenders start from equal weights, and each draws its own z. The loss is the critic's, smoothed over 20
iterations; the distance is that of 1,000 samples of the generator (not its average), in EfficientNet features. A
contender passes where its mean over the seeds is within the span of the port's own seeds, widened by half of that span
at either end: three seeds show less than the whole of what seeds do.
"""

import argparse
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.speed import plain_wgan_gp
from spaces.config import TrialConfig
from spaces.trials import parse_trial
from trainables.images.batches import Batch, BatchOrder
from trainables.images.domains import open_domain
from trainables.images.importing.importers import add_domain
from trainables.images.pixels import to_float
from trainables.machine.devices import use_cores
from trainables.methods.finetuning.finetune import Finetune
from trainables.metrics.distances import Moments, frechet_distance
from trainables.metrics.features import load_extractor
from trainables.metrics.reference import reference
from trainables.networks.families import build_discriminator, build_generator
from trainables.networks.resnet import Generator
from trainables.networks.sampling import sample, set_standing_statistics
from trainables.storage.home import Home
from trainables.training.parallel import Group

WIDTH, RESOLUTION, BATCH, CRITIC_STEPS, IMAGES, LEARNING_RATE = 8, 32, 16, 5, 1_000, 1e-3
CONTENDERS = ("plain float32", "ours float32", "ours bfloat16")
"""Who trains, and in which precision; the first is the port that the others are held against."""
CPU = torch.device("cpu")


def run(folder: str, contender: str, seed: int, iterations: int) -> tuple[list[float], float]:
    """Train a contender; give the critic's loss at each iteration, and the distance at the end."""
    use_cores(1)
    home = Home(Path(folder))
    domain = open_domain(home, "icons")
    order = BatchOrder(domain.subset(IMAGES, 0), CRITIC_STEPS * BATCH, seed)
    batches = (torch.from_numpy(domain.images[order(i)]) for i in range(iterations))
    train = _plain if contender.startswith("plain") else _ours
    losses, weights = train(batches, contender.split()[1], seed)
    generator = Generator(_config("float32", seed).network)
    generator.load_state_dict(weights)
    set_standing_statistics(generator)
    extractor = load_extractor("efficientnet_lite0", 64, home, CPU)
    real = reference(domain, domain.path, extractor, "train", 10_000, 0)
    return losses, frechet_distance(Moments.of(extractor(sample(generator, 1_000, 0))), real.moments)


def _config(precision: str, seed: int) -> TrialConfig:
    return parse_trial(
        {
            "target": "icons",
            "source": "scratch",
            "network": {"resolution": RESOLUTION, "width": WIDTH},
            "optim": {"batch": BATCH, "precision": precision, "lr_g": LEARNING_RATE, "lr_d": LEARNING_RATE},
            "budget": {"images": 1, "eval_every_images": 1},
            "seed": seed,
        },
        "benchmark",
    )


def _ours(batches: Iterator[Tensor], precision: str, seed: int) -> tuple[list[float], dict[str, Tensor]]:
    """Train ours on uint8 batches (n, 3, R, R); give the critic's losses, and the generator's state."""
    learner = Finetune(_config(precision, seed), None, CPU, Group())
    losses = [float(learner.step(Batch(images))["loss_d"]) for images in batches]
    return losses, learner.generator.state_dict()


def _plain(batches: Iterator[Tensor], precision: str, seed: int) -> tuple[list[float], dict[str, Tensor]]:
    """Train the plain port, and give the same of it as `_ours`: of its five critic losses an iteration, the mean."""
    torch.manual_seed(seed)
    network = _config(precision, seed).network
    trainer = plain_wgan_gp.Trainer(WIDTH, RESOLUTION, BATCH, learning_rate=LEARNING_RATE)
    trainer.generator.load_state_dict(build_generator(network, seed).state_dict())
    trainer.critic.load_state_dict(build_discriminator(network, seed).state_dict())
    losses = [trainer.iteration(iter(to_float(images).contiguous().split(BATCH)))[0] for images in batches]
    return losses, trainer.generator.state_dict()


def main(seeds: int, iterations: int) -> None:
    """Train every contender with every seed, two at a time; print the table."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        add_domain(Home(Path(folder)), "icons", "builtin:phosphor", RESOLUTION)
        jobs = list(product(CONTENDERS, range(seeds)))
        running = {job: pool.submit(run, folder, *job, iterations) for job in jobs}
        found = {job: future.result() for job, future in running.items()}
    curves = {c: np.array([_smooth(found[c, s][0]) for s in range(seeds)]) for c in CONTENDERS}
    distances = {c: np.array([found[c, s][1] for s in range(seeds)]) for c in CONTENDERS}
    headings = ("FD: mean (each)", "within the port's seeds", "critic loss: share of iterations within")
    print(f"| contender, {seeds} seeds | {' | '.join(headings)} |")
    print("|---|---|---|---|")
    for name in CONTENDERS:
        each = ", ".join(f"{value:,.0f}" for value in distances[name])
        inside = _within(distances[name], distances[CONTENDERS[0]])
        share = _within(curves[name], curves[CONTENDERS[0]])
        distance, verdict = f"{distances[name].mean():,.0f} ({each})", "yes" if inside.all() else "no"
        print(f"| {name} | {distance} | {verdict} | {share.mean():.0%} |")


def _within(values: NDArray[np.float64], port: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell whether the mean over seeds, the first axis, lies in the port's span, widened by half of it at either end.

    `values` and `port` are (seeds, ...); the answer is (...).
    """
    low, high = port.min(0), port.max(0)
    slack = (high - low) / 2
    mean = values.mean(0)
    return np.asarray((mean >= low - slack) & (mean <= high + slack))


def _smooth(losses: list[float], window: int = 20) -> NDArray[np.float64]:
    """Average losses (n,) over a sliding window: (n - window + 1,)."""
    return np.convolve(losses, np.full(window, 1 / window), mode="valid")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=200)
    main(**vars(parser.parse_args()))
