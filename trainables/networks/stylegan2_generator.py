"""StyleGAN2's generator (Karras et al. 2020, arXiv:1912.04958), with the tensor names of its ADA version.

A mapping network makes w of z. Each convolution takes a style of its own from w, and adds noise to what it gives.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from spaces.networks import StyleGAN2Config
from trainables.networks.stylegan2_layers import Convolution, Dense, Mapping, activated, double, modulated

CHANNELS, SMALLEST = 3, 4


class StyledConvolution(nn.Module):
    """x (N, in, r, r) and w (N, w_dim) -> (N, out, r, r), or 2r with `up`: modulated, with noise, activated."""

    noise_const: Tensor

    def __init__(self, inputs: int, outputs: int, network: StyleGAN2Config, side: int, *, up: bool = False) -> None:
        super().__init__()
        self.affine = Dense(network.w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.empty(()))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.register_buffer("noise_const", torch.empty(side, side))
        self.up, self.clamp = up, network.conv_clamp
        self.bias_start = 0.0

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None, gain: float = 1.0) -> Tensor:
        """`noise` is (N, 1, r, r); without it the layer's own constant noise is added."""
        x = modulated(x, self.weight, self.affine(w), up=self.up)
        added = (self.noise_const if noise is None else noise) * self.noise_strength
        x = x + added.to(x.dtype) + self.bias.to(x.dtype)[:, None, None]
        return activated(x, gain, self.clamp)


class ToRgb(nn.Module):
    """x (N, in, r, r) and w (N, w_dim) -> a share of the image, (N, 3, r, r)."""

    def __init__(self, inputs: int, network: StyleGAN2Config) -> None:
        super().__init__()
        self.affine = Dense(network.w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.empty(CHANNELS, inputs, 1, 1))
        self.bias = nn.Parameter(torch.empty(CHANNELS))
        self.clamp = network.conv_clamp
        self.bias_start = 0.0

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.affine(w) / math.sqrt(x.shape[1])
        x = modulated(x, self.weight, style, demodulate=False).float() + self.bias[:, None, None]
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Block(nn.Module):
    """All that the generator does at one resolution: (N, in, r / 2, r / 2) -> (N, out, r, r), and its share of the image."""

    def __init__(self, inputs: int | None, outputs: int, side: int, network: StyleGAN2Config) -> None:
        """The first block has no inputs, but a constant of its own."""
        super().__init__()
        self.residual = network.generator_architecture == "resnet" and inputs is not None
        if inputs is None:
            self.const = nn.Parameter(torch.empty(outputs, side, side))
        else:
            self.conv0 = StyledConvolution(inputs, outputs, network, side, up=True)
        self.conv1 = StyledConvolution(outputs, outputs, network, side)
        if network.generator_architecture == "skip" or side == network.resolution:
            self.torgb = ToRgb(outputs, network)
        if self.residual:
            assert inputs is not None, f"{side=}"
            self.skip = Convolution(inputs, outputs, 1, bias=False)
        self.convolutions = [self.conv1] if inputs is None else [self.conv0, self.conv1]

    def forward(self, x: Tensor, ws: list[Tensor], noises: list[Tensor | None]) -> Tensor:
        """`ws` and `noises` hold one for each convolution."""
        gain = math.sqrt(0.5) if self.residual else 1.0
        y = double(self.skip(x, gain)) if self.residual else None
        *first, last = zip(self.convolutions, ws, noises, strict=True)
        for convolution, w, noise in first:
            x = convolution(x, w, noise)
        convolution, w, noise = last
        x = convolution(x, w, noise, gain)
        return x if y is None else y + x


class Synthesis(nn.Module):
    """ws (N, num_ws, w_dim) -> images (N, 3, R, R), about in [-1, 1].

    A block's convolutions take a w each, in order; its torgb takes the one that the next block's first convolution takes.
    """

    def __init__(self, network: StyleGAN2Config) -> None:
        super().__init__()
        levels = levels_of(network)
        self.sides = list(levels)
        self.num_ws = 2 * len(levels)
        for before, side in pairwise([None, *levels]):
            assert side is not None, f"{levels=}"
            self.add_module(f"b{side}", Block(levels[before] if before else None, levels[side], side, network))

    @property
    def noise_size(self) -> int:
        """Numbers of noise that an image takes."""
        return SMALLEST**2 + sum(2 * side**2 for side in self.sides[1:])

    def forward(self, ws: Tensor, noise: Tensor | None = None) -> Tensor:
        """`noise` is standard normal, (N, noise_size); without it that of the layers is taken, the same for every image."""
        start: Tensor = self.get_parameter(f"b{SMALLEST}.const")
        x = start.expand(ws.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image, place, begun = None, 0, 0
        for side in self.sides:
            block: Block = self.get_submodule(f"b{side}")  # type: ignore[assignment]
            count = len(block.convolutions)
            noises: list[Tensor | None] = [None] * count
            if noise is not None:
                here = noise[:, begun : begun + count * side**2].reshape(-1, count, 1, side, side)
                noises, begun = list(here.unbind(1)), begun + count * side**2
            x = block(x, list(ws[:, place : place + count].unbind(1)), noises)
            place += count
            if image is not None:
                image = double(image)
            if hasattr(block, "torgb"):
                share: Tensor = block.torgb(x, ws[:, place])
                image = share if image is None else image + share
        assert image is not None, f"{self.sides=}"
        return image


class StyleGAN2Generator(nn.Module):
    """z (N, z_dim), standard normal -> images (N, 3, R, R), about in [-1, 1]; a conditional one takes labels, int64 (N,), too.

    Then its buffer `prior` has the classes' shares of the images that it is trained on, which labels are drawn by.
    """

    def __init__(self, network: StyleGAN2Config) -> None:
        super().__init__()
        self.z_dim = network.z_dim
        self.synthesis = Synthesis(network)
        layers, w_dim = network.mapping_layers, network.w_dim
        self.mapping = Mapping(network.z_dim, network.classes, w_dim, layers, average=True)
        if network.classes is not None:
            self.register_buffer("prior", torch.empty(network.classes))

    def forward(self, z: Tensor, labels: Tensor | None = None, *, truncation: float | Tensor = 1.0) -> Tensor:
        """Images with the layers' own noise; `truncation` below 1 pulls w towards the mean of a training's w."""
        w = self.mapping(z, labels)
        if isinstance(truncation, Tensor) or truncation != 1:
            w = self.mapping.w_avg + truncation * (w - self.mapping.w_avg)
        return self.images(w)

    def images(
        self, w: Tensor, noise: Tensor | None = None, other: Tensor | None = None, cut: Tensor | None = None
    ) -> Tensor:
        """Images of w (N, w_dim), with `other` w in the layers from the `cut`-th on, int64 (N,); noise as `Synthesis` has it."""
        images: Tensor = self.synthesis(self.styles(w, other, cut), noise)
        return images

    def styles(self, w: Tensor, other: Tensor | None = None, cut: Tensor | None = None) -> Tensor:
        """The w of every layer, (N, num_ws, w_dim), as `images` mixes them."""
        ws = w[:, None].expand(-1, self.synthesis.num_ws, -1)
        if other is None:
            return ws
        assert cut is not None, "styles are mixed from a layer on"
        first = torch.arange(self.synthesis.num_ws, device=w.device) < cut[:, None]  # (N, num_ws)
        return torch.where(first[:, :, None], ws, other[:, None])


def levels_of(network: StyleGAN2Config) -> dict[int, int]:
    """Channels by side, from 4 pixels up to the resolution."""
    sides = [SMALLEST << place for place in range(int(math.log2(network.resolution // SMALLEST)) + 1)]
    return {side: min(network.width * network.resolution // side, network.channel_max) for side in sides}
