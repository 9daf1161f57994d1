"""Batches of a domain's training images, in an order that is a pure function of seed and number."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.images.domains import Domain

MAX_RESIDENT_BYTES = 4 * 2**30
"""Images up to this size stay on a GPU for the whole trial: 350,000 of 64 pixels."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What a method's step receives, a pure function of (seed, iteration)."""

    images: Tensor
    """uint8 (n, 3, R, R) of the target; of a few-shot task (classes, K + queries, 3, R, R)."""
    labels: Tensor | None = None
    """int64 (n,), or (classes,) of a few-shot task; None where the domain has no labels."""
    sources: tuple[Tensor, ...] = ()
    """uint8 (n, 3, R, R) of each source domain, where the method takes source images."""


class BatchOrder:
    """Which rows make up batch 0, 1, 2, ... of an endless stream of shuffled epochs.

    A pure function of the batch's number, so resuming needs no state. In each epoch every row comes exactly once; a
    batch may straddle epochs.
    """

    def __init__(self, indices: NDArray[np.int64], batch: int, seed: int) -> None:
        """Batches of `batch` rows out of `indices`; neither may be empty."""
        assert len(indices) > 0, "no rows to make batches of"
        assert batch > 0, f"{batch=}, expected 1 or more"
        self.indices, self.batch, self.seed = indices, batch, seed
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, epoch]).permutation(self.indices)

    def __call__(self, number: int) -> NDArray[np.int64]:
        """Rows of batch `number`, (batch,)."""
        n, start = len(self.indices), number * self.batch
        stop = start + self.batch
        epochs = range(start // n, (stop - 1) // n + 1)
        return np.concatenate([self._epoch(e)[max(start - e * n, 0) : stop - e * n] for e in epochs])


def batches(
    domain: Domain, rows: NDArray[np.int64], size: int, *, seed: int, first: int, device: torch.device
) -> Iterator[Batch]:
    """Batch `first`, `first` + 1, ... of shuffled epochs over `rows`, `size` images each, without end.

    On a CPU they are copied out of the mapped file, which all trials share. On a GPU the rows are uploaded once, as uint8,
    and batches are gathered there. The same images and labels in the same order either way.
    """
    order = BatchOrder(np.arange(len(rows)), size, seed)
    images = gathering(domain, rows, device)
    labels = torch.from_numpy(domain.labels[rows])
    for number in count(first):
        places = order(number)
        yield Batch(images(places), labels[torch.from_numpy(places)] if domain.is_labelled else None)


Gather = Callable[[NDArray[np.int64]], Tensor]
"""From places among the rows, (n,), to their images, uint8 (n, 3, R, R)."""


def gathering(domain: Domain, rows: NDArray[np.int64], device: torch.device) -> Gather:
    """What gathers images of `rows`: copies on a CPU; on a GPU on which they fit, out of what is uploaded once."""
    fits = len(rows) * domain.images[0].nbytes <= MAX_RESIDENT_BYTES
    return _resident(domain, rows, device) if device.type != "cpu" and fits else _mapped(domain, rows)


def _mapped(domain: Domain, rows: NDArray[np.int64]) -> Gather:
    return lambda places: torch.from_numpy(domain.images[rows[places]])


def _resident(domain: Domain, rows: NDArray[np.int64], device: torch.device) -> Gather:
    images = torch.from_numpy(domain.images[rows]).to(device)
    return lambda places: images[torch.from_numpy(places).to(device, non_blocking=True)]
