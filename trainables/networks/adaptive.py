"""The GAN that FIGR and DAWSON start from: the WGAN-GP ResNet, with norms of each image alone in the generator too.

Batch norm would need statistics of its own after each adaptation, of batches of few images.
"""

from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.networks import Adaptive, Resnet
from trainables.networks import resnet
from trainables.networks.family import Family
from trainables.networks.resnet import CHANNELS, SMALLEST, Discriminator, UpBlock, channels_of


class AdaptiveGenerator(nn.Module):
    """z (N, z_dim), standard normal -> images (N, 3, R, R) in [-1, 1]; no image depends on the others of its batch."""

    def __init__(self, network: Adaptive) -> None:
        super().__init__()
        channels = channels_of(network)[::-1]
        self.z_dim = network.z_dim
        self.from_z = nn.Linear(network.z_dim, channels[0] * SMALLEST**2)
        self.blocks = nn.ModuleList(UpBlock(a, b, partial(nn.GroupNorm, 1)) for a, b in pairwise(channels))
        self.norm = nn.GroupNorm(1, channels[-1])
        self.to_rgb = nn.Conv2d(channels[-1], CHANNELS, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.from_z(z).unflatten(1, (-1, SMALLEST, SMALLEST))  # (N, c, 4, 4)
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.to_rgb(F.relu(self.norm(x))))


def _critic(network: Adaptive) -> Discriminator:
    return Discriminator(Resnet(resolution=network.resolution, width=network.width))


ADAPTIVE = Family(
    networks={"generator": AdaptiveGenerator, "discriminator": _critic},
    initialise=resnet.initialise,
)
"""Nothing is grafted from it, and no file of others is read as one."""
