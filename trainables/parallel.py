"""The workers that train one trial together; one, unless torch.distributed is up."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Group:
    """This process's place among the workers of a trial."""

    rank: int = 0
    size: int = 1

    @classmethod
    def current(cls) -> "Group":
        """The torch.distributed default group, or one worker where there is none."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    def share(self, batch: Tensor) -> Tensor:
        """This worker's part of a batch, every size-th row: (N, ...) -> (N / size, ...)."""
        return batch[self.rank :: self.size]

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the workers, in one all-reduce of them all."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))
