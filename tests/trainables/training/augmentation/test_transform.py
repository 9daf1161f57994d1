"""What the critic is shown instead of an image: T is affine, and a penalty on D(T(x)) is differentiated by x."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spaces.networks import Resnet
from trainables.networks.families import build_discriminator
from trainables.training.augmentation import ada, diffaugment
from trainables.training.augmentation.ada import Bgc
from trainables.training.augmentation.diffaugment import DiffAugment
from trainables.training.augmentation.transform import Augmented, Transform
from trainables.training.losses import LOSSES, Critic, r1

N, SIDE = 6, 32


def numbers(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def exactly(numbers: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: each.double() if each.is_floating_point() else each for name, each in numbers.items()}


TRANSFORMS: dict[str, Callable[[], Transform]] = {
    "color": lambda: DiffAugment(exactly(dict(diffaugment.draw(["color"], N, SIDE, numbers())))),
    "translation": lambda: DiffAugment(exactly(dict(diffaugment.draw(["translation"], N, SIDE, numbers())))),
    "all": lambda: DiffAugment(exactly(dict(diffaugment.draw(["color", "translation", "cutout"], N, SIDE, numbers())))),
    "ada": lambda: Bgc(exactly(dict(ada.draw(0.7, N, SIDE, numbers())))),
}
EVERY = pytest.mark.parametrize("name", TRANSFORMS)


def images(seed: int = 1) -> Tensor:
    return torch.randn(N, 3, SIDE, SIDE, generator=numbers(seed), dtype=torch.float64)


@EVERY
def test_a_transform_is_affine_and_its_linear_part_is_that_of_it(name: str) -> None:
    transform, x, u = TRANSFORMS[name](), images(), images(2)
    torch.testing.assert_close(transform(x + 2 * u) - transform(x), 2 * transform.linear(u))
    assert not torch.allclose(transform(x), x)


class Drawn:
    """Gives the transforms of a list, one a call."""

    def __init__(self, *transforms: Transform) -> None:
        self.transforms = list(transforms)

    def __call__(self, images: Tensor) -> Transform:
        return self.transforms.pop(0)


def by_two_backward_passes(
    name: str, critic: Critic, transform: Transform, real: Tensor, fake: Tensor, mix: Tensor
) -> Tensor:
    """The losses' penalties as they are written, on the critic of the image before T."""

    def norms(x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(transform(x)).sum(), x, create_graph=True)
        return gradient.flatten(1).norm(dim=1)

    if name in ("wgan_gp", "hinge"):
        return (norms(torch.lerp(real, fake, mix)) - 1).square().mean()
    own = norms(real).square().mean() / 2
    return own if name == "nonsaturating" else own + norms(fake).square().mean() / 2


@EVERY
@pytest.mark.parametrize("loss", LOSSES)
def test_the_penalty_of_augmented_images_is_that_of_backpropagating_twice(name: str, loss: str) -> None:
    critic = build_discriminator(Resnet(resolution=32, width=2), seed=0).double()
    transform, real, fake = TRANSFORMS[name](), images(), images(3)
    mix = torch.rand(N, 1, 1, 1, generator=numbers(4), dtype=torch.float64)
    weights = [weight for name, weight in critic.named_parameters() if name != "to_logit.bias"]
    ours = LOSSES[loss].penalty(Augmented(critic, Drawn(transform, transform)), real, fake, mix)
    twice = by_two_backward_passes(loss, critic, transform, real, fake, mix)
    torch.testing.assert_close(ours, twice, rtol=1e-6, atol=1e-9)
    grads = [torch.autograd.grad(value, weights, allow_unused=True) for value in (ours, twice)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(*(torch.zeros(1).double() if g is None or not g.any() else g for g in (one, other)))


def test_the_penalty_of_a_linear_critic_has_the_slope_that_the_transform_leaves_of_it() -> None:
    w = torch.randn(3, SIDE, SIDE, generator=numbers(5), dtype=torch.float64)
    ones = torch.ones(N, 1, 1, 1, dtype=torch.float64)
    brighter = DiffAugment({"brightness": 0.3 * ones})  # moves all images alike: no slope changes
    halved = DiffAugment({"saturation": ones, "contrast": 0.5 * ones})
    centred = w - w.mean()

    def critic(x: Tensor) -> Tensor:
        return (x * centred).sum((1, 2, 3))

    slope = centred.square().sum()  # contrast leaves the mean of an image, on which this critic does not depend
    for transform, squared in ((brighter, slope), (halved, slope / 4)):
        found = r1(Augmented(critic, Drawn(transform)), images())
        assert found.item() == pytest.approx(squared.item() / 2, rel=1e-6)
