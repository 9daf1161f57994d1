"""MineGAN: the miner, its two stages, and several generators."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from spaces.errors import UserError
from spaces.methods.minegan import MineganConfig
from spaces.trials import parse_trial
from trainables.images.batches import Batch
from trainables.methods.finetuning.minegan import MinedSampler, Minegan
from trainables.methods.method import unfit
from trainables.methods.registry import METHODS, method_of
from trainables.networks.families import GENERATOR
from trainables.networks.miner import MinedGenerator, Miner
from trainables.networks.sampling import ZSampler
from trainables.running.given import gather
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.parallel import Group

CPU = torch.device("cpu")
Make = Callable[..., MineganConfig]


@pytest.fixture
def config(from_seed_7: Callable[..., MineganConfig], new_source: Callable[..., SourceModel]) -> Make:
    new_source("seed-8", seed=8)
    return partial(from_seed_7, MineganConfig)


def learner_of(config: MineganConfig, home: Home) -> Minegan:
    return Minegan(config, gather(config, home), CPU, Group())


def images(seed: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    return Batch(torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=random))


def test_the_miner_starts_as_the_identity_so_the_source_is_what_is_sampled_first(
    config: Make, home: Home, tiny_source: SourceModel
) -> None:
    z = torch.randn(5, 8)
    assert torch.equal(Miner(8).initialise(3)(z), z)
    theirs = ZSampler(tiny_source.model())(16, seed=2).images
    ours = learner_of(config(), home).sample(16, seed=2).images
    assert (ours.int() - theirs.int()).abs().max() <= 1  # its statistics are taken anew, in another order of sums


def test_the_miners_gradients_are_those_of_the_step_and_not_of_all_steps_so_far(config: Make, home: Home) -> None:
    clean, left_over = (learner_of(config(), home) for _ in range(2))
    for step in range(3):
        for parameter in left_over.generator.miners.parameters():
            parameter.grad = torch.full_like(parameter, 1e3)
        clean.step(images(step)), left_over.step(images(step))
    one, other = clean.state_dict(), left_over.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_generator_is_fixed_while_the_miner_trains_alone(config: Make, home: Home) -> None:
    learner = learner_of(config(mining={"steps_alone": 2}), home)

    def weights(part: nn.Module) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in part.parameters()]

    def moved(part: nn.Module, before: list[torch.Tensor]) -> list[bool]:
        return [not torch.equal(new, old) for new, old in zip(part.parameters(), before, strict=True)]

    generators, miners = learner.generator.generators, learner.generator.miners
    before, critic = weights(generators), weights(learner.discriminator)
    for step in range(2):
        mined = weights(miners)
        learner.step(images(step))
        assert not any(moved(generators, before)), step
        assert any(moved(miners, mined)), step
    assert sum(moved(learner.discriminator, critic)) > len(critic) / 2
    mined = weights(miners)
    learner.step(images(2))
    assert sum(moved(generators, before)) > len(before) / 2
    assert any(moved(miners, mined))


def test_of_several_generators_each_is_chosen_by_its_probability_and_all_are_given_for_the_loss() -> None:
    class Constant(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return torch.full((len(z), 3, 1, 1), self.value)

    miners = [Miner(4).initialise(place) for place in range(3)]
    mined = MinedGenerator(miners, [Constant(0.0), Constant(1.0), Constant(2.0)])
    with torch.no_grad():
        for miner, preference in zip(miners, (0.0, 1.0, -1.0), strict=True):
            miner.preference.fill_(preference)
    z = torch.randn(20_000, mined.z_dim, generator=torch.Generator().manual_seed(0))
    drawn = mined(z)[:, 0, 0, 0]
    shares = torch.stack([(drawn == value).float().mean() for value in range(3)])
    assert mined.z_dim == 5
    torch.testing.assert_close(shares, torch.tensor([0.0, 1.0, -1.0]).softmax(0), atol=0.015, rtol=0)
    with mined.giving_all():
        assert mined(z[:2])[:, 0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_probabilities_learn_by_the_losses_that_they_weigh(config: Make, home: Home) -> None:
    learner = learner_of(config(mining={"beside": "seed-8"}), home)
    logits = torch.tensor([1.0, 3.0, -2.0, -2.0])  # of the first generator's two images, then of the second's
    loss = learner.loss.generator(logits)
    assert loss.item() == pytest.approx(-(0.5 * 2 + 0.5 * -2))  # the mean of WGAN's losses, -2 and 2
    loss.backward()
    first, second = learner.generator.miners
    assert first.get_parameter("preference").grad.item() < 0 < second.get_parameter("preference").grad.item()  # type: ignore[union-attr]


KNOBS = {
    "policy": {"augment": {"policy": "color,translation"}},
    "ada": {"augment": {"ada_target": 0.6}, "loss": {"name": "hinge", "penalty": 0.0, "n_critic": 2}},
    "relativistic": {"loss": {"name": "relativistic", "n_critic": 2}},
}


@pytest.mark.parametrize("knob", KNOBS)
def test_several_generators_train_with_what_shows_or_pairs_a_batch(config: Make, home: Home, knob: str) -> None:
    learner = learner_of(config(mining={"beside": "seed-8"}, **KNOBS[knob]), home)
    if learner.ada is not None:
        learner.ada.p.fill_(1.0)
    before = [weight.clone() for weight in learner.generator.miners.parameters()]
    losses = [learner.step(images(step))["loss_g"] for step in range(2)]
    assert torch.isfinite(torch.stack(losses)).all()
    assert any(not torch.equal(a, b) for a, b in zip(before, learner.generator.miners.parameters(), strict=True))


def test_the_critic_sees_each_generators_images_changed_anew(config: Make, home: Home) -> None:
    learner = learner_of(config(mining={"beside": "seed-8"}, **KNOBS["policy"]), home)
    both = torch.rand(8, 3, 32, 32)
    learner.sight.at(0)
    seen = learner._seen(both, asked=4)
    learner.sight.at(0)
    assert torch.equal(seen, torch.cat([learner.sight(both[:4]), learner.sight(both[4:])]))


def test_a_model_of_several_has_each_generator_with_its_miner(config: Make, home: Home) -> None:
    learner = learner_of(config(mining={"steps_alone": 0, "beside": "seed-8"}), home)
    learner.step(images(0))
    model = learner.model()
    assert [*model.networks] == [GENERATOR, "miner", "generator-2", "miner-2", "discriminator"]
    assert torch.equal(MinedSampler(model)(12, seed=1).images, learner.sample(12, seed=1).images)
    alone = model.weights["generator-2"]["to_rgb.weight"], model.weights[GENERATOR]["to_rgb.weight"]
    assert not torch.equal(*alone)


@pytest.mark.parametrize(
    ("beside", "why"),
    [
        ("seed-8,seed-8", "mining/beside='seed-8,seed-8' names a source model twice, or 'seed-7' again"),
        ("seed-7", "mining/beside='seed-7' names a source model twice, or 'seed-7' again"),
        ("seed-8, x", "mining/beside should be names of source models with commas between, got 'seed-8, x'"),
    ],
)
def test_names_beside_are_of_other_sources(config: Make, beside: str, why: str) -> None:
    with pytest.raises(UserError) as refused:
        config(mining={"beside": beside})
    assert str(refused.value).startswith(f"test: config: {why}")
    assert len(str(refused.value).splitlines()) == 1


def test_a_source_beside_of_another_size_or_one_that_is_missing_is_refused_in_a_line(
    config: Make, home: Home, new_source: Callable[..., SourceModel]
) -> None:
    new_source("wide", width=4)
    for beside, why in (
        ("wide", "source 'wide' of mining/beside does not fit"),
        ("none", "unknown source model 'none'"),
    ):
        with pytest.raises(UserError, match=why) as refused:
            learner_of(config(mining={"beside": beside}), home)
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["minegan", "cdc", "kernel_modulation"])
def test_a_source_without_a_critic_and_no_source_do_not_fit(
    config: Make, home: Home, new_source: Callable[..., SourceModel], name: str
) -> None:
    new_source("alone", critic=False)
    given = gather(config(source="alone"), home)
    assert unfit(method_of(name), given) == "source 'alone' has no discriminator; it has: generator"
    with pytest.raises(UserError, match=f"method '{name}' starts from a source model, and source 'scratch' is none"):
        parse_trial(
            {**config().model_dump(include={"target", "budget", "network"}), "method": name, "source": "scratch"}, "t"
        )


def test_a_family_without_up_blocks_does_not_fit_cdc(
    config: Make, home: Home, new_source: Callable[..., SourceModel]
) -> None:
    new_source("plain", family="dcgan")
    given = gather(config(source="plain"), home)
    assert unfit(METHODS["cdc"], given) == "source 'plain' is a dcgan; the method works on: resnet"
    assert unfit(METHODS["minegan"], given) is None
