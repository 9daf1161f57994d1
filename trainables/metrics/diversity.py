"""How different samples are from each other: those of one class, and those nearest to one training image (CDC's measure).

The distance of two images is that of their maps in EfficientNet-Lite0 at 64 pixels, after the stages of 24, 40 and 112
channels: channels at unit length at each place, squared differences summed over channels, means over places and stages. It
has LPIPS's form and no learned weights, and so not its name. It rises with noise and garbage: look at `kd` beside it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trainables.metrics.features import exact_inference, lite0, lite0_inputs, lite0_maps
from trainables.metrics.manifolds import squared_distances

CENTRES = 100
"""Training images at most that samples are sorted to."""
MEMBERS = 50
"""Samples of a cluster or class at most that are compared with each other."""
_SIZE = 64
_STAGES = {24: 2, 40: 4, 112: 10}
"""The last block of each stage, by its channels."""


@dataclass(frozen=True)
class Diversity:
    """Of samples in clusters around training images."""

    value: float
    """The mean over clusters of the mean distance of two of its samples."""
    empty: int
    """Clusters with fewer than two samples, which count as 0."""


Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Of uint8 images (n, 3, R, R): vectors, float32 (n, d), whose squared Euclidean distance is that of the images."""


@lru_cache(maxsize=2)
def embedding(device: torch.device) -> Embed:
    """The embedding by EfficientNet-Lite0's maps, loaded onto `device`."""
    network, _ = lite0(_SIZE, device)

    @exact_inference()
    def embed(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(images), 64):
            part = torch.from_numpy(np.ascontiguousarray(images[start : start + 64])).to(device)
            maps = lite0_maps(network, lite0_inputs(part, _SIZE), _STAGES.values())
            parts.append(torch.cat([_scaled(each) for each in maps], 1).cpu())
        return torch.cat(parts).numpy()

    return embed


def _scaled(maps: Tensor) -> Tensor:
    """A stage's maps (n, c, h, w) as vectors (n, c h w), of unit channels and weighed for the means."""
    places = maps.shape[2] * maps.shape[3]
    unit: Tensor = F.normalize(maps, dim=1)
    return unit.flatten(1) / math.sqrt(places * len(_STAGES))


def intra_cluster(samples: NDArray[np.float32], centres: NDArray[np.float32]) -> Diversity:
    """The diversity of embedded samples (n, d) around embedded training images (k, d), n and k at least 1.

    Empty clusters count: where they are left out, as in the authors' code, a generator that copies one image looks diverse.
    """
    nearest = squared_distances(samples, centres).argmin(1)
    of_each = [_mean_distance(samples[nearest == centre][:MEMBERS]) for centre in range(len(centres))]
    return Diversity(float(np.mean(of_each)), int((np.bincount(nearest, minlength=len(centres)) < 2).sum()))


def within_classes(embed: Embed, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> tuple[float, int]:
    """The mean over classes of the mean distance of two of its images, MEMBERS at most; and how many classes that is of.

    Of uint8 images (n, 3, R, R) with labels (n,); classes of one image have no distance and don't count. nan of no class.
    """
    classes, counts = np.unique(labels, return_counts=True)
    of_each = [embed(images[labels == label][:MEMBERS]) for label in classes[counts >= 2]]
    return (float(np.mean([_mean_distance(each) for each in of_each])) if of_each else math.nan), len(of_each)


def _mean_distance(members: NDArray[np.float32]) -> float:
    """The mean squared distance of two different vectors of (n, d); 0 of fewer than two."""
    if len(members) < 2:
        return 0.0
    spread = members.astype(np.float64) - members.mean(0, dtype=np.float64)
    return float(2 * (spread**2).sum() / (len(members) - 1))
