"""FUNIT's networks (Liu et al. 2019): a content image takes on the class of K others; a critic with a map for each seen class.

The sizes are those of METHODS 1.7, smaller than the paper's of 128 pixels.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.networks import Funit
from trainables.networks.family import Family
from trainables.networks.translators import ResidualBlock, normed

LATENT_WIDTH = 4
"""Numbers in the hidden layers between a class's code and the norms, for each of the code's."""


def halvings_of(resolution: int) -> int:
    """Of the side of the content: 2 at 32 pixels, 3 above. The class's encoder has one more."""
    return 2 if resolution == 32 else 3


def adapted(x: Tensor, style: Tensor) -> Tensor:
    """AdaIN: each image's norm with scale and shift by its style, (n, c, h, w), (n, 2 c) -> (n, c, h, w); no 1 is added."""
    scale, shift = style[:, :, None, None].chunk(2, 1)
    return scale * F.instance_norm(x) + shift


class AdaptedBlock(nn.Module):
    """x + a small change of it, by norms that the class's code has given scale and shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(1)
        self.first, self.second = (nn.Conv2d(channels, channels, 3) for _ in range(2))

    def forward(self, x: Tensor, styles: Sequence[Tensor]) -> Tensor:
        change = F.relu(adapted(self.first(self.pad(x)), styles[0]))
        return x + adapted(self.second(self.pad(change)), styles[1])


class FunitGenerator(nn.Module):
    """Content images (N, 3, R, R) and K images of a class for each, (N, K, 3, R, R) -> images; all in [-1, 1], K free."""

    def __init__(self, network: Funit) -> None:
        super().__init__()
        width, halvings = network.width, halvings_of(network.resolution)
        channels = [width << halving for halving in range(halvings + 1)]
        layers = normed(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), channels=width)
        for before, after in pairwise(channels):
            layers += normed(nn.ReflectionPad2d(1), nn.Conv2d(before, after, 4, 2), channels=after)
        self.content = nn.Sequential(*layers, *(ResidualBlock(channels[-1]) for _ in range(2)))
        self.class_encoder = _class_encoder(network, halvings + 1)
        self.blocks = nn.ModuleList(AdaptedBlock(channels[-1]) for _ in range(2))
        hidden, styles = LATENT_WIDTH * network.latent, 2 * 2 * 2 * channels[-1]
        self.styles = nn.Sequential(
            nn.Linear(network.latent, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, styles),
        )
        up: list[nn.Module] = []
        for before, after in pairwise(channels[::-1]):
            up += [
                nn.Upsample(scale_factor=2),
                *normed(nn.ReflectionPad2d(2), nn.Conv2d(before, after, 5), channels=after),
            ]
        self.up = nn.Sequential(*up, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, content: Tensor, shots: Tensor) -> Tensor:
        x, codes = self.content(content), self.codes(shots)
        styles = self.styles(codes).chunk(2 * len(self.blocks), 1)
        for number, block in enumerate(self.blocks):
            x = block(x, styles[2 * number : 2 * number + 2])
        made: Tensor = self.up(x)
        return made

    def codes(self, shots: Tensor) -> Tensor:
        """A class's code: the mean of its K images' codes, (N, K, 3, R, R) -> (N, latent)."""
        each = self.class_encoder(shots.flatten(0, 1)).mean((2, 3))
        codes: Tensor = each.unflatten(0, shots.shape[:2]).mean(1)
        return codes


def _class_encoder(network: Funit, halvings: int) -> nn.Sequential:
    """Images (N, 3, R, R) -> codes (N, latent, h, w), whose mean over places is the code; no norm, as they carry the class."""
    width = network.width
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.ReLU()]
    for _ in range(halvings):
        after = min(2 * width, 4 * network.width)
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(width, after, 4, 2), nn.ReLU()]
        width = after
    return nn.Sequential(*layers, nn.Conv2d(width, network.latent, 1))


class PlainBlock(nn.Module):
    """x + a change of it, without norms, and the activation before each convolution: (N, a, h, w) -> (N, b, h, w)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, before, 3, padding=1)
        self.second = nn.Conv2d(before, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1, bias=False) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))
        kept: Tensor = self.shortcut(x)
        return kept + change


class FunitCritic(nn.Module):
    """Images (N, 3, R, R) and numbers of seen classes (N,) -> a logit for each patch by the class's own map, (N, h, w)."""

    def __init__(self, network: Funit) -> None:
        super().__init__()
        width = network.width
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7)]
        for _ in range(halvings_of(network.resolution)):
            after = min(2 * width, 16 * network.width)
            pool = [nn.ReflectionPad2d(1), nn.AvgPool2d(3, 2)]
            layers += [PlainBlock(width, width), PlainBlock(width, after), *pool]
            width = after
        self.main = nn.Sequential(*layers, PlainBlock(width, width), PlainBlock(width, width))
        self.maps = nn.Conv2d(width, network.seen, 1)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        logits, _ = self.judge(images, classes)
        return logits

    def judge(self, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """The logits as of a call, and features of the images, (N, c): the means of the last maps before them."""
        features: Tensor = self.main(images)
        maps: Tensor = self.maps(F.leaky_relu(features, 0.2))
        return maps[torch.arange(len(images), device=images.device), classes], features.mean((2, 3))


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Kaiming's first weights, biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


FUNIT = Family(
    networks={"generator": FunitGenerator, "discriminator": FunitCritic},
    initialise=initialise,
)
"""Nothing is grafted from it, and no file of others is read as one."""
