"""The random numbers of one iteration, on the CPU, so that every device and every worker sees the same."""

import numpy as np
import torch
from torch import Tensor

from trainables.machine.randomness import random_numbers


class Draws:
    """Numbers drawn from (seed, iteration) in the order asked, for the whole batch: a resumed run needs no generator state."""

    def __init__(self, seed: int, iteration: int, purpose: str = "training") -> None:
        self._random = random_numbers(purpose, seed, iteration)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, float32."""
        return torch.randn(*shape, generator=self._random)

    def uniform(self, *shape: int) -> Tensor:
        """Numbers in [0, 1), float32."""
        return torch.rand(*shape, generator=self._random)

    def simplex(self, n: int, k: int, concentration: float = 1.0) -> Tensor:
        """Numbers of Dirichlet's distribution, float32 (n, k): each row is 0 or more and sums to 1, uniformly at 1."""
        seed = int(torch.randint(2**62, (), generator=self._random))
        return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(k, concentration), n)).float()

    def mirrored(self, images: Tensor) -> Tensor:
        """`images`, (n, 3, R, R) on any device, changed in place: each is mirrored with probability a half."""
        chosen = (self.uniform(len(images)) < 0.5).to(images.device)
        images[chosen] = images[chosen].flip(-1)
        return images
