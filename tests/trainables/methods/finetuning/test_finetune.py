from collections.abc import Callable

import pytest
import torch

from spaces.methods.finetune import FinetuneConfig
from trainables.images.batches import Batch
from trainables.methods.finetuning.finetune import Finetune
from trainables.sources.shelf import SourceModel
from trainables.training.learner import images_seen
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


@pytest.mark.parametrize("loss", ["wgan_gp", "nonsaturating", "hinge"])
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
