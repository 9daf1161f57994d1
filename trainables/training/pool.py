"""A pool of generated images: what critics of translations train on beside the newest ones (Shrivastava et al. 2017)."""

import torch
from torch import Tensor, nn

from trainables.training.draws import Draws


class ImagePool(nn.Module):
    """The last translations, or some of them, as state: a module of buffers, so that it goes into checkpoints as networks do."""

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, resolution: int, device: torch.device) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, 3, resolution, resolution, device=device))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def exchange(self, fresh: Tensor, draws: Draws) -> Tensor:
        """For each of `fresh`, (n, 3, R, R), itself, or with probability a half an earlier one, whose place it takes.

        Until the pool is full, each is kept and given back. A pool of size 0 gives back what it gets.
        """
        size = len(self.images)
        if not size:
            return fresh
        chosen, places = draws.uniform(len(fresh)), (draws.uniform(len(fresh)) * size).long()
        given = fresh.clone()
        for row in range(len(fresh)):  # in order: a later one may take the place of an earlier one of the same batch
            place = int(places[row])
            if self.filled < size:
                self.images[int(self.filled)] = fresh[row]
                self.filled += 1
            elif chosen[row] < 0.5:
                given[row] = self.images[place]
                self.images[place] = fresh[row]
        return given
