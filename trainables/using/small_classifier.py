"""Does what a few-shot method makes help a small classifier of the classes that it makes more of?

K images of each class are drawn, and a classifier is trained in several arms, all for as many steps, and asked for the domain's
other images of these classes: of the real images alone; with standard augmentation; beside pixel mixtures of them; beside what
a method makes of them, which are half of each batch then; and beside that with augmentation of the real ones. The last step
counts, nobody looks at the other images before (METHODS.md 1.11; after DAGAN, Antoniou et al. 2017, and F2GAN, Hong et al.
2020). What is made has to beat both augmentation and mixtures to count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.config import Data
from spaces.teaching import AND_AUGMENTED, AUGMENTED, MIXED, REAL, Teaching
from trainables.images.domains import Domain, open_domain
from trainables.images.pixels import to_float
from trainables.machine.devices import native_precision
from trainables.methods.fewshot.augmented import augmented
from trainables.methods.fewshot.funit import FunitSampler
from trainables.methods.fewshot.mixture import mixed
from trainables.methods.fewshot.sampling import ShotSampler, shots_drawn
from trainables.methods.registry import open_sampler
from trainables.methods.translation.translating import held_out_inputs
from trainables.networks.shots import ShotImages
from trainables.storage.home import Home
from trainables.training.draws import Draws

CPU = torch.device("cpu")
Make = Callable[[Tensor, int, int], Tensor]
"""Of images of one class, uint8 (K, 3, R, R), a count and a seed: that many more, uint8 (n, 3, R, R), all on the CPU."""

MOST_ASKED = 2_000
"""Other images that a classifier is asked for, at most: its accuracy is known to 0.01 by then."""

WIDTHS = (32, 64, 128, 128)
BATCH = 64


class Sets(NamedTuple):
    """Images and their labels."""

    images: Tensor
    """uint8 (n, 3, R, R)."""
    labels: Tensor
    """int64 (n,), from 0."""


@dataclass(frozen=True)
class Lesson:
    """What a classifier is taught with one draw of K images a class, and what it is asked for."""

    teaching: Teaching
    seed: int
    shots: ShotImages
    real: Sets
    test: Sets

    @classmethod
    def of(cls, domain: Domain, teaching: Teaching, seed: int) -> "Lesson":
        """The images that a seed draws, and others of the domain."""
        data = Data(shots=teaching.shots, seed=seed)
        rows = domain.chosen(data)
        others = np.setdiff1d(np.arange(len(domain.labels)), rows)
        others = np.sort(np.random.default_rng(seed).permutation(others)[:MOST_ASKED])
        return cls(teaching, seed, shots_drawn(domain, data), _sets(domain, rows), _sets(domain, others))

    @property
    def chance(self) -> float:
        """The accuracy of guessing."""
        return 1 / len(self.shots.labels)

    def without(self) -> Iterator[tuple[str, float]]:
        """The arms that take no method, and their accuracies."""
        yield REAL, self._accuracy(None, augment=False)
        yield AUGMENTED, self._accuracy(None, augment=True)
        classes = torch.arange(self.teaching.per_class * len(self.shots.labels)) % len(self.shots.labels)
        mixtures = mixed(self.shots.images, classes, Draws(self.seed, 0, "mixtures")).images
        yield MIXED, self._accuracy(Sets(mixtures, self.shots.labels[classes]), augment=False)

    def with_images_of(self, method: str, make: Make) -> Iterator[tuple[str, float]]:
        """The arms of a method, which makes more of the lesson's images, not of its model's own."""
        more = more_of(make, self.shots, self.teaching.per_class, self.seed)
        yield method, self._accuracy(more, augment=False)
        yield f"{method}{AND_AUGMENTED}", self._accuracy(more, augment=True)

    def _accuracy(self, beside: Sets | None, *, augment: bool) -> float:
        return accuracy(self.real, beside, self.test, self.teaching.steps, self.seed, augment=augment)


def classifier(classes: int) -> nn.Sequential:
    """4 x [3x3 convolution, batch norm, ReLU, mean of 2x2], mean over places, linear."""
    stages: list[nn.Module] = []
    for before, after in zip((3, *WIDTHS), WIDTHS, strict=False):
        stages += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], classes))


def accuracy(real: Sets, beside: Sets | None, test: Sets, steps: int, seed: int, *, augment: bool) -> float:
    """Of a classifier after so many steps of Adam at 1e-3 on `real`, half of each batch from `beside` where there is any."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = classifier(1 + max(int(sets.labels.max()) for sets in (real, test))).to(
            memory_format=torch.channels_last
        )
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
        guesses = torch.cat([network(to_float(part)).argmax(1) for part in torch.split(test.images, 256)])
    return float((guesses == test.labels).float().mean())


def more_of(make: Make, images: ShotImages, each: int, seed: int) -> Sets:
    """So many images of each class, made of the class's own."""
    classes = range(len(images.labels))
    made = [make(images.images[n], each, seed * len(classes) + n) for n in classes]
    return Sets(torch.cat(made), images.labels.repeat_interleave(each))


def maker(home: Home, path: Path, source: str) -> Make:
    """What a trial's model makes of images; one that translates is given images of the trial's source domain for it."""
    sampler = open_sampler(path)
    if isinstance(sampler, FunitSampler):
        domain = open_domain(home, source)
        return lambda images, n, seed: sampler.drawn_of(images, held_out_inputs(domain, n, seed)).images
    assert isinstance(sampler, ShotSampler), f"{path} makes no more of images"
    return lambda images, n, seed: sampler.drawn_of(images, n, seed).images


def _drawn(sets: Sets, n: int, draws: Draws) -> tuple[Tensor, Tensor]:
    rows = (draws.uniform(n) * len(sets.images)).long()
    return to_float(sets.images[rows]), sets.labels[rows]


def _sets(domain: Domain, rows: NDArray[np.int64]) -> Sets:
    return Sets(torch.from_numpy(domain.images[rows]), torch.from_numpy(domain.labels[rows]))
