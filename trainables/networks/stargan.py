"""StarGAN's networks (Choi et al. 2018): one translator into any of several domains, and a critic that tells domains apart.

The translator is CycleGAN's, with a scale and shift of every norm for each domain in the place of the paper's planes of labels:
a norm of each image takes a constant plane's share of the mean away again.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.networks import StarTranslator
from trainables.networks.conditional import ConditionalNorm
from trainables.networks.family import Family
from trainables.networks.translators import initialise as draw_convolutions

HALVINGS = 2
"""Of the side between the image and the translator's innermost layers."""
MAP = 2
"""Pixels along the side of the critic's last maps."""


class NormedConvolution(nn.Module):
    """A convolution and the domain's norm: (N, c, h, w), (N,) -> (N, c', h', w')."""

    def __init__(self, convolution: nn.Module, domains: int, channels: int, padding: int = 0) -> None:
        super().__init__()
        self.pad = nn.ReflectionPad2d(padding)
        self.convolution = convolution
        self.norm = ConditionalNorm(domains, channels, nn.InstanceNorm2d)

    def forward(self, x: Tensor, domains: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.convolution(self.pad(x)), domains)
        return normed


class StarBlock(nn.Module):
    """x + a small change of it, by the domain's norms."""

    def __init__(self, channels: int, domains: int) -> None:
        super().__init__()
        layer = partial(nn.Conv2d, channels, channels, 3, bias=False)
        self.first, self.second = (NormedConvolution(layer(), domains, channels, padding=1) for _ in range(2))

    def forward(self, x: Tensor, domains: Tensor) -> Tensor:
        change: Tensor = self.second(F.relu(self.first(x, domains)), domains)
        return x + change


class StarGenerator(nn.Module):
    """Images (N, 3, R, R) in [-1, 1] and the domains to translate them into, (N,) -> images likewise.

    Without domains all are translated into number 0, the target.
    """

    def __init__(self, network: StarTranslator) -> None:
        super().__init__()
        width, domains = network.width, network.domains
        self.start = NormedConvolution(nn.Conv2d(3, width, 7, bias=False), domains, width, padding=3)
        channels = [width << halving for halving in range(HALVINGS + 1)]
        self.down = nn.ModuleList(
            NormedConvolution(nn.Conv2d(a, b, 4, 2, 1, bias=False), domains, b) for a, b in pairwise(channels)
        )
        self.blocks = nn.ModuleList(StarBlock(channels[-1], domains) for _ in range(network.blocks))
        self.up = nn.ModuleList(
            NormedConvolution(nn.ConvTranspose2d(b, a, 4, 2, 1, bias=False), domains, a)
            for a, b in reversed(list(pairwise(channels)))
        )
        self.end = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7, bias=False), nn.Tanh())

    def forward(self, images: Tensor, domains: Tensor | None = None) -> Tensor:
        if domains is None:
            domains = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        x = F.relu(self.start(images, domains))
        for layer in self.down:
            x = F.relu(layer(x, domains))
        for block in self.blocks:
            x = block(x, domains)
        for layer in self.up:
            x = F.relu(layer(x, domains))
        translated: Tensor = self.end(x)
        return translated


class StarCritic(nn.Module):
    """Images (N, 3, R, R) -> logits (N,), the mean over the places of its last map."""

    def __init__(self, network: StarTranslator) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for halving in range((network.resolution // MAP).bit_length() - 1):
            layers += [nn.Conv2d(channels, network.width << halving, 4, 2, 1), nn.LeakyReLU(0.01)]
            channels = network.width << halving
        self.main = nn.Sequential(*layers)
        self.to_logits = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.to_domains = nn.Conv2d(channels, network.domains, MAP, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.to_logits(self.main(images)).mean((1, 2, 3))
        return logits

    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,) as of a call, and logits of the domains, (N, domains)."""
        maps = self.main(images)
        return self.to_logits(maps).mean((1, 2, 3)), self.to_domains(maps).flatten(1)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """CycleGAN's first weights, N(0, 0.02), and norms that are the same for every domain."""
    draw_convolutions(module, generator)
    for layer in module.modules():
        if isinstance(layer, ConditionalNorm):
            layer.reset_parameters()


STARGAN = Family(
    networks={"generator": StarGenerator, "discriminator": StarCritic},
    initialise=initialise,
)
"""As CycleGAN's family, nothing is grafted from it."""
