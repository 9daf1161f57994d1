"""CDC: the distance loss, the patch critic, and the anchors."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.cdc import CdcConfig
from trainables.images.batches import Batch
from trainables.methods.finetuning.cdc import Cdc, PatchCritic, block_features, build, divergence
from trainables.running.given import gather
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.losses import r1
from trainables.training.parallel import Group

CPU = torch.device("cpu")
Make = Callable[..., CdcConfig]


@pytest.fixture
def config(from_seed_7: Callable[..., CdcConfig]) -> Make:
    return partial(from_seed_7, CdcConfig, data={"target_images": 10})


def learner_of(config: CdcConfig, home: Home) -> Cdc:
    return build(config, gather(config, home), CPU, Group())


def images(seed: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=random))


def features(seed: int, n: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=random) for d in (3, 7)]


def kl(source: Tensor, target: Tensor, i: int) -> Tensor:
    """KL of one image's similarities to the others, spelled out."""
    others = [j for j in range(len(source)) if j != i]
    p, q = (torch.stack([F.cosine_similarity(f[i], f[j], dim=0) for j in others]).softmax(0) for f in (source, target))
    return (p * (p / q).log()).sum()


@pytest.mark.parametrize("n", [3, 4, 9])
def test_the_distance_is_the_mean_divergence_of_an_image_whatever_their_number(n: int) -> None:
    source, target = features(0, n), features(1, n)
    layers = torch.arange(n) % 2
    expected = torch.stack([kl(source[layer], target[layer], i) for i, layer in enumerate(layers.tolist())]).mean()
    torch.testing.assert_close(divergence(source, target, layers), expected)
    assert divergence(source, source, layers).abs() < 1e-6


def test_333_of_it_is_the_authors_1000_at_their_four_images(config: Make) -> None:
    (source, _), (target, _) = features(0, 4), features(1, 4)
    others = ~torch.eye(4, dtype=torch.bool)
    p, q = (F.cosine_similarity(f[:, None], f[None], dim=-1)[others].view(4, 3) for f in (source, target))
    entries = F.kl_div(q.log_softmax(1), p.softmax(1), reduction="none")
    theirs = 1000 * entries.mean()  # over all 12, as reduction="mean" does
    ours = config().correspondence.weight * divergence([source], [target], torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(ours, theirs, rtol=1.1e-3, atol=0)


def test_the_divergence_pulls_the_target_towards_the_source() -> None:
    source, target = features(0, 5)[0], features(1, 5)[0].requires_grad_()
    layers = torch.zeros(5, dtype=torch.long)
    start = divergence([source], [target], layers)
    (slope,) = torch.autograd.grad(start, target)
    assert divergence([source], [target - 0.1 * slope / slope.norm()], layers) < start


def test_features_are_the_outputs_of_the_blocks(config: Make, home: Home) -> None:
    learner = learner_of(config(), home)
    found = block_features(learner.generator, torch.randn(3, 8))
    assert [each.shape for each in found] == [(3, 8 * 8 * 8), (3, 4 * 16 * 16), (3, 2 * 32 * 32)]
    assert not any(block._forward_hooks for block in learner.generator.blocks)  # type: ignore[union-attr]


class Linear(nn.Module):
    """A critic whose map before the last block is its image, pooled to 8x8."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Module()
        last.conv1 = nn.Conv2d(3, 3, 3)
        self.from_rgb, self.blocks = nn.AvgPool2d(4), nn.ModuleList([last])


def test_the_penalty_of_patches_is_that_of_one_scalar_an_image() -> None:
    critic, slope = PatchCritic(Linear(), seed=0), torch.tensor([3.0, -4.0, 12.0])  # of length 13
    with torch.no_grad():
        critic.head.weight.zero_()[0, :, 1, 1] = slope
    critic.patches = True
    real = torch.randn(5, 3, 32, 32)
    assert critic(real).shape == (5 * 64,)
    torch.testing.assert_close(critic(real).mean(), (real.mean((0, 2, 3)) * slope).sum())
    torch.testing.assert_close(r1(critic, real), torch.tensor(13.0**2 / 32**2 / 2))  # the slope over 1,024 pixels


def test_the_fast_penalty_of_whole_images_is_the_critics_own(config: Make, home: Home) -> None:
    learner = learner_of(config(), home)
    learner.discriminator.patches = False
    assert learner.discriminator.input_gradient == learner.discriminator.critic.input_gradient


def test_whole_images_come_of_anchors_every_so_often_and_else_patches_of_any_z(config: Make, home: Home) -> None:
    learner = learner_of(config(correspondence={"whole_every": 3, "anchor_spread": 1e-3}), home)
    assert learner.anchors.shape == (10, 8)
    for number in range(6):
        learner.discriminator.patches = number % 3 != 0
        z = learner._noise(Draws(0, number), 64)
        far = torch.cdist(z, learner.anchors).min(1).values
        assert (far.max() < 0.01) == (number % 3 == 0)
        learner.step(images(number))
        assert learner.discriminator.patches == (number % 3 != 0)


def test_what_judges_is_what_learns(config: Make, home: Home) -> None:
    learner = learner_of(config(correspondence={"whole_every": 2}), home)

    def weights() -> dict[str, Tensor]:
        return {name: parameter.detach().clone() for name, parameter in learner.discriminator.named_parameters()}

    for number in range(4):
        before, whole = weights(), number % 2 == 0
        learner.step(images(number))
        moved = {name for name, now in weights().items() if not torch.equal(now, before[name])}
        assert ("critic.to_logit.weight" in moved) == whole
        assert any(name.startswith("critic.blocks.2") for name in moved) == whole
        assert ("head.weight" in moved) != whole
        assert "critic.blocks.0.conv1.weight" in moved


def test_the_distance_begins_at_nothing_and_the_sources_generator_stays(config: Make, home: Home) -> None:
    learner = learner_of(config(optim={"batch": 4, "lr_g": 1e-2}), home)
    before = [parameter.clone() for parameter in learner.source.parameters()]
    distances = [float(learner.step(images(step))["distance"]) for step in range(3)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[2] > 1e-6
    assert all(torch.equal(now, then) for now, then in zip(learner.source.parameters(), before, strict=True))


def test_a_weight_of_nothing_costs_nothing(config: Make, home: Home) -> None:
    learner = learner_of(config(correspondence={"weight": 0}), home)

    def asked(*given: Any) -> None:
        raise AssertionError("the source's generator was asked")

    learner.source.register_forward_pre_hook(asked)
    assert learner.step(images(0)).keys() == {"loss_d", "loss_g"}


def test_the_model_has_the_critic_of_whole_images_alone(config: Make, home: Home, tiny_source: SourceModel) -> None:
    model = learner_of(config(), home).model()
    assert model.weights["discriminator"].keys() == tiny_source.weights()["discriminator"].keys()
