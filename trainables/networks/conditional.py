"""What a generator needs to be asked for a class: a norm with a scale and shift a class, and drawing labels."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ConditionalNorm(nn.Module):
    """A norm over all classes together, then each image's own class's scale and shift: (N, C, r, r), (N,) -> (N, C, r, r).

    The norm is a batch's, unless it is told to be another that takes `affine`. Tables start at 1 and 0. Source:
    tflib/ops/cond_batchnorm.py of the reference code, after Dumoulin et al. 2017.
    """

    def __init__(self, classes: int, channels: int, norm: Callable[..., nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm(channels, affine=False)
        self.weight = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Make it the plain norm for every class."""
        self.weight.fill_(1)
        self.bias.zero_()

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        normed = self.norm(x)
        scale, shift = (table[labels].to(normed.dtype)[:, :, None, None] for table in (self.weight, self.bias))
        return torch.addcmul(shift, normed, scale)


def normed(norm: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """What a norm, conditional or not, makes of x (N, C, r, r)."""
    y: Tensor = norm(x, labels) if isinstance(norm, ConditionalNorm) else norm(x)
    return y


def labels_by(prior: Tensor, uniform: Tensor) -> Tensor:
    """Labels, int64 (n,), that follow `prior` (classes,), of uniform numbers in [0, 1), (n,); never one of prior 0."""
    edges = prior.double().cumsum(0)
    return torch.searchsorted(edges / edges[-1], uniform.double(), right=True)
