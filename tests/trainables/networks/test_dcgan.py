"""The plain DCGAN beside the networks of PyTorch's tutorial, written out as they are there."""

import pytest
import torch
from torch import Tensor, nn

from spaces.networks import Dcgan
from trainables.networks.dcgan import DcganDiscriminator, DcganGenerator
from trainables.networks.families import build_discriminator, build_generator

NZ, NGF, NDF, NC = 100, 8, 8, 3
NETWORK = Dcgan(resolution=64, width=8)


class Tutorial(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.main(x)
        return found


@pytest.fixture
def generator() -> Tutorial:
    return Tutorial(
        nn.ConvTranspose2d(NZ, NGF * 8, 4, 1, 0, bias=False),
        nn.BatchNorm2d(NGF * 8),
        nn.ReLU(True),
        nn.ConvTranspose2d(NGF * 8, NGF * 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(NGF * 4),
        nn.ReLU(True),
        nn.ConvTranspose2d(NGF * 4, NGF * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(NGF * 2),
        nn.ReLU(True),
        nn.ConvTranspose2d(NGF * 2, NGF, 4, 2, 1, bias=False),
        nn.BatchNorm2d(NGF),
        nn.ReLU(True),
        nn.ConvTranspose2d(NGF, NC, 4, 2, 1, bias=False),
        nn.Tanh(),
    )


@pytest.fixture
def critic() -> Tutorial:
    return Tutorial(
        nn.Conv2d(NC, NDF, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(NDF, NDF * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(NDF * 2),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(NDF * 2, NDF * 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(NDF * 4),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(NDF * 4, NDF * 8, 4, 2, 1, bias=False),
        nn.BatchNorm2d(NDF * 8),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(NDF * 8, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )


@pytest.mark.parametrize("training", [True, False])
def test_the_tutorials_generator_gives_the_same_images(generator: Tutorial, training: bool) -> None:
    ours = DcganGenerator(NETWORK)
    ours.load_state_dict(generator.state_dict())
    z = torch.randn(4, NZ)
    torch.testing.assert_close(ours.train(training)(z), generator.train(training)(z[:, :, None, None]))


@pytest.mark.parametrize("training", [True, False])
def test_the_tutorials_critic_gives_the_same_but_for_the_sigmoid(critic: Tutorial, training: bool) -> None:
    ours = DcganDiscriminator(NETWORK)
    ours.load_state_dict(critic.state_dict())
    images = torch.rand(4, 3, 64, 64)
    expected = critic.train(training)(images).view(-1)
    torch.testing.assert_close(torch.sigmoid(ours.train(training)(images)), expected)


def test_weights_start_as_in_the_paper() -> None:
    for module in (build_generator(NETWORK, seed=0), build_discriminator(NETWORK, seed=0)):
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
            elif isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.03)
                assert not layer.bias.any()
                assert torch.equal(layer.running_mean, torch.zeros_like(layer.bias))


def test_each_doubling_of_the_resolution_adds_a_layer() -> None:
    networks = [Dcgan(resolution=resolution, width=1) for resolution in (32, 64, 128)]
    layers = (nn.Conv2d, nn.ConvTranspose2d)
    for build in (build_generator, build_discriminator):
        counts = [sum(isinstance(layer, layers) for layer in build(network, 0).main) for network in networks]
        assert counts == [4, 5, 6]
