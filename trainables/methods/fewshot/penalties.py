"""The gradient penalty as two papers' code has it: the norm is taken over one axis of the gradient, not over all of the image.

Only the `faithful` forms use it. With the norm over one axis, the gradient of every column or pixel is pulled to 1, and that
of the whole image to the root of how many there are.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from trainables.training.losses import Critic


def penalty_over(axis: int) -> Callable[[Critic, Tensor, Tensor, Tensor], Tensor]:
    """mean((|gradient| - 1)^2) at mix * fake + (1 - mix) * real, the norm over that axis of (N, C, H, W) alone."""

    def penalty(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
        between = torch.lerp(real, fake, mix).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return ((gradient.square().sum(axis) + 1e-12).sqrt() - 1).square().mean()

    return penalty
