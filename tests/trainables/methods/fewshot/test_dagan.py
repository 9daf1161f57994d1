"""DAGAN, and what its code has tripped others over."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spaces.config import TrialConfig
from spaces.methods.dagan import DaganConfig
from spaces.networks import Fusion
from trainables.methods.fewshot.dagan import HEIGHT, Beside
from trainables.methods.fewshot.penalties import penalty_over
from trainables.methods.registry import method_of
from trainables.networks.families import build_network
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.losses import gradient_penalty
from trainables.training.parallel import Group

CPU = torch.device("cpu")


class Linear(nn.Module):
    """A critic of a known slope in all numbers of an image: 0.5 in each of (3, 4, 4)."""

    def forward(self, images: Tensor) -> Tensor:
        return 0.5 * images.sum((1, 2, 3))


def test_the_penaltys_norm_is_over_the_whole_image_and_the_codes_over_one_axis() -> None:
    real, fake, mix = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4), torch.full((2, 1, 1, 1), 0.3)
    assert float(gradient_penalty(Linear(), real, fake, mix)) == pytest.approx((0.5 * 48**0.5 - 1) ** 2)
    assert float(penalty_over(HEIGHT)(Linear(), real, fake, mix)) == pytest.approx((0.5 * 4**0.5 - 1) ** 2, abs=1e-6)


def test_the_penalty_asks_for_the_gradient_in_the_image_and_not_in_what_is_beside_it() -> None:
    critic = build_network("discriminator", Fusion(resolution=32, width=2), 0)
    real, fake, others = torch.randn(3, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    beside, mix = Beside(critic, others), torch.full((2, 1, 1, 1), 0.3)
    expected = gradient_penalty(lambda images: beside(images), real, fake, mix)  # PyTorch's own double backward
    found = gradient_penalty(beside, real, fake, mix)
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    slopes = [torch.autograd.grad(each, critic.from_rgb.weight)[0] for each in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-5)


def test_one_image_gives_other_images_by_other_noise_and_one_without(
    fewshot: Callable[..., TrialConfig], home: Home
) -> None:
    def images(z_dim: int) -> Tensor:
        config = fewshot("dagan", width=2, z_dim=z_dim, data={"shots": 1})
        assert isinstance(config, DaganConfig)
        samples = method_of("dagan").build(config, gather(config, home), CPU, Group()).sample(8, 0)
        assert samples.labels is not None and samples.labels.tolist() == [0, 1] * 4
        return samples.images[::2]  # all of class 0

    assert len(images(4).unique(dim=0)) == 4
    assert len(images(0).unique(dim=0)) == 1
