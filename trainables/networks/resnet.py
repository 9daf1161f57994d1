"""The WGAN-GP ResNet generator and critic (Gulrajani et al. 2017), as "Transferring GANs" (ECCV 2018) uses them.

Channels at spatial size r are width * min(8, resolution // r). Images are (N, 3, R, R) float in [-1, 1].

Batch norm, in the generator alone: training normalises by the batch's own statistics. Sampling must not, or a score
would depend on the sampling batch (the reference code's does). So before sampling, `set_standing_statistics` puts
averages over a fixed set of z into running_mean and running_var, and `sample` runs in eval mode. What training leaves
in these buffers is a trace of past weights: sampling with it samples another network.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional as F

from spaces.config import Network
from trainables.images.pixels import to_float, to_uint8
from trainables.machine.randomness import random_numbers
from trainables.networks.tangents import NormState, Sweep, norm_relu

CHANNELS = 3
SMALLEST = 4

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class UpBlock(nn.Module):
    """(N, in, r, r) -> (N, out, 2r, 2r): pre-activation residual block with nearest-neighbour upsampling."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.interpolate(F.relu(self.norm1(x)), scale_factor=2.0))
        h = self.conv2(F.relu(self.norm2(h)))
        # A 1x1 convolution commutes with nearest upsampling; in this order it costs a quarter.
        return F.interpolate(self.shortcut(x), scale_factor=2.0).add(h)


class DownBlock(nn.Module):
    """(N, in, r, r) -> (N, out, r/2, r/2): pre-activation residual block with 2x2 mean pooling."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(1, in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(1, in_channels)
        self.conv2 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, trace: list[NormState] | None = None) -> Tensor:
        h = self.conv1(norm_relu(self.norm1, x, trace))
        h = convolve_and_pool(norm_relu(self.norm2, h, trace), self.conv2.weight, self.conv2.bias)
        return F.conv2d(sum_pool(x), self.shortcut.weight / 4, self.shortcut.bias) + h

    def tangent(
        self, tangent: Tensor, sweep: Sweep, states: Sequence[NormState], cotangents: Sequence[Tensor]
    ) -> Tensor:
        """The tangent of the output, given the cotangents before and behind each norm and that of the output."""
        before1, normed1, before2, normed2, out = cotangents
        t = sweep.norm_relu(tangent, states[0], before1, normed1)
        t = sweep.convolve(t, self.conv1.weight, before2, padding=1)
        t = sweep.norm_relu(t, states[1], before2, normed2)
        t = sweep.convolve(sum_neighbours(t), self.conv2.weight, out, factor=1 / 4, stride=2)
        return sweep.convolve(sum_pool(tangent), self.shortcut.weight, out, factor=1 / 4) + t


class Generator(nn.Module):
    """z (N, z_dim), standard normal -> images (N, 3, R, R) in [-1, 1]."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        channels = _channels(network)[::-1]
        self.z_dim = network.z_dim
        self.from_z = nn.Linear(network.z_dim, channels[0] * SMALLEST**2)
        self.blocks = nn.ModuleList(UpBlock(a, b) for a, b in pairwise(channels))
        self.norm = nn.BatchNorm2d(channels[-1])
        self.to_rgb = nn.Conv2d(channels[-1], CHANNELS, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.from_z(z).unflatten(1, (-1, SMALLEST, SMALLEST))  # (N, c, 4, 4)
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.to_rgb(F.relu(self.norm(x))))


class Discriminator(nn.Module):
    """Images (N, 3, R, R) -> logits (N,), unbounded; higher means more real. No sample sees the others of its batch."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        channels = _channels(network)
        self.from_rgb = nn.Conv2d(CHANNELS, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(channels))
        self.to_logit = nn.Linear(channels[-1] * SMALLEST**2, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.from_rgb(images)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.to_logit(x.flatten(1))
        return logits.squeeze(1)

    def input_gradient(self, images: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The logits' gradient in the images, (N, 3, R, R), without a graph, and what it does along directions u of that shape.

        The function gives the scalar sum(u . gradient), differentiable in the weights, with u held fixed.
        """
        images = images.detach().requires_grad_()
        with torch.enable_grad():
            x = self.from_rgb(images)
            points = [get_gradient_edge(images), get_gradient_edge(x)]
            norms: list[NormState] = []
            for block in self.blocks:
                x = block(x, norms)
                points += [edge for norm in norms[-2:] for edge in (get_gradient_edge(norm.x), norm.normed)]
                points.append(get_gradient_edge(x))
            total = self.to_logit(x.flatten(1)).sum(dtype=images.dtype)
        gradient, *cotangents = torch.autograd.grad(total, points, retain_graph=True)

        def along(directions: Tensor) -> Tensor:
            sweep = Sweep()
            with torch.no_grad():
                t = sweep.convolve(directions, self.from_rgb.weight, cotangents[0], padding=1)
                for i, block in enumerate(self.blocks):
                    t = block.tangent(t, sweep, norms[2 * i : 2 * i + 2], cotangents[5 * i + 1 : 5 * i + 6])  # type: ignore[operator]
                sweep.add(self.to_logit.weight, t.flatten(1).sum(0, keepdim=True))
            return sweep.result((directions * gradient).sum())

        return gradient, along


def convolve_and_pool(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3x3 convolution with padding and then 2x2 mean pooling, in a quarter of the multiplications.

    The pooling goes first: sums of 2x2 neighbours at every place, then the convolution at every other.
    """
    return F.conv2d(sum_neighbours(x), weight / 4, bias, stride=2)


def sum_pool(x: Tensor) -> Tensor:
    """(N, C, r, r) -> (N, C, r / 2, r / 2): sums over 2x2 windows, side by side."""
    sums: Tensor = _SumPool.apply(x)
    return sums


class _SumPool(Function):
    """PyTorch's own pooling takes twice as long on its way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2, divisor_override=1)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return F.interpolate(g, scale_factor=2.0)


def sum_neighbours(x: Tensor) -> Tensor:
    """(N, C, r, r), zero beyond its edge -> (N, C, r + 1, r + 1): sums over 2x2 windows."""
    sums: Tensor = _NeighbourSums.apply(x)
    return sums


class _NeighbourSums(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _sums_with_edge(_sums_with_edge(x, 2), 3)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        g = g[:, :, 1:] + g[:, :, :-1]
        return g[..., 1:] + g[..., :-1]


def _sums_with_edge(x: Tensor, dim: int) -> Tensor:
    """x[i - 1] + x[i] along `dim`, one longer than x."""
    r, shape = x.shape[dim], list(x.shape)
    shape[dim] += 1
    sums = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    torch.add(x.narrow(dim, 0, r - 1), x.narrow(dim, 1, r - 1), out=sums.narrow(dim, 1, r - 1))
    sums.select(dim, 0).copy_(x.select(dim, 0))
    sums.select(dim, r).copy_(x.select(dim, r - 1))
    return sums


def build_generator(network: Network, seed: int) -> Generator:
    """A freshly initialised generator on the CPU; equal seeds give equal weights, and the global RNG is left alone."""
    with torch.device("meta"):
        module = Generator(network)
    return _initialised(module, seed)


def build_discriminator(network: Network, seed: int) -> Discriminator:
    """A freshly initialised critic on the CPU; equal seeds give equal weights, and the global RNG is left alone."""
    with torch.device("meta"):
        module = Discriminator(network)
    return _initialised(module, seed)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Give every layer of `module` (on the CPU) its initial weights, drawn from `generator` alone.

    Uniform, with std sqrt(4 / (fan_in + fan_out)) for the 3x3 convolutions of residual blocks (He) and
    sqrt(2 / (fan_in + fan_out)) for all else (Glorot); biases 0, norms the identity. As in the reference code.
    """
    blocks = [block for block in module.modules() if isinstance(block, UpBlock | DownBlock)]
    he = {conv for block in blocks for conv in (block.conv1, block.conv2)}
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_out, fan_in = layer.weight.shape[:2]
            taps = layer.weight[0, 0].numel()
            bound = math.sqrt(3 * (4 if layer in he else 2) / ((fan_in + fan_out) * taps))
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm):
            layer.reset_parameters()


@torch.no_grad()
def set_standing_statistics(generator: Generator, seed: int = 0, n: int = 1024) -> None:
    """Set batch norm's running mean and variance to averages over `n` seeded z, in about equal batches of at most 256.

    Each batch is normalised by its own statistics, as in training. The mean of its unbiased variances counts the
    variation between batches in too.
    """
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)]
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
def sample(generator: Generator, n: int, seed: int, batch: int = 128) -> Tensor:
    """`n` images, uint8 (n, 3, R, R) on the CPU, in eval mode: call `set_standing_statistics` first.

    All z are drawn at once, so image i does not depend on `batch`.
    """
    training = generator.training
    generator.eval()
    images = [to_uint8(generator(z)).cpu() for z in torch.split(_draw_z(generator, n, "samples", seed), batch)]
    generator.train(training)
    return torch.cat(images)


@torch.no_grad()
def critic_logits(critic: Discriminator, images: Tensor, batch: int = 256) -> Tensor:
    """Logits of uint8 images (n, 3, R, R), n at least 1: float64 (n,), on the critic's device; so many images at a time."""
    device = critic.to_logit.weight.device
    return torch.cat([critic(to_float(part.to(device))).double() for part in torch.split(images, batch)])


def freezable(discriminator: Discriminator) -> list[list[nn.Module]]:
    """The critic's stages from the image side: the input convolution with the first block, then block by block.

    The last linear layer is in none: it always trains.
    """
    first, *rest = discriminator.blocks
    return [[discriminator.from_rgb, first], *([block] for block in rest)]


def network_fields(state: Mapping[str, Tensor]) -> dict[str, int]:
    """The fields of `Network` that the names and shapes of a generator's or critic's weights give away."""
    fields = {}
    for name, tensor in state.items():
        if name.endswith("from_z.weight"):
            fields["z_dim"] = tensor.shape[1]
        elif name.endswith("_rgb.weight"):
            fields["width"] = tensor.shape[0 if name.endswith("from_rgb.weight") else 1]
    blocks = {match[1] for name in state if (match := re.search(r"\bblocks\.(\d+)\.", name))}
    return {**fields, "resolution": SMALLEST * 2 ** len(blocks)}


def _channels(network: Network) -> list[int]:
    """Channels at each spatial size, from the resolution down to 4."""
    sizes = [network.resolution >> i for i in range(int(math.log2(network.resolution / SMALLEST)) + 1)]
    return [network.width * min(8, network.resolution // size) for size in sizes]


def _initialised(module: AnyModule, seed: int) -> AnyModule:
    module.to_empty(device="cpu")
    initialise(module, random_numbers(f"weights of a {type(module).__name__}", seed))
    return module


def _draw_z(generator: Generator, n: int, purpose: str, seed: int) -> Tensor:
    z = torch.randn(n, generator.z_dim, generator=random_numbers(purpose, seed))
    return z.to(generator.from_z.weight.device)
