"""The moving average of a network's weights, which is what is scored, sampled and exported."""

import copy

import torch
from torch import Tensor, nn

_RAMP = 0.05
"""The half-life is at most this share of the images seen, so that short runs are not all past."""


def averaging(network: nn.Module) -> nn.Module:
    """A copy of `network` for an average to live in: it takes no gradients."""
    return copy.deepcopy(network).requires_grad_(False)


@torch.no_grad()
def follow(
    average: nn.Module, network: nn.Module, *, images: int, images_seen: int, halflife: float, ramp: bool = True
) -> None:
    """Move the parameters of `average` towards those of `network`, by what `images` more of `images_seen` make of `halflife`.

    All three are counts of real images. Without the `ramp` the half-life is as long from the start. Buffers, as batch norm's
    statistics, are left alone.
    """
    keep = 0.5 ** (images / (min(halflife, _RAMP * images_seen) if ramp else halflife))
    averages: list[Tensor] = list(average.parameters())
    torch._foreach_lerp_(averages, list(network.parameters()), 1 - keep)
