"""Translators and critics of patches."""

import pytest
import torch
from torch import nn

from spaces.networks import Translator
from trainables.networks.families import DISCRIMINATOR, FAMILIES, GENERATOR, TRANSLATORS, build_network

SMALL = Translator(width=2, blocks=2)


@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_translator_gives_images_of_the_size_that_it_gets(resolution: int, blocks: int) -> None:
    translator = build_network(GENERATOR, Translator(width=2, blocks=blocks), seed=0)
    images = translator(torch.rand(3, 3, resolution, resolution) * 2 - 1)
    assert images.shape == (3, 3, resolution, resolution)
    assert images.abs().max() <= 1
    inside = sum(isinstance(layer, nn.InstanceNorm2d) for layer in translator.modules())
    assert inside == 1 + 2 + 2 * blocks + 2  # first, halvings, two a block, doublings


@pytest.mark.parametrize(("halvings", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_critic_sees_patches_of_the_size_that_its_depth_says(halvings: int, field: int) -> None:
    critic = build_network(DISCRIMINATOR, Translator(width=1, critic_halvings=halvings), seed=0)
    without_norms = nn.Sequential(*(layer for layer in critic.main if not isinstance(layer, nn.InstanceNorm2d)))
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    logits = without_norms(image)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    seen = image.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(seen.max() - seen.min()) + 1 == field


@pytest.mark.parametrize("name", [GENERATOR, DISCRIMINATOR])
def test_norms_are_of_each_image_alone_in_training_as_in_sampling(name: str) -> None:
    network, images = build_network(name, SMALL, seed=0), torch.rand(4, 3, 32, 32)
    whole = network.train()(images)
    torch.testing.assert_close(network(images[:1]), whole[:1])
    assert torch.equal(network.eval()(images), whole)
    assert not [key for key in network.state_dict() if "running" in key]


@pytest.mark.parametrize("name", [GENERATOR, DISCRIMINATOR])
def test_equal_seeds_give_equal_first_weights_of_deviation_a_fiftieth(name: str) -> None:
    wide = Translator(width=16)
    one, same, other = (build_network(name, wide, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], same[key]) for key in one)
    weights = torch.cat([tensor.flatten() for key, tensor in one.items() if key.endswith("weight")])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.02)
    assert not any(tensor.any() for key, tensor in one.items() if key.endswith("bias"))
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_no_family_is_both_of_noise_and_of_images() -> None:
    assert not FAMILIES.keys() & TRANSLATORS.keys()
