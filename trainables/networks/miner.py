"""A miner steers z before a generator, and a mined generator is one or several generators, each behind its miner."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.machine.randomness import random_numbers
from trainables.networks.truncation import pulls_w


class Miner(nn.Module):
    """z (N, z_dim) -> z (N, z_dim): z + FC(relu(FC(z))), the identity at its start (Wang et al., CVPR 2020).

    A miner at random would start off the source's images. Its generator is chosen with a probability that is the softmax
    of all miners' `preference`.
    """

    def __init__(self, z_dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(z_dim, z_dim)
        self.second = nn.Linear(z_dim, z_dim)
        self.preference = nn.Parameter(torch.zeros(()))

    @torch.no_grad()
    def initialise(self, seed: int) -> "Miner":
        """Give it its first weights, equal for equal seeds; gives itself."""
        bound = (3 / self.first.in_features) ** 0.5
        self.first.weight.uniform_(-bound, bound, generator=random_numbers("weights of a miner", seed))
        for zero in (self.first.bias, self.second.weight, self.second.bias, self.preference):
            zero.zero_()
        return self

    def forward(self, z: Tensor) -> Tensor:
        steered: Tensor = z + self.second(F.relu(self.first(z)))
        return steered


class MinedGenerator(nn.Module):
    """Generators behind their miners: z (N, z_dim) -> images (N, 3, R, R), truncated or not.

    Of several, z has one number more than theirs, in its last place; the share of a normal distribution below it chooses the
    generator, by the learnt probabilities. Each generator is given all z, so that the statistics of batch norm are of all.
    """

    def __init__(self, miners: Sequence[Miner], generators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.miners, self.generators = nn.ModuleList(miners), nn.ModuleList(generators)
        self._noise: int = miners[0].first.in_features
        self.z_dim = self._noise + (len(miners) > 1)
        self._all = False

    @property
    def probabilities(self) -> Tensor:
        """How often each generator is chosen, (k,)."""
        return torch.stack([miner.get_parameter("preference") for miner in self.miners]).softmax(0)

    @contextmanager
    def giving_all(self) -> Iterator[None]:
        """Inside the block it gives the images of every generator, (k N, 3, R, R), one generator's behind another's."""
        self._all = True
        try:
            yield
        finally:
            self._all = False

    def forward(self, z: Tensor, truncation: float | Tensor = 1.0) -> Tensor:
        noise, further = z[:, : self._noise], {}
        if pulls_w(self.generators[0]):
            further["truncation"] = truncation
        else:
            noise = noise * truncation
        pairs = zip(self.miners, self.generators, strict=True)
        images: list[Tensor] = [generator(miner(noise), **further) for miner, generator in pairs]
        if len(images) == 1:
            return images[0]
        if self._all:
            return torch.cat(images)
        below = torch.special.ndtr(z[:, -1])
        bounds = self.probabilities.detach().cumsum(0)[:-1].to(z.dtype)
        chosen = torch.bucketize(below, bounds)  # (N,)
        return torch.stack(images)[chosen, torch.arange(z.shape[0], device=z.device)]
