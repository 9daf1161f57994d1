"""Copies of the K images of a class with standard augmentation: the baseline of every transformation, at no training."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from spaces.methods.augmented import AugmentedConfig
from trainables.images.pixels import to_float, to_uint8
from trainables.methods.fewshot.sampling import Made
from trainables.methods.fewshot.untrained import untrained
from trainables.training.draws import Draws

TURN = math.radians(10)
"""The most that an image is turned, either way."""
SCALE = 0.1
"""The most that it grows or shrinks, as a share."""
SHIFT = 0.1
"""The most that it moves along either axis, as a share of its side."""


def augmented(images: Tensor, draws: Draws) -> Tensor:
    """Images (n, 3, R, R) in [-1, 1], each turned, scaled and moved at random; what comes in has the colour of its border."""
    n = len(images)
    turn, scale, right, down = (2 * draws.uniform(4, n) - 1).unbind()
    angle, zoom = TURN * turn, 1 / (1 + SCALE * scale)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    rows = [torch.stack([cos, -sin, 2 * SHIFT * right], 1), torch.stack([sin, cos, 2 * SHIFT * down], 1)]
    grid = F.affine_grid(torch.stack(rows, 1).to(images.device), list(images.shape), align_corners=False)
    edges = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
    fill = torch.cat(edges, -1).median(-1).values[..., None, None]
    return F.grid_sample(images - fill, grid, align_corners=False) + fill


def _made(shots: Tensor, classes: Tensor, draws: Draws) -> Made:
    """One of its class's images each, changed."""
    which = (draws.uniform(len(classes)) * shots.shape[1]).long()
    images = to_uint8(augmented(to_float(shots[classes, which]), draws))
    return Made(images, shots[classes])


AUGMENTED = untrained(AugmentedConfig, _made)
