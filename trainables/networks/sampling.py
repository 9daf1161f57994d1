"""Drawing images from a generator, and scoring images by a critic.

Batch norm: training normalises by the batch's own statistics. Sampling must not, or a score would depend on the sampling
batch (the reference code's does). So before sampling, `set_standing_statistics` puts averages over a fixed set of z into
running_mean and running_var, and `sample` runs in eval mode. What training leaves in these buffers is a trace of past
weights: sampling with it samples another network.
"""

import math

import torch
from torch import Tensor, nn

from spaces.errors import UserError
from trainables.images.pixels import to_float, to_uint8
from trainables.images.samples import Inputs, Samples
from trainables.machine.randomness import random_numbers
from trainables.networks.families import GENERATOR
from trainables.networks.models import Model

STANDING = 1024
"""z that batch norm's statistics are taken over, wherever a generator is scored in full or given out."""
DRAFT = 256
"""The same for a glance at a generator in training, of as few images: a quarter of the time, and scores 1 % worse."""


@torch.no_grad()
def set_standing_statistics(generator: nn.Module, seed: int = 0, n: int = STANDING) -> None:
    """Set batch norm's running mean and variance to averages over `n` seeded z, in about equal batches of at most 256.

    Each batch is normalised by its own statistics, as in training. The mean of its unbiased variances counts the
    variation between batches in too.
    """
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    training = generator.training
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
    generator.train()
    for z in torch.chunk(_draw_z(generator, n, "standing statistics", seed), math.ceil(n / 256)):
        generator(z)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    generator.train(training)


@torch.no_grad()
def sample(generator: nn.Module, n: int, seed: int, batch: int = 128) -> Tensor:
    """`n` images, uint8 (n, 3, R, R) on the CPU, in eval mode: call `set_standing_statistics` first.

    All z are drawn at once, so image i does not depend on `batch`.
    """
    training = generator.training
    generator.eval()
    images = [to_uint8(generator(z)).cpu() for z in torch.split(_draw_z(generator, n, "samples", seed), batch)]
    generator.train(training)
    return torch.cat(images)


@torch.no_grad()
def critic_logits(critic: nn.Module, images: Tensor, batch: int = 256) -> Tensor:
    """Logits of uint8 images (n, 3, R, R), n at least 1: float64 (n,), on the critic's device; so many images at a time."""
    device = device_of(critic)
    return torch.cat([critic(to_float(part.to(device))).double() for part in torch.split(images, batch)])


class ZSampler:
    """Samples a model whose generator takes z alone; ready where the generator has its standing statistics."""

    def __init__(self, model: Model) -> None:
        generator = model.network(GENERATOR)
        self._generator = generator.to(memory_format=torch.channels_last)  # sums as in training

    def __call__(self, n: int, seed: int, inputs: Inputs | None = None) -> Samples:
        """`n` images on the CPU; equal seeds take equal z."""
        if inputs is not None:
            raise UserError("this model makes images of noise alone, and takes none to translate; leave the inputs out")
        return Samples(sample(self._generator, n, seed))


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights lie."""
    return next(network.parameters()).device


def _draw_z(generator: nn.Module, n: int, purpose: str, seed: int) -> Tensor:
    z = torch.randn(n, int(generator.z_dim), generator=random_numbers(purpose, seed))  # type: ignore[arg-type]
    return z.to(device_of(generator))
