"""GAN losses, each with the penalty on the critic's gradient that belongs to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Critic = Callable[[Tensor], Tensor]
"""Images (N, 3, R, R) -> logits (N,). One that has an `input_gradient` is asked for its derivative by that."""

Along = Callable[[Tensor], Tensor]
"""Directions u, (N, 3, R, R) -> the scalar sum(u . gradient), differentiable in the critic's weights with u held fixed."""


@dataclass(frozen=True)
class GanLoss:
    """A pair of pure functions of logits, each giving a scalar to minimise, and a penalty.

    The critic minimises discriminator(real_logits, fake_logits) + weight * penalty(critic, real, fake, mix), the
    generator generator(fake_logits). Logits are (N,), real and fake (N, 3, R, R), mix (N, 1, 1, 1) uniform in [0, 1];
    a penalty uses what it needs of them.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    penalty: Callable[[Critic, Tensor, Tensor, Tensor], Tensor]
    paired: bool = False
    """Whether `generator` takes by how much each generated image's logit is above that of a real image, one to one."""


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """mean((|gradient| - 1)^2) at mix * fake + (1 - mix) * real: a float32 scalar (Gulrajani et al. 2017)."""
    # The square root's derivative is infinite at 0; 1e-12 is lost in float32 beside a norm near 1.
    return _penalise(
        critic, torch.lerp(real, fake, mix), lambda squared: ((squared + 1e-12).sqrt() - 1).square().mean()
    )


def r1(critic: Critic, real: Tensor) -> Tensor:
    """mean(|gradient|^2) / 2 at real images: a float32 scalar, to be weighted by gamma (Mescheder et al. 2018)."""
    return _penalise(critic, real, lambda squared: squared.mean() / 2)


def input_gradient(critic: Critic, images: Tensor) -> tuple[Tensor, Along]:
    """d logits / d images, (N, 3, R, R), without a graph, and what it does along directions.

    A critic's own `input_gradient` is taken where it has one, as it is faster; else PyTorch differentiates twice.
    """
    own = getattr(critic, "input_gradient", None)
    if own is not None:
        gradient, along = own(images)
        return gradient, along
    images = images.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(critic(images).sum(dtype=images.dtype), images, create_graph=True)
    return gradient.detach(), lambda directions: (directions * gradient).sum()


def _penalise(critic: Critic, images: Tensor, penalty: Callable[[Tensor], Tensor]) -> Tensor:
    """`penalty`, a scalar, of |d critic / d image|^2 (N,), in the images' precision whatever autocast does to the critic.

    With the gradient g and u = d penalty / d g, the penalty's derivative in the weights is that of sum(u . g), u held fixed.
    """
    gradients, along = input_gradient(critic, images)
    with torch.enable_grad():
        squared = gradients.square().sum((1, 2, 3)).requires_grad_()
        value = penalty(squared)
        (slope,) = torch.autograd.grad(value, squared)
    changes = along(2 * slope.view(-1, 1, 1, 1) * gradients)
    return value.detach() + changes - changes.detach()


def _wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return fake_logits.mean() - real_logits.mean()


def _nonsaturating_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def _hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def _raise_logits(fake_logits: Tensor) -> Tensor:
    return -fake_logits.mean()


def _nonsaturating_generator(fake_logits: Tensor) -> Tensor:
    return F.softplus(-fake_logits).mean()


def _relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return F.softplus(fake_logits - real_logits).mean()


def _r1_and_r2(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    return r1(critic, real) + r1(critic, fake)


def _r1_on_real(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    return r1(critic, real)


LOSSES: Mapping[str, GanLoss] = {
    "wgan_gp": GanLoss(_wasserstein_discriminator, _raise_logits, gradient_penalty),
    "nonsaturating": GanLoss(_nonsaturating_discriminator, _nonsaturating_generator, _r1_on_real),
    "hinge": GanLoss(_hinge_discriminator, _raise_logits, gradient_penalty),
    "relativistic": GanLoss(_relativistic_discriminator, _nonsaturating_generator, _r1_and_r2, paired=True),
}
