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
from trainables.networks.conditional import labels_by
from trainables.networks.families import GENERATOR
from trainables.networks.models import Model
from trainables.networks.truncation import truncated

STANDING = 1024
"""z that batch norm's statistics are taken over, wherever a generator is scored in full or given out."""
SAMPLES = "samples"
"""The purpose that the z of samples are drawn for: equal seeds give equal ones, whatever shows them."""
DRAFT = 256
"""The same for a glance at a generator in training, of as few images: a quarter of the time, and scores 1 % worse."""


@torch.no_grad()
def set_standing_statistics(generator: nn.Module, seed: int = 0, n: int = STANDING) -> None:
    """Set batch norm's running mean and variance to averages over `n` seeded z, in about equal batches of at most 256.

    Each batch is normalised by its own statistics, as in training. The mean of its unbiased variances counts the
    variation between batches in too. Of a conditional generator they are over labels drawn by its prior.
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
    parts = [torch.chunk(each, math.ceil(n / 256)) for each in draw_inputs(generator, n, "standing statistics", seed)]
    for inputs in zip(*parts, strict=True):
        generator(*inputs)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    generator.train(training)


def sample(generator: nn.Module, n: int, seed: int, batch: int = 128) -> Tensor:
    """`n` images, uint8 (n, 3, R, R) on the CPU: those of `draw`."""
    return draw(generator, n, seed, batch).images


@torch.no_grad()
def draw(
    generator: nn.Module, n: int, seed: int, batch: int = 128, *, label: int | None = None, truncation: float = 1.0
) -> Samples:
    """`n` images with their labels, in eval mode: call `set_standing_statistics` first.

    All z are drawn at once, so image i does not depend on `batch`; nor on its label, and labels not on z. A conditional
    generator's labels are `label`, or are drawn by its prior; of another the samples have none. `truncation` is as
    `networks.truncation` has it.
    """
    z, *labels = draw_inputs(generator, n, SAMPLES, seed)
    if labels and label is not None:
        labels = [torch.full_like(labels[0], label)]
    return images_of(generator, z, labels[0] if labels else None, truncation, batch)


@torch.no_grad()
def images_of(
    generator: nn.Module, z: Tensor, labels: Tensor | None = None, truncation: float = 1.0, batch: int = 128
) -> Samples:
    """The images of z (n, z_dim) and labels (n,), in eval mode, so many at a time; on the CPU."""
    training = generator.training
    generator.eval()
    parts = torch.split(z, batch)
    classes = [None] * len(parts) if labels is None else torch.split(labels, batch)
    images = [to_uint8(truncated(generator, *part, truncation)).cpu() for part in zip(parts, classes, strict=True)]
    generator.train(training)
    return Samples(torch.cat(images), None if labels is None else labels.cpu())


@torch.no_grad()
def critic_logits(critic: nn.Module, images: Tensor) -> Tensor:
    """Logits of uint8 images (n, 3, R, R), n at least 1: float64 (n,), on the critic's device."""
    device = device_of(critic)
    return torch.cat([critic(to_float(part.to(device))).double() for part in torch.split(images, 256)])


class ZSampler:
    """Samples a model whose generator takes z, and labels; ready where the generator has its standing statistics."""

    def __init__(self, model: Model) -> None:
        self.generator = self._built(model).to(memory_format=torch.channels_last)  # sums as in training
        """From z, and labels where there are classes, to images; in eval mode."""
        self.classes = model.classes
        """The names of the classes that it can be asked for by label; none of an unconditional model."""

    def __call__(self, n: int, seed: int, inputs: Inputs | None = None) -> Samples:
        """`n` images on the CPU; equal seeds take equal z, and equal labels where priors are equal."""
        refuse(inputs)
        return draw(self.generator, n, seed)

    def drawn(self, n: int, seed: int, *, label: int | None = None, truncation: float = 1.0) -> Samples:
        """`n` images of the same z as by a call, of the class of that number if one is given, and truncated."""
        return draw(self.generator, n, seed, label=label, truncation=truncation)

    def _built(self, model: Model) -> nn.Module:
        return model.network(GENERATOR)


def refuse(inputs: Inputs | None) -> None:
    """UserError if a model of noise alone is given images to translate."""
    if inputs is not None:
        raise UserError("this model makes images of noise alone, and takes none to translate; leave the inputs out")


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights lie."""
    return next(network.parameters()).device


def draw_inputs(generator: nn.Module, n: int, purpose: str, seed: int) -> tuple[Tensor, ...]:
    """Draw what the generator takes: z (n, z_dim), and for a conditional one labels (n,) by its prior; on its device."""
    z = torch.randn(n, int(generator.z_dim), generator=random_numbers(purpose, seed))  # type: ignore[arg-type]
    drawn: tuple[Tensor, ...] = (z,)
    if hasattr(generator, "prior"):
        uniform = torch.rand(n, generator=random_numbers(f"labels of {purpose}", seed))
        drawn += (labels_by(generator.get_buffer("prior").cpu(), uniform),)
    return tuple(part.to(device_of(generator)) for part in drawn)
