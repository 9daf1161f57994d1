import pytest
import torch
from torch import Tensor, nn

from spaces.networks import Resnet
from trainables.networks.families import build_discriminator, build_generator
from trainables.networks.sampling import set_standing_statistics
from trainables.training.anchors import Anchor, fisher


def weights_at(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


@pytest.mark.parametrize("importance", [None, [torch.tensor([1.0, 0.5])]])
def test_the_pull_is_the_derivative_of_the_squared_distance(importance: list[Tensor] | None) -> None:
    weight = weights_at(1.0, 2.0)
    anchor = Anchor([weight], 0.1, importance)
    with torch.no_grad():
        weight += torch.tensor([0.5, -1.0])
    weight.square().sum().backward()
    own = weight.grad.clone()  # type: ignore[union-attr]
    anchor.pull()
    start, each = torch.tensor([1.0, 2.0]), torch.ones(2) if importance is None else importance[0]
    (expected,) = torch.autograd.grad(0.1 / 2 * (each * (weight - start).square()).sum(), weight)
    torch.testing.assert_close(weight.grad, own + expected)


def test_an_anchor_keeps_the_weights_of_its_start() -> None:
    weight = weights_at(1.0)
    anchor = Anchor([weight], 1.0)
    with torch.no_grad():
        weight.fill_(3.0)  # as loading a checkpoint does
    weight.grad = torch.zeros(1)
    anchor.pull()
    assert weight.grad.item() == 2.0


class Linear(nn.Module):
    """Two numbers, the first of which is worth nothing to the critic below."""

    z_dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, z: Tensor) -> Tensor:
        return z * self.scale


class Second(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 3 * x[:, 1]


def test_fisher_information_is_all_with_what_moves_the_critic() -> None:
    generator = Linear()
    (found,) = fisher(generator, Second(), [generator.scale], seed=0)
    torch.testing.assert_close(found, torch.tensor([0.0, 2.0]))  # a mean of 1


def test_fisher_information_of_real_networks_is_repeatable_and_leaves_them_as_they_were() -> None:
    network = Resnet(resolution=32, width=2, z_dim=8)
    generator, critic = build_generator(network, 0), build_discriminator(network, 0)
    set_standing_statistics(generator)
    generator.train()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    weights = list(generator.parameters())
    one, other = (fisher(generator, critic, weights, seed=0) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.cat([each.flatten() for each in one]).mean().item() == pytest.approx(1, rel=1e-5)
    assert generator.training and all(weight.grad is None for weight in weights)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
