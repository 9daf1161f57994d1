"""Batches of a domain's training images, gathered where they will be used."""

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.images.domains import BatchOrder, Domain

MAX_RESIDENT_BYTES = 4 * 2**30
"""Images up to this size stay on a GPU for the whole trial: 350,000 of 64 pixels."""


def batches(
    domain: Domain, rows: NDArray[np.int64], size: int, *, seed: int, first: int, device: torch.device
) -> Iterator[Tensor]:
    """Batch `first`, `first` + 1, ... of shuffled epochs over `rows`: uint8 (size, 3, R, R), without end.

    On a CPU they are copied out of the mapped file, which all trials share. On a GPU the rows are uploaded once, as uint8,
    and batches are gathered there. The same images in the same order either way.
    """
    if device.type != "cpu" and len(rows) * domain.images[0].nbytes <= MAX_RESIDENT_BYTES:
        return _resident(domain, rows, size, seed, first, device)
    order = BatchOrder(rows, size, seed)
    return (torch.from_numpy(domain.images[order(number)]) for number in count(first))


def _resident(
    domain: Domain, rows: NDArray[np.int64], size: int, seed: int, first: int, device: torch.device
) -> Iterator[Tensor]:
    images = torch.from_numpy(domain.images[rows]).to(device)
    order = BatchOrder(np.arange(len(rows)), size, seed)
    for number in count(first):
        yield images[torch.from_numpy(order(number)).to(device, non_blocking=True)]
