"""FIGR, DAWSON and their baseline: adaptation, what it leaves alone, and how the start moves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spaces.config import TrialConfig
from spaces.networks import Adaptive
from trainables.methods.fewshot.adapting import CHANNEL, AdaptiveLearner, Gan, adapted
from trainables.methods.fewshot.figr import Figr
from trainables.methods.fewshot.penalties import penalty_over
from trainables.methods.registry import method_of, open_sampler
from trainables.networks.families import build_network
from trainables.networks.models import write_model
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.losses import gradient_penalty
from trainables.training.parallel import Group

CPU = torch.device("cpu")
TINY = {"width": 2, "z_dim": 4, "adaptation": {"steps": 2, "rate": 0.01}}
NETWORK = Adaptive(resolution=32, width=2, z_dim=4, steps=3, rate=0.01)
Make = Callable[..., TrialConfig]


def start() -> Gan:
    return Gan(*(build_network(name, NETWORK, 0) for name in ("generator", "discriminator")))


def weights_of(gan: Gan) -> list[Tensor]:
    return [tensor.detach().clone() for network in gan for tensor in network.state_dict().values()]


def images(n: int) -> Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def learner_of(config: TrialConfig, home: Home) -> AdaptiveLearner:
    learner = method_of(config.method).build(config, gather(config, home), CPU, Group())
    assert isinstance(learner, AdaptiveLearner)
    return learner


def all_equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_adaptation_moves_a_copy_and_never_what_it_starts_from() -> None:
    gan = start()
    before = weights_of(gan)
    became = adapted(NETWORK, gan, images(3), Draws(0, 0))
    assert all_equal(weights_of(gan), before)
    assert not any(parameter.grad is not None for network in gan for parameter in network.parameters())
    assert not any(torch.equal(*pair) for pair in zip(weights_of(became.gan), before, strict=True) if pair[1].any())
    assert float(became.loss_d) != 0


def test_without_steps_what_becomes_of_the_start_is_the_start() -> None:
    gan = start()
    none = NETWORK.model_copy(update={"steps": 0})
    assert all_equal(weights_of(adapted(none, gan, images(3), Draws(0, 0)).gan), weights_of(gan))


@pytest.mark.parametrize("method", ["figr", "joint"])
def test_sampling_leaves_stored_weights_and_files_alone(method: str, fewshot: Make, home: Home, tmp_path: Path) -> None:
    learner = learner_of(fewshot(method, **TINY), home)
    before = weights_of(learner.gan)
    expected = learner.sample(6, 0).images
    assert all_equal(weights_of(learner.gan), before)
    write_model(tmp_path / "model", learner.model(), method=method, config={})
    sampler = open_sampler(tmp_path / "model")
    for _ in range(2):  # the first call has adapted nothing that the second one sees
        assert torch.equal(sampler(6, 0).images, expected)


def test_samples_of_a_class_follow_its_shots(fewshot: Make, home: Home, tmp_path: Path) -> None:
    write_model(tmp_path / "model", learner_of(fewshot("figr", **TINY), home).model(), method="figr", config={})
    sampler = open_sampler(tmp_path / "model")
    dark, bright = (torch.full((3, 3, 32, 32), value, dtype=torch.uint8) for value in (0, 255))
    one, other = (sampler.drawn_of(shots, 4, 0) for shots in (dark, bright))  # type: ignore[attr-defined]
    assert not torch.equal(one.images, other.images)
    assert one.labels is None and torch.equal(one.inputs[0], dark)


def test_reptile_goes_its_share_of_the_way_to_the_mean_of_what_the_tasks_became(fewshot: Make, home: Home) -> None:
    training = {"tasks": 2, "outer": "step", "lr": 0.25}
    config = fewshot("figr", **TINY, training=training)
    learner = learner_of(config, home)
    batch = next(method_of("figr").batches(config, gather(config, home), 0, CPU))
    before, became = weights_of(learner.gan), []
    for number in range(2):
        shots = batch.images[number].float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)
        became.append(weights_of(adapted(learner.network, learner.gan, shots, Draws(0, number, "adaptation")).gan))
    learner.step(batch)
    for old, new, *ends in zip(before, weights_of(learner.gan), *became, strict=True):
        torch.testing.assert_close(new, old + 0.25 * (torch.stack(ends).mean(0) - old), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("meta", ["reptile", "fomaml"])
def test_adam_moves_each_weight_by_its_own_way(meta: str, fewshot: Make, home: Home) -> None:
    config = fewshot("figr", **TINY, meta=meta, training={"tasks": 2})
    learner, other = learner_of(config, home), learner_of(config, home)
    batch = next(method_of("figr").batches(config, gather(config, home), 0, CPU))
    before = weights_of(learner.gan)
    learner.step(batch)
    plain = {"outer_g": other.gan.generator, "outer_d": other.gan.critic}
    rates = {"lr": config.training.lr, "betas": (config.training.beta1, config.training.beta2)}  # type: ignore[attr-defined]
    other.optimisers = {n: torch.optim.Adam(own.parameters(), **rates, fused=False) for n, own in plain.items()}
    other.step(batch)
    for old, new, expected in zip(before, weights_of(learner.gan), weights_of(other.gan), strict=True):
        torch.testing.assert_close(new - old, expected - old, rtol=1e-2, atol=1e-8)


def test_first_order_maml_judges_on_other_images_than_it_adapted_to(
    fewshot: Make, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = fewshot("figr", **TINY, meta="fomaml")
    learner = learner_of(config, home)
    assert isinstance(learner, Figr) and learner.images_per_iteration == 6
    batch = next(method_of("figr").batches(config, gather(config, home), 0, CPU))
    assert len(batch.images[0].unique(dim=0)) == 6  # K to adapt to and K others, all different
    before = weights_of(learner.gan)
    assert learner.step(batch).keys() == {"loss_d", "loss_g", "outer_d", "outer_g"}
    assert not all_equal(weights_of(learner.gan), before)


class Slope(nn.Module):
    """A critic of slope 2 in every number of an image."""

    def forward(self, images: Tensor) -> Tensor:
        return 2 * images.sum((1, 2, 3))


def test_the_codes_penalty_pulls_each_pixels_gradient_to_1_and_not_the_images() -> None:
    real, fake, mix = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4), torch.full((2, 1, 1, 1), 0.3)
    found: Any = [penalty(Slope(), real, fake, mix).item() for penalty in (gradient_penalty, penalty_over(CHANNEL))]
    assert found == pytest.approx([(2 * 48**0.5 - 1) ** 2, (2 * 3**0.5 - 1) ** 2])
