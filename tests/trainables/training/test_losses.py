import math
from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spaces.methods.finetune import Loss
from spaces.networks import Resnet
from trainables.networks.families import build_discriminator
from trainables.training.losses import LOSSES, gradient_penalty, r1

REAL, FAKE = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])


def softplus(x):
    return math.log1p(math.exp(x))


class Critic:
    """Any function of images as a critic, its derivative by backpropagation through a backward pass."""

    def __init__(self, function):
        self.function = function

    def __call__(self, images):
        return self.function(images)

    def input_gradient(self, images):
        images = images.detach().requires_grad_()
        (gradients,) = torch.autograd.grad(self.function(images).sum(), images, create_graph=True)
        return gradients.detach(), lambda directions: (gradients * directions).sum()


def linear_critic(norm):
    """A critic whose gradient has this norm everywhere."""
    w = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    return Critic(lambda images: (images * (norm * w / w.norm())).sum((1, 2, 3)))


def images(n=5, size=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    real, fake = (torch.randn(n, 3, size, size, generator=generator, dtype=dtype) for _ in range(2))
    return real, fake, torch.rand(n, 1, 1, 1, generator=generator, dtype=dtype)


def test_registry_holds_the_losses_that_a_config_can_name():
    assert set(LOSSES) == set(get_args(Loss.model_fields["name"].annotation))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("wgan_gp", -1.25 - 0.5, 1.25),
        ("hinge", (0 + 2) / 2 + (1.5 + 0) / 2, 1.25),
        (
            "nonsaturating",
            (softplus(-2) + softplus(1) + softplus(0.5) + softplus(-3)) / 2,
            (softplus(-0.5) + softplus(3)) / 2,
        ),
        ("relativistic", (softplus(-1.5) + softplus(-2)) / 2, (softplus(-0.5) + softplus(3)) / 2),
    ],
)
def test_values_are_those_by_hand(name, discriminator, generator):
    assert LOSSES[name].discriminator(REAL, FAKE).item() == pytest.approx(discriminator)
    assert LOSSES[name].generator(FAKE).item() == pytest.approx(generator)


def test_only_the_relativistic_generator_is_judged_beside_real_images():
    assert [name for name, loss in LOSSES.items() if loss.paired] == ["relativistic"]


@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_penalties_of_a_linear_critic_are_functions_of_its_norm(norm):
    real, fake, mix = images()
    assert gradient_penalty(linear_critic(norm), real, fake, mix).item() == pytest.approx((norm - 1) ** 2, abs=1e-6)
    assert r1(linear_critic(norm), real).item() == pytest.approx(norm**2 / 2)


@pytest.mark.parametrize("mix", [0.0, 0.25, 1.0])
def test_gradient_penalty_looks_between_real_and_fake(mix):
    seen = []
    real, fake, _ = images()

    def critic(x):
        seen.append(x)
        return x.square().sum((1, 2, 3))

    penalty = gradient_penalty(Critic(critic), real, fake, torch.full((5, 1, 1, 1), mix))
    between = (1 - mix) * real + mix * fake
    torch.testing.assert_close(seen[0], between)
    torch.testing.assert_close(penalty, (2 * between.flatten(1).norm(dim=1) - 1).square().mean())


def test_hinge_and_wgan_gp_penalise_interpolates_nonsaturating_real_images_and_relativistic_all_images():
    real, fake, mix = images()
    penalties = {name: loss.penalty(linear_critic(3.0), real, fake, mix).item() for name, loss in LOSSES.items()}
    assert penalties == pytest.approx({"wgan_gp": 4, "hinge": 4, "nonsaturating": 4.5, "relativistic": 9})


@pytest.mark.parametrize("name", LOSSES)
def test_penalty_derivatives_in_the_weights_match_finite_differences(name):
    real, fake, mix = images(n=2, size=4, dtype=torch.float64)
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def penalty(weight):
        def critic(x):
            return F.softplus(F.group_norm(F.conv2d(x, weight), 1)).square().sum((1, 2, 3))

        return LOSSES[name].penalty(Critic(critic), real, fake, mix)

    assert torch.autograd.gradcheck(penalty, weight.requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_finite_gradients_on_its_critic_under_bfloat16(name):
    critic = build_discriminator(Resnet(resolution=32, width=2), seed=0)
    real, fake, mix = images(n=3, size=32)
    loss = LOSSES[name]
    with torch.autocast("cpu", torch.bfloat16):
        penalty = loss.penalty(critic, real, fake, mix)
        total = loss.discriminator(critic(real), critic(fake)) + penalty + loss.generator(critic(fake))
    total.backward()
    assert penalty.dtype == torch.float32
    assert all(p.grad.isfinite().all() for p in critic.parameters())
    assert any(p.grad.any() for p in critic.parameters())


def test_penalty_under_bfloat16_is_near_that_in_float32():
    critic, batch = build_discriminator(Resnet(resolution=32, width=2), seed=0), images(n=8, size=32)
    exact = gradient_penalty(critic, *batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert gradient_penalty(critic, *batch).item() == pytest.approx(exact.item(), rel=0.05)


def test_a_zero_gradient_is_penalised_with_a_finite_derivative():
    flat = nn.Conv2d(3, 1, 4)
    nn.init.zeros_(flat.weight)
    penalty = gradient_penalty(Critic(lambda x: flat(x).flatten()), *images())
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5)
    assert flat.weight.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_penalties_leave_the_images_alone(name):
    real, fake, mix = images()
    LOSSES[name].penalty(linear_critic(2.0), real, fake, mix)
    assert not real.requires_grad
    assert not fake.requires_grad
