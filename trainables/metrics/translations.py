"""How well source images were translated: how near to true pairs, where there are some, and how much content was kept."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.images.domains import Domain
from trainables.images.samples import Samples

MOST = 256
"""Translations at most that content is compared of: the first ones."""

Maps = Callable[[NDArray[np.uint8]], Tensor]
"""Of images, uint8 (n, 3, R, R), to feature maps in the middle of a network, (n, channels, side, side)."""


@dataclass(frozen=True)
class PairError:
    """Mean absolute differences as shares of the whole range of a pixel; nan without pairs."""

    value: float
    """Of translations to their inputs' true pairs."""
    untranslated: float
    """Of the inputs themselves to them."""
    n: int
    """Held-out pictures that have a pair."""


def pair_error(samples: Samples, target: Domain) -> PairError:
    """How far translations are from what the same pictures are in the target, over those that the target holds out.

    A picture that comes twice counts once.
    """
    there = {target.names[row]: int(row) for row in target.indices("val")} if target.names else {}
    places = {name: place for place, name in enumerate(samples.pictures) if name in there}
    inputs = samples.translated
    if not places or inputs is None:
        return PairError(np.nan, np.nan, 0)
    chosen, true = list(places.values()), target.images[[there[name] for name in places]]
    value, untranslated = (
        float(np.abs(images[chosen].numpy().astype(np.int64) - true).mean()) / 255
        for images in (samples.images, inputs)
    )
    return PairError(value, untranslated, len(chosen))


@dataclass(frozen=True)
class ContentShift:
    """Mean squared differences of feature maps whose channels have mean 0 and variance 1 in each image: 0 of equal images."""

    value: float
    """Of translations to their inputs; nan of images that translate none."""
    unrelated: float
    """Of real target images to the same inputs: what keeps nothing."""
    n: int
    """Translations that were compared."""


def content_shift(samples: Samples, real: NDArray[np.uint8], maps: Maps) -> ContentShift:
    """How much of what is where in an image its translation changes, whatever its style; `real` (n, 3, R, R) keeps nothing.

    After DIPD of Liu et al. (FUNIT, ICCV 2019), which takes VGG's maps.
    """
    if samples.translated is None:
        return ContentShift(np.nan, np.nan, 0)
    n = min(MOST, len(samples.images))
    inputs, found = maps(samples.translated[:n].numpy()), maps(samples.images[:n].numpy())
    others = min(n, len(real))
    return ContentShift(shift(inputs, found), shift(inputs[:others], maps(real[:others])) if others else np.nan, n)


def shift(one: Tensor, other: Tensor) -> float:
    """The mean squared difference of maps (n, c, h, w), each channel of each image brought to mean 0 and variance 1."""
    normed = [torch.nn.functional.instance_norm(maps.double()) for maps in (one, other)]
    return float((normed[0] - normed[1]).square().mean())
