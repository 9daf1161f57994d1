"""A variational autoencoder that remembers the images of a set seen so far (Bartunov and Vetrov, AISTATS 2018)."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.networks import Memory
from trainables.networks.family import Family

SMALLEST = 4
STATE = 200
"""Numbers in a reader's state, and in a key."""


class Reader(nn.Module):
    """Reads a memory by attention, hop by hop: features (N, M, f), keys (N, M, s), what is asked with (N, e) -> (N, f + s).

    Attention is the softmax of the plain dot product, times a learnt strength in (0, 10].
    """

    def __init__(self, features: int, asked: int, hops: int) -> None:
        super().__init__()
        self.hops = hops
        self.query = nn.Linear(STATE + asked, STATE)
        self.cell = nn.GRUCell(features, STATE)
        self.start, self.strength = nn.Parameter(torch.zeros(STATE)), nn.Parameter(torch.ones(()))

    def forward(self, features: Tensor, keys: Tensor, asked: Tensor) -> Tensor:
        state, read = self.start.expand(len(features), -1), features.mean(1)
        for _ in range(self.hops):
            query = self.query(torch.cat([state, asked], 1))
            likeness = torch.einsum("nms,ns->nm", keys, query) * self.strength.clamp(1e-3, 10)
            read = torch.einsum("nm,nmf->nf", likeness.softmax(1), features)
            state = self.cell(read, state)
        return torch.cat([read, state], 1)


class Gaussian(nn.Module):
    """What is known (N, i) -> mean and standard deviation of z, (N, z_dim) each."""

    def __init__(self, known: int, z_dim: int) -> None:
        super().__init__()
        self.hidden, self.rectifier = nn.Linear(known, STATE), nn.PReLU()
        self.both = nn.Linear(STATE, 2 * z_dim)

    def forward(self, known: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = self.both(self.rectifier(self.hidden(known))).chunk(2, 1)
        return mean, F.softplus(spread) + 1e-4


class MemoryVae(nn.Module):
    """Sets of images (N, T, 3, R, R) in [-1, 1], each told by those before it and by one learnt dummy in their place."""

    def __init__(self, network: Memory) -> None:
        super().__init__()
        self.z_dim = network.z_dim
        halvings = int(math.log2(network.resolution // SMALLEST))
        channels = [3, network.width] + [2 * network.width] * (halvings - 1)
        self.inner, size = (channels[-1], SMALLEST, SMALLEST), channels[-1] * SMALLEST**2
        down = [[nn.Conv2d(a, b, 4, 2, 1), nn.PReLU()] for a, b in pairwise(channels)]
        self.encoder = nn.Sequential(*(layer for part in down for layer in part), nn.Flatten())
        up = [
            [nn.Upsample(scale_factor=2.0), nn.Conv2d(b, a, 3, 1, 1), nn.PReLU()]
            for a, b in list(pairwise([network.width, *channels[1:]]))[::-1]
        ]
        self.decoder = nn.Sequential(*(layer for part in up for layer in part), nn.Conv2d(network.width, 3, 3, 1, 1))
        self.dummy = nn.Parameter(torch.zeros(size))
        self.key, self.rectifier = nn.Linear(size, STATE), nn.PReLU()
        read = size + STATE
        self.before, self.seeing, self.telling = (
            Reader(size, asked, network.hops) for asked in (0, size, network.z_dim)
        )
        self.prior, self.posterior = Gaussian(read, network.z_dim), Gaussian(read + size, network.z_dim)
        self.from_z = nn.Linear(read + network.z_dim, size)

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """A bound on the negative log-likelihood of each image given those before it, (N, T), in nats; noise (N, T, z_dim).

        An image's numbers are taken for probabilities of Bernoulli's distribution, brighter for likelier.
        """
        n, count = images.shape[:2]
        encoded = self.encoder(images.flatten(0, 1)).unflatten(0, (n, count))
        bounds = []
        for place in range(count):
            features, keys = self._memory(encoded[:, :place])
            prior = self.prior(self.before(features, keys, features[:, 0, :0]))
            own = encoded[:, place]
            posterior = self.posterior(torch.cat([self.seeing(features, keys, own), own], 1))
            z = posterior[0] + posterior[1] * noise[:, place]
            logits, wanted = self._decoded(features, keys, z), (images[:, place] + 1) / 2
            unlike = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum((1, 2, 3))
            bounds.append(unlike + divergence(posterior, prior))
        return torch.stack(bounds, 1)

    def more(self, shots: Tensor, noise: Tensor) -> Tensor:
        """Images of the class of shots (N, K, 3, R, R), by noise (N, z_dim): (N, 3, R, R) in [-1, 1]."""
        encoded = self.encoder(shots.flatten(0, 1)).unflatten(0, shots.shape[:2])
        features, keys = self._memory(encoded)
        mean, spread = self.prior(self.before(features, keys, features[:, 0, :0]))
        return 2 * self._decoded(features, keys, mean + spread * noise).sigmoid() - 1

    def _memory(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Features and keys of what was seen, (N, M, ...), the dummy first."""
        features = torch.cat([self.dummy.expand(len(encoded), 1, -1), encoded], 1)
        return features, self.rectifier(self.key(features))

    def _decoded(self, features: Tensor, keys: Tensor, z: Tensor) -> Tensor:
        known = torch.cat([self.telling(features, keys, z), z], 1)
        logits: Tensor = self.decoder(self.from_z(known).unflatten(1, self.inner))
        return logits


def divergence(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> Tensor:
    """KL(one | other) of Gaussians by means and standard deviations (N, z_dim): (N,), in nats."""
    (mean, spread), (there, around) = one, other
    return ((around / spread).log() + (spread**2 + (mean - there) ** 2) / (2 * around**2) - 0.5).sum(1)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Glorot's uniform weights and biases 0; the recurrent cells' by the root of their state, as PyTorch's."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            assert layer.bias is not None, "every layer has a bias"
            layer.bias.zero_()
        elif isinstance(layer, nn.GRUCell):
            for weight in layer.parameters():
                weight.uniform_(-(STATE**-0.5), STATE**-0.5, generator=generator)
        elif isinstance(layer, nn.PReLU):
            layer.weight.fill_(0.25)
        elif isinstance(layer, Reader):
            layer.start.zero_()
            layer.strength.fill_(1)
        elif isinstance(layer, MemoryVae):
            layer.dummy.normal_(std=0.1, generator=generator)


def _no_stages(critic: nn.Module) -> Sequence[Sequence[nn.Module]]:
    return []


def _no_fields(state: Mapping[str, Tensor]) -> Mapping[str, int]:
    return {}


MEMORY = Family(networks={"generator": MemoryVae}, initialise=initialise, stages=_no_stages, fields=_no_fields)
"""Nothing is grafted from it, and no file of others is read as one."""
