"""The WGAN-GP ResNet generator and critic (Gulrajani et al. 2017), as "Transferring GANs" (ECCV 2018) uses them.

Channels at spatial size r are width * min(8, resolution // r). Images are (N, 3, R, R) float in [-1, 1].
Batch norm is in the generator alone; `sampling` says what sampling makes of it.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional as F

from spaces.networks import Adaptive, Fusion, Resnet
from trainables.networks.conditional import ConditionalNorm, normed
from trainables.networks.family import Family
from trainables.networks.pooling import convolve_and_pool, sum_neighbours, sum_pool
from trainables.networks.tangents import NormState, Sweep, norm_relu

CHANNELS = 3
SMALLEST = 4


class UpBlock(nn.Module):
    """(N, in, r, r) -> (N, out, 2r, 2r): pre-activation residual block with nearest-neighbour upsampling."""

    def __init__(self, in_channels: int, out_channels: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        h = self.conv1(F.interpolate(F.relu(normed(self.norm1, x, labels)), scale_factor=2.0))
        h = self.conv2(F.relu(normed(self.norm2, h, labels)))
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
    """z (N, z_dim), standard normal -> images (N, 3, R, R) in [-1, 1]; a conditional one takes labels, int64 (N,), too.

    Then its buffer `prior` has the classes' shares of the images that it is trained on, which labels are drawn by.
    """

    def __init__(self, network: Resnet) -> None:
        super().__init__()
        channels = channels_of(network)[::-1]
        self.z_dim = network.z_dim
        self.from_z = nn.Linear(network.z_dim, channels[0] * SMALLEST**2)
        by_norm = network.classes is not None and network.conditioning == "norm"
        norm = partial(ConditionalNorm, network.classes or 0) if by_norm else nn.BatchNorm2d
        self.blocks = nn.ModuleList(UpBlock(a, b, norm) for a, b in pairwise(channels))
        self.norm = norm(channels[-1])
        self.to_rgb = nn.Conv2d(channels[-1], CHANNELS, 3, padding=1)
        if network.classes is not None:
            self.register_buffer("prior", torch.full((network.classes,), 1 / network.classes))
            if not by_norm:  # what a one-hot vector beside z would have for columns in from_z
                self.from_label = nn.Linear(network.classes, channels[0] * SMALLEST**2, bias=False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.from_z(z)
        if hasattr(self, "from_label"):
            assert labels is not None, "a conditional generator takes labels"
            x = x + self.from_label(F.one_hot(labels, self.from_label.in_features).to(z.dtype))
        x = x.unflatten(1, (-1, SMALLEST, SMALLEST))  # (N, c, 4, 4)
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.to_rgb(F.relu(normed(self.norm, x, labels))))


class Discriminator(nn.Module):
    """Images (N, 3, R, R) -> logits (N,), unbounded; higher means more real. No sample sees the others of its batch.

    A conditional one has a second head beside it, on the same features: `judge` gives its logits of classes, (N, classes),
    too. Its norms know nothing of classes.
    """

    def __init__(self, network: Resnet) -> None:
        super().__init__()
        channels = channels_of(network)
        self.from_rgb = nn.Conv2d(CHANNELS, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(channels))
        self.to_logit = nn.Linear(channels[-1] * SMALLEST**2, 1)
        if network.classes is not None:
            self.to_class = nn.Linear(channels[-1] * SMALLEST**2, network.classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.to_logit(self._features(images))
        return logits.squeeze(1)

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,) as of a call, and logits of the classes, (N, classes), of a conditional critic."""
        features = self._features(images)
        return self.to_logit(features).squeeze(1), self.to_class(features)

    def _features(self, images: Tensor) -> Tensor:
        x = self.from_rgb(images)
        for block in self.blocks:
            x = block(x)
        flat: Tensor = x.flatten(1)
        return flat

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


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Give every layer of `module` (on the CPU) its initial weights, drawn from `generator` alone.

    Uniform, with std sqrt(4 / (fan_in + fan_out)) for the 3x3 convolutions of residual blocks (He) and
    sqrt(2 / (fan_in + fan_out)) for all else (Glorot); biases 0, norms the identity, of each class too. As in the reference
    code.
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
        elif isinstance(layer, nn.BatchNorm2d | nn.GroupNorm | ConditionalNorm):
            layer.reset_parameters()
        elif isinstance(layer, Generator) and hasattr(layer, "prior"):
            prior = layer.get_buffer("prior")
            prior.fill_(1 / len(prior))


def stages(discriminator: nn.Module) -> list[list[nn.Module]]:
    """The critic's stages from the image side: the input convolution with the first block, then block by block.

    The last linear layer is in none: it always trains.
    """
    assert isinstance(discriminator, Discriminator), f"{type(discriminator)=}"
    first, *rest = discriminator.blocks
    return [[discriminator.from_rgb, first], *([block] for block in rest)]


def fields(state: Mapping[str, Tensor]) -> dict[str, int | str]:
    """The fields of the config that the names and shapes of a generator's or critic's weights give away."""
    found: dict[str, int | str] = {}
    for name, tensor in state.items():
        if name.endswith("from_z.weight"):
            found["z_dim"] = tensor.shape[1]
        elif name.endswith("_rgb.weight"):
            found["width"] = tensor.shape[0 if name.endswith("from_rgb.weight") else 1]
        elif name.endswith(("to_class.bias", "prior")):
            found["classes"] = tensor.shape[0]
        elif name.endswith("from_label.weight"):
            found["conditioning"] = "concat"
    blocks = {match[1] for name in state if (match := re.search(r"\bblocks\.(\d+)\.", name))}
    return {**found, "resolution": SMALLEST * 2 ** len(blocks)}


def channels_of(network: Resnet | Fusion | Adaptive) -> list[int]:
    """Channels at each spatial size, from the resolution down to 4."""
    sizes = [network.resolution >> i for i in range(int(math.log2(network.resolution / SMALLEST)) + 1)]
    return [network.width * min(8, network.resolution // size) for size in sizes]


RESNET = Family(
    networks={"generator": Generator, "discriminator": Discriminator},
    initialise=initialise,
    stages=stages,
    fields=fields,
)
