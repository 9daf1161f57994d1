"""StyleGAN2's critic (Karras et al. 2020, arXiv:1912.04958), with the tensor names of its ADA version."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from spaces.networks import StyleGAN2Config
from trainables.networks.stylegan2_generator import CHANNELS, SMALLEST, levels_of
from trainables.networks.stylegan2_layers import EPS, Convolution, Dense, Mapping, activated, smooth


class DownBlock(nn.Module):
    """(N, in, r, r) -> (N, out, r / 2, r / 2); the first one, and each of architecture "skip", sees the image too."""

    def __init__(self, inputs: int, outputs: int, network: StyleGAN2Config, *, sees_image: bool) -> None:
        super().__init__()
        self.clamp, self.residual = network.conv_clamp, network.critic_architecture == "resnet"
        if sees_image:
            self.fromrgb = Convolution(CHANNELS, inputs, 1)
        self.conv0 = Convolution(inputs, inputs, 3)
        self.conv1 = Convolution(inputs, outputs, 3, down=True)
        if self.residual:
            self.skip = Convolution(inputs, outputs, 1, down=True, bias=False)

    def forward(self, x: Tensor | None, image: Tensor) -> Tensor:
        """`x` is what the block before gives, None of the first one; `image` is of this block's resolution."""
        if hasattr(self, "fromrgb"):
            seen = activated(self.fromrgb(image), clamp=self.clamp)
            x = seen if x is None else x + seen
        if not self.residual:
            return activated(self.conv1(activated(self.conv0(x), clamp=self.clamp)), clamp=self.clamp)
        y: Tensor = self.skip(x, math.sqrt(0.5))
        x = self.conv1(activated(self.conv0(x), clamp=self.clamp))
        return y + activated(x, math.sqrt(0.5), self.clamp)


class Epilogue(nn.Module):
    """(N, C, 4, 4) -> (N, outputs): how far the images of a group are apart, a convolution and two dense layers."""

    def __init__(self, channels: int, outputs: int, network: StyleGAN2Config, *, sees_image: bool) -> None:
        super().__init__()
        self.clamp = network.conv_clamp
        self.group, self.maps = network.minibatch_group, network.minibatch_channels
        if sees_image:
            self.fromrgb = Convolution(CHANNELS, channels, 1)
        self.conv = Convolution(channels + self.maps, channels, 3)
        self.fc = Dense(channels * SMALLEST**2, channels)
        self.out = Dense(channels, outputs)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        if hasattr(self, "fromrgb"):
            x = x + activated(self.fromrgb(image), clamp=self.clamp)
        x = torch.cat([x, spread(x, self.group, self.maps)], 1)
        x = activated(self.conv(x), clamp=self.clamp)
        found: Tensor = self.out(activated(self.fc(x.flatten(1))))
        return found


def spread(x: Tensor, group: int, maps: int) -> Tensor:
    """The standard deviation over groups of images, meant over channels and pixels: (N, C, r, r) -> (N, maps, r, r).

    The images of a group are N / G apart. Groups are as large as `group` and N allow: G divides N.
    """
    n, channels, side, _ = x.shape
    size = next(size for size in range(min(group, n), 0, -1) if n % size == 0)
    y = x.float().reshape(size, n // size, maps, channels // maps, side, side)
    y = y - y.mean(0)
    y = (y.square().mean(0) + EPS).sqrt().mean((2, 3, 4))  # (N / G, maps)
    return y.repeat(size, 1)[:, :, None, None].expand(-1, -1, side, side).to(x.dtype)


class StyleGAN2Critic(nn.Module):
    """Images (N, 3, R, R) -> logits (N,), each beside the others of its group; a conditional one is told labels, int64 (N,)."""

    def __init__(self, network: StyleGAN2Config) -> None:
        super().__init__()
        levels = dict(reversed(levels_of(network).items()))
        self.sides = list(levels)
        if network.classes is not None:
            self.mapping = Mapping(0, network.classes, levels[SMALLEST], 8, average=False)
        self.filtered = network.critic_architecture == "skip"
        for side, half in pairwise(levels):
            sees_image = self.filtered or side == network.resolution
            self.add_module(f"b{side}", DownBlock(levels[side], levels[half], network, sees_image=sees_image))
        outputs = 1 if network.classes is None else levels[SMALLEST]
        self.add_module("b4", Epilogue(levels[SMALLEST], outputs, network, sees_image=self.filtered))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x: Tensor | None = None
        for side in self.sides:
            x = self.get_submodule(f"b{side}")(x, images)
            if self.filtered and side > SMALLEST:
                images = smooth(images, padding=1, stride=2)
        assert x is not None, f"{self.sides=}"
        if not hasattr(self, "mapping"):
            return x.squeeze(1)
        condition: Tensor = self.mapping(None, labels)  # (N, C)
        return (x * condition).sum(1) / math.sqrt(condition.shape[1])
