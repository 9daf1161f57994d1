"""Episodes: batches of sets of images, each of one seen class, as a pure function of the batch's number."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spaces.counts import plural
from spaces.errors import UserError
from trainables.images.batches import Batch, gathering
from trainables.images.domains import Domain
from trainables.images.pixels import to_float
from trainables.training.draws import Draws
from trainables.training.parallel import Group

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SeenClasses:
    """The classes of a source domain that have enough training images for a set."""

    domain: Domain
    rows: tuple[Rows, ...]
    """Each class's training images, ascending by label: class i of an episode is the i-th."""

    @classmethod
    def of(cls, domain: Domain, images: int) -> "SeenClasses":
        """Those with so many training images; UserError if there are none."""
        train = domain.indices("train")
        found = [train[domain.labels[train] == label] for label in np.unique(domain.labels[train])]
        rows = tuple(each for each in found if len(each) >= images)
        if not rows:
            raise UserError(
                f"domain {domain.facts.name!r} has no class of {plural(images, 'training image')}, of which a set is made; "
                f"its largest has {max(map(len, found))}: take fewer shots, or a domain with more images a class"
            )
        return cls(domain, rows)


class Episodes:
    """Which images make up batch 0, 1, 2, ... of an endless stream of sets.

    For each set a class is drawn, all alike, and then different images of it, all alike. A pure function of the batch's
    number, so resuming needs no state.
    """

    def __init__(self, classes: SeenClasses, images: int, sets: int, seed: int) -> None:
        """Batches of so many `sets`, each of so many different `images`."""
        self._rows, self._images, self._sets, self._seed = classes.rows, images, sets, seed

    def __call__(self, number: int) -> tuple[Rows, Rows]:
        """Rows of batch `number`, (sets, images), and the number of each set's class, (sets,)."""
        random = np.random.default_rng([self._seed, number, 2])
        labels = random.integers(len(self._rows), size=self._sets)
        rows = [random.choice(self._rows[label], self._images, replace=False) for label in labels]
        return np.stack(rows), labels


def episodes(
    classes: SeenClasses, images: int, sets: int, *, seed: int, first: int, device: torch.device
) -> Iterator[Batch]:
    """Batch `first`, `first` + 1, ... without end: images uint8 (sets, images, 3, R, R) and labels (sets,)."""
    order = Episodes(classes, images, sets, seed)
    every = np.concatenate(classes.rows)
    places = np.empty(len(classes.domain.labels), np.int64)  # of a row among those that are gathered from
    places[every] = np.arange(len(every))
    gather = gathering(classes.domain, every, device)
    for number in count(first):
        rows, labels = order(number)
        found = gather(places[rows.reshape(-1)])
        yield Batch(found.unflatten(0, rows.shape), torch.from_numpy(labels))


@dataclass(frozen=True, eq=False)
class Task:
    """A worker's sets of a batch: K images of a seen class each, and other ones of it."""

    shots: Tensor
    """(n, K, 3, R, R) in [-1, 1]."""
    others: Tensor
    """(n, m, 3, R, R) in [-1, 1]; m is 0 where a method takes none."""
    labels: Tensor
    """int64 (n,): numbers of seen classes."""


class Numbers:
    """A worker's rows of the random numbers of an iteration, which are drawn for the whole batch."""

    def __init__(self, draws: Draws, rows: int, group: Group, device: torch.device) -> None:
        self._draws, self._rows, self._group, self._device = draws, rows, group, device

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of that shape for each row, (n, ...)."""
        return self._own(self._draws.normal(self._rows, *shape))

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1) of that shape for each row, (n, ...)."""
        return self._own(self._draws.uniform(self._rows, *shape))

    def simplex(self, k: int, concentration: float) -> Tensor:
        """Weights by Dirichlet's distribution, (n, k)."""
        return self._own(self._draws.simplex(self._rows, k, concentration))

    def _own(self, whole: Tensor) -> Tensor:
        return self._group.share(whole).to(self._device)


def task_of(batch: Batch, shots: int, group: Group, device: torch.device, mirror: Draws | None) -> Task:
    """This worker's sets of a batch; with `mirror`, each image is mirrored with probability a half."""
    assert batch.labels is not None, "episodes have labels"
    sets, images = batch.images.shape[:2]
    flat = to_float(batch.images.flatten(0, 1).to(device, non_blocking=True))
    if mirror is not None:
        flat = mirror.mirrored(flat)
    whole = group.share(flat.unflatten(0, (sets, images)))
    return Task(whole[:, :shots], whole[:, shots:], group.share(batch.labels.to(device)))
