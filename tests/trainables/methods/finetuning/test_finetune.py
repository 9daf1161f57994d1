from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from spaces.methods.cdc import CdcConfig
from spaces.methods.finetune import FinetuneConfig
from spaces.methods.from_source import FromSourceConfig
from spaces.methods.kernel_modulation import KernelModulationConfig
from spaces.methods.minegan import MineganConfig
from trainables.images.batches import Batch
from trainables.methods.finetuning.finetune import Finetune
from trainables.methods.registry import method_of
from trainables.running.given import gather
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.learner import images_seen
from trainables.training.losses import LOSSES
from trainables.training.parallel import Group

CPU = torch.device("cpu")
Make = Callable[..., FinetuneConfig]


def images(config: FinetuneConfig, seed: int = 0) -> Batch:
    n = config.optim.batch * config.loss.n_critic
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=random))


def trained(config: FinetuneConfig, steps: int, source: SourceModel | None = None) -> Finetune:
    learner = Finetune(config, source, CPU, Group())
    for step in range(steps):
        learner.step(images(config, step))
    return learner


@pytest.mark.parametrize("loss", LOSSES)
def test_one_step_moves_both_networks_and_reports_finite_losses(tiny_config: Make, loss: str) -> None:
    config = tiny_config(loss={"name": loss, "n_critic": 2})
    before, after = trained(config, 0).state_dict(), trained(config, 1)
    moved = [name for name, t in after.state_dict().items() if not torch.equal(t, before.get(name, t + 1))]
    assert {"generator.to_rgb.weight", "discriminator.from_rgb.weight", "average.to_rgb.weight"} <= set(moved)
    assert all(torch.isfinite(value) for value in after.step(images(config)).values())


def test_the_same_config_gives_the_same_weights_bit_for_bit(tiny_config: Make) -> None:
    one, other = (trained(tiny_config(), 3).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_loaded_state_goes_on_bit_for_bit(tiny_config: Make) -> None:
    config = tiny_config()
    unbroken, resumed = trained(config, 4), Finetune(config, None, CPU, Group())
    resumed.load_state_dict(trained(config, 2).state_dict())
    for step in (2, 3):
        resumed.step(images(config, step))
    one, other = unbroken.state_dict(), resumed.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_images_seen_count_what_the_critic_is_shown(tiny_config: Make) -> None:
    assert images_seen(trained(tiny_config(), 3)) == 3 * 2 * 4


def test_frozen_stages_stay_and_the_rest_learns(tiny_config: Make, tiny_source: SourceModel) -> None:
    config = tiny_config(source="seed-7", transfer={"freeze_d": 1})
    before, after = tiny_source.weights()["discriminator"], trained(config, 2, tiny_source).discriminator.state_dict()
    assert torch.equal(before["from_rgb.weight"], after["from_rgb.weight"])
    assert torch.equal(before["blocks.0.conv1.weight"], after["blocks.0.conv1.weight"])
    assert not torch.equal(before["blocks.1.conv1.weight"], after["blocks.1.conv1.weight"])


@pytest.mark.parametrize(("parts", "grafted"), [("generator", 1), ("discriminator", 1), ("both", 2)])
def test_training_starts_from_the_source(tiny_config: Make, tiny_source: SourceModel, parts: str, grafted: int) -> None:
    learner = trained(tiny_config(source="seed-7", transfer={"parts": parts}), 0, tiny_source)
    weights = tiny_source.weights()
    generator, critic = learner.generator.state_dict(), learner.discriminator.state_dict()
    same = [torch.equal(generator["to_rgb.weight"], weights["generator"]["to_rgb.weight"])]
    same += [torch.equal(critic["from_rgb.weight"], weights["discriminator"]["from_rgb.weight"])]
    assert sum(same) == grafted


def test_the_average_follows_the_generator_by_its_half_life(tiny_config: Make) -> None:
    config = tiny_config(optim={"batch": 4, "ema_halflife_images": 1})
    learner = Finetune(config, None, CPU, Group())
    start = learner.average.to_rgb.weight.clone()
    learner.step(images(config))
    keep = 0.5 ** (8 / (0.05 * 8))  # 8 images seen; the ramp, 5 % of them, is shorter than the half-life
    expected = start + (learner.generator.to_rgb.weight - start) * (1 - keep)
    torch.testing.assert_close(learner.average.to_rgb.weight, expected)


def test_mirroring_changes_the_images_that_are_shown(tiny_config: Make) -> None:
    plain, mirrored = (trained(tiny_config(augment={"flip": flip}), 1).state_dict() for flip in (False, True))
    assert not torch.equal(plain["discriminator.from_rgb.weight"], mirrored["discriminator.from_rgb.weight"])


def test_bfloat16_keeps_weights_in_float32_and_stays_close(tiny_config: Make) -> None:
    exact, rough = (trained(tiny_config(optim={"batch": 4, "precision": p}), 1) for p in ("float32", "bfloat16"))
    one, other = exact.discriminator.from_rgb.weight, rough.discriminator.from_rgb.weight
    assert other.dtype == torch.float32
    torch.testing.assert_close(one, other, atol=3e-4, rtol=0)


KNOBS: dict[str, dict[str, Any]] = {
    "diffaugment": {"augment": {"policy": "color,translation,cutout"}},
    "one policy": {"augment": {"policy": "cutout"}},
    "ada": {"augment": {"ada_target": 0.6, "ada_images": 8}},
    "lecam": {"loss": {"lecam": 0.3}},
    "l2_sp": {"transfer": {"l2_sp": 10.0}},
    "ewc": {"transfer": {"ewc": 10.0}},
    "norms": {"transfer": {"train": "norms"}},
}


def with_knob(make: Make, **fields: Any) -> FinetuneConfig:
    loss = {"name": "hinge", "n_critic": 2, **fields.pop("loss", {})}
    return make(source="seed-7", **{"loss": loss, "optim": {"batch": 4, "lr_g": 1e-3, "lr_d": 1e-3}, **fields})


@pytest.mark.parametrize("knob", KNOBS)
@pytest.mark.slow
def test_every_knob_changes_what_is_learnt(tiny_config: Make, tiny_source: SourceModel, knob: str) -> None:
    plain, turned = (trained(with_knob(tiny_config, **fields), 6, tiny_source) for fields in ({}, KNOBS[knob]))
    assert not torch.equal(
        plain.generator.state_dict()["to_rgb.weight"], turned.generator.state_dict()["to_rgb.weight"]
    )


OFF: dict[str, Any] = {
    "augment": {"policy": "", "ada_target": 0},
    "loss": {"lecam": 0},
    "transfer": {"l2_sp": 0, "ewc": 0, "train": "all"},
}


def test_every_knob_at_0_changes_no_bit(tiny_config: Make, tiny_source: SourceModel) -> None:
    plain, off = (trained(with_knob(tiny_config, **f), 2, tiny_source).state_dict() for f in ({}, OFF))
    assert plain.keys() == off.keys()
    assert all(torch.equal(plain[name], off[name]) for name in plain)


class Shown:
    """Stands before a critic's forward pass and keeps what comes."""

    def __init__(self, learner: Finetune) -> None:
        self.images: list[Tensor] = []
        learner.discriminator.register_forward_pre_hook(lambda _, given: self.images.append(given[0].detach()))


def test_real_and_generated_images_are_augmented_in_both_steps(tiny_config: Make) -> None:
    """A policy that whitens everything would show white alone: here each side's brightness is moved, each image by its own."""
    config = tiny_config(augment={"policy": "color"}, loss={"n_critic": 1, "penalty": 0, "name": "hinge"})
    learner = Finetune(config, None, CPU, Group())
    shown = Shown(learner)
    learner.step(Batch(torch.full((4, 3, 32, 32), 128, dtype=torch.uint8)))
    critic_step, generator_step = shown.images
    real, fake = critic_step.chunk(2)
    assert real.mean((1, 2, 3)).unique().numel() == 4  # grey images differ in brightness alone: a draw for each
    untouched = trained(tiny_config(loss={"n_critic": 1, "penalty": 0, "name": "hinge"}), 0)
    seen = Shown(untouched)
    untouched.step(Batch(torch.full((4, 3, 32, 32), 128, dtype=torch.uint8)))
    plain_fake = seen.images[0].chunk(2)[1]
    assert not torch.allclose(fake, plain_fake)
    assert not torch.allclose(generator_step, seen.images[1])
    assert not torch.allclose(fake - plain_fake, real - 128 / 127.5 + 1)  # another draw than the real images'


def test_norms_alone_train_in_the_generator_and_all_of_the_critic(tiny_config: Make, tiny_source: SourceModel) -> None:
    learner = trained(with_knob(tiny_config, transfer={"train": "norms"}), 2, tiny_source)
    before, after = tiny_source.weights()["generator"], learner.generator.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    parameters = {name for name, _ in learner.generator.named_parameters()}
    norms = {name for name in parameters if "norm" in name}
    assert moved & parameters == norms
    assert "froze 19" in learner.origin
    critic = tiny_source.weights()["discriminator"]
    assert not torch.equal(critic["from_rgb.weight"], learner.discriminator.state_dict()["from_rgb.weight"])


@pytest.mark.parametrize("knob", ["l2_sp", "ewc"])
@pytest.mark.slow
def test_anchors_keep_the_generator_nearer_to_the_source(
    tiny_config: Make, tiny_source: SourceModel, knob: str
) -> None:
    source = tiny_source.weights()["generator"]

    def away(**transfer: float) -> float:
        weights = trained(with_knob(tiny_config, transfer=transfer), 6, tiny_source).generator
        return sum(float((p.detach() - source[name]).square().sum()) for name, p in weights.named_parameters())

    assert away(**{knob: 100.0}) < 0.9 * away()


@pytest.mark.parametrize("augment", [{"policy": "color,translation,cutout"}, {"ada_target": 0.6}])
def test_augmentation_is_of_float32_under_bfloat16_too(tiny_config: Make, augment: dict[str, Any]) -> None:
    def shown(precision: str) -> list[Tensor]:
        optim = {"batch": 4, "precision": precision}
        loss = {"name": "hinge", "n_critic": 1, "penalty": 1}
        learner = Finetune(tiny_config(augment=augment, loss=loss, optim=optim), None, CPU, Group())
        if learner.ada is not None:
            learner.ada.p.fill_(0.9)
        seen = Shown(learner)
        losses = learner.step(Batch(images(learner.config).images))
        assert all(loss.isfinite() for loss in losses.values())
        return seen.images

    exact, rough = (shown(precision)[0].chunk(2)[0] for precision in ("float32", "bfloat16"))  # of real images
    assert exact.dtype == rough.dtype == torch.float32
    assert torch.equal(exact, rough)


LONG = {"images": 100_000, "eval_every_images": 100_000}


@pytest.mark.parametrize("kind", [CdcConfig, KernelModulationConfig, MineganConfig])
def test_every_method_makes_up_for_a_lazy_penalty_as_finetuning_does(
    from_seed_7: Callable[..., Any], home: Home, kind: type[FromSourceConfig]
) -> None:
    lazy = {"name": "hinge", "penalty": 1.0, "penalty_every": 4, "n_critic": 2}
    config = from_seed_7(kind, loss=lazy, data={"target_images": 8}, budget=LONG)
    plain = config.finetuning
    theirs = method_of(config.method).build(config, gather(config, home), CPU, Group())
    ours = Finetune(plain, gather(plain, home).source, CPU, Group())
    groups = [learner.adam_d.param_groups[0] for learner in (ours, theirs)]
    assert groups[0]["lr"] == groups[1]["lr"] == pytest.approx(config.optim.lr_d * 4 / 5)
    assert groups[0]["betas"] == groups[1]["betas"]
