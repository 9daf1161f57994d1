"""Generative matching networks: the bound, and what is remembered."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spaces.config import TrialConfig
from spaces.networks import Memory
from trainables.methods.registry import method_of
from trainables.networks.families import build_network
from trainables.networks.memory import MemoryVae, divergence
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group

CPU = torch.device("cpu")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vae(hops: int = 1) -> MemoryVae:
    network = build_network("generator", Memory(resolution=32, width=2, z_dim=4, hops=hops), 0)
    assert isinstance(network, MemoryVae)
    return network


def test_the_divergence_is_that_of_gaussians() -> None:
    one = normal(3, 5), normal(3, 5, seed=1).exp()
    other = normal(3, 5, seed=2), normal(3, 5, seed=3).exp()
    expected = torch.distributions.kl_divergence(torch.distributions.Normal(*one), torch.distributions.Normal(*other))
    torch.testing.assert_close(divergence(one, other), expected.sum(1))
    assert divergence(one, one).abs().max() < 1e-5


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_an_image_is_told_by_those_before_it_alone_and_the_first_by_the_dummy(hops: int) -> None:
    network, images, noise = vae(hops), normal(2, 3, 3, 32, 32).clamp(-1, 1), normal(2, 3, 4)
    other = images.clone()
    other[:, 1] *= -1
    with torch.no_grad():
        one, two = network(images, noise), network(other, noise)
    assert one.shape == (2, 3)
    torch.testing.assert_close(one[:, 0], two[:, 0])
    assert not torch.allclose(one[:, 1], two[:, 1])
    assert not torch.equal(one[:, 2], two[:, 2])


def test_training_raises_the_bound(fewshot: Callable[..., TrialConfig], home: Home) -> None:
    config = fewshot("gmn", width=2, z_dim=4, training={"batch": 4, "lr": 5e-3})
    learner = method_of("gmn").build(config, gather(config, home), CPU, Group())
    batches = method_of("gmn").batches(config, gather(config, home), 0, CPU)
    losses = [learner.step(next(batches)) for _ in range(12)]
    assert losses[0].keys() == {"loss_bound", "bound_first", "bound_last"}
    assert losses[-1]["loss_bound"] < 0.95 * losses[0]["loss_bound"]
