"""StarGAN: the traps of METHODS 2.3, each as a test."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from spaces.errors import UserError
from spaces.methods.stargan import StarGanConfig, StarWeights
from spaces.networks import StarTranslator
from trainables.methods.registry import method_of
from trainables.methods.translation.stargan import (
    LOSS,
    Part,
    StarGanLearner,
    critic_losses,
    others,
    translator_losses,
)
from trainables.networks.families import build_network
from trainables.networks.stargan import MAP, StarCritic, StarGenerator
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group

Make = Callable[..., StarGanConfig]
NETWORK = StarTranslator(resolution=32, width=4, blocks=1, domains=3)
CPU = torch.device("cpu")


def networks(seed: int = 0) -> tuple[StarGenerator, StarCritic]:
    generator, critic = (build_network(name, NETWORK, seed) for name in ("generator", "discriminator"))
    assert isinstance(generator, StarGenerator) and isinstance(critic, StarCritic)
    return generator, critic


def part(n: int = 6) -> Part:
    numbers = torch.Generator().manual_seed(0)
    images = torch.rand(n, 3, 32, 32, generator=numbers) * 2 - 1
    own = torch.arange(n) % 3
    return Part(images, own, (own + 1) % 3, torch.rand(n, 1, 1, 1, generator=numbers))


def test_an_image_is_asked_to_be_of_any_other_domain_and_never_of_its_own() -> None:
    own = torch.arange(3).repeat_interleave(200)
    asked = others(own, torch.rand(600, generator=torch.Generator().manual_seed(1)), 3)
    assert not (asked == own).any()
    for domain in range(3):
        counts = torch.bincount(asked[own == domain], minlength=3)
        assert counts[domain] == 0 and (counts[torch.arange(3) != domain] > 70).all()
    assert others(torch.tensor([0, 1, 2]), torch.tensor([0.0, 0.49, 0.999999]), 3).tolist() == [1, 2, 1]


def test_norms_of_each_image_do_not_take_the_domain_away() -> None:
    """Planes of labels would be constant over an image, and a norm of each image takes constants away."""
    generator, _ = networks()
    images = part().images
    assert torch.equal(generator(images), generator(images, torch.zeros(6, dtype=torch.int64)))
    with torch.no_grad():
        generator.start.norm.bias[1] += 1.0
    zero, one = (generator(images, torch.full((6,), domain)) for domain in (0, 1))
    assert (zero - one).abs().mean() > 1e-3
    plane = torch.randn(6, 1, 1, 1).expand(6, 4, 8, 8) + torch.randn(1, 4, 8, 8)
    normed = nn.InstanceNorm2d(4)(plane)
    torch.testing.assert_close(normed, normed[:1].expand_as(normed))


def test_the_penalty_is_of_the_mean_over_the_map_whatever_its_size() -> None:
    """A linear critic: the map's mean has slope w, its sum would have MAP^2 times as much."""

    class Linear(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            places = (images * slope).sum((1, 2, 3))[:, None].expand(-1, MAP * MAP)  # a map of equal logits
            return places.mean(1)

    slope = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(2))
    slope *= 3.0 / slope.norm()
    given = part()
    found = LOSS.penalty(Linear(), given.images, given.images.flip(0), given.mix)
    assert found.item() == pytest.approx((3.0 - 1) ** 2, rel=1e-4)
    critic = networks()[1]
    logits, of_domains = critic.judge(given.images)
    torch.testing.assert_close(logits, critic(given.images))
    maps = critic.to_logits(critic.main(given.images))
    assert maps.shape == (6, 1, MAP, MAP) and of_domains.shape == (6, 3)
    torch.testing.assert_close(logits, maps.mean((1, 2, 3)))


def test_the_critic_learns_domains_of_real_images_alone() -> None:
    generator, critic = networks()
    given = part()
    losses = critic_losses(StarWeights(), generator, critic, given)
    assert set(losses) == {"loss_d", "loss_penalty", "loss_domain_d"}
    losses["loss_domain_d"].backward()
    slope = critic.to_domains.weight.grad.clone()
    critic.zero_grad()
    elsewhere = replace(given, asked=(given.asked + 1) % 3)  # other translations
    critic_losses(StarWeights(), generator, critic, elsewhere)["loss_domain_d"].backward()
    torch.testing.assert_close(critic.to_domains.weight.grad, slope)
    assert all(p.grad is None for p in generator.parameters())


def test_the_translator_is_asked_for_the_domain_and_to_lead_home() -> None:
    generator, critic = networks()
    given = part()
    losses = translator_losses(StarWeights(cycle=2.0), generator, critic, given)
    home = generator(generator(given.images, given.asked), given.own)
    assert losses["loss_cycle"].item() == pytest.approx(2 * (home - given.images).abs().mean().item(), rel=1e-5)
    _, of_domains = critic.judge(generator(given.images, given.asked))
    wanted = -of_domains.log_softmax(1)[torch.arange(6), given.asked].mean()
    assert losses["loss_domain_g"].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_weight_of_0_switches_a_term_off() -> None:
    none = StarWeights(cycle=0, domain=0, penalty=0)
    assert set(critic_losses(none, *networks(), part())) == {"loss_d"}
    assert set(translator_losses(none, *networks(), part())) == {"loss_g"}


@pytest.fixture
def config(translation: Make) -> StarGanConfig:
    small = {"method": "stargan", "width": 2, "blocks": 1, "training": {"batch": 2, "n_critic": 3}}
    values = translation().model_dump(include={"target", "source", "data", "budget", "protocol", "seed"})
    return StarGanConfig.parse({**values, **small}, "test")


def test_an_iteration_takes_images_of_its_own_for_each_step_of_the_critic(config: StarGanConfig, home: Home) -> None:
    given = gather(config, home)
    learner = StarGanLearner(config, given, CPU, Group())
    batch = next(method_of("stargan").batches(config, given, 0, CPU))
    assert learner.images_per_iteration == len(batch.images) == len(batch.sources[0]) == 6
    losses = learner.step(batch)
    assert set(losses) == {"loss_d", "loss_penalty", "loss_domain_d", "loss_g", "loss_domain_g", "loss_cycle"}
    steps = {name: adam.state_dict()["state"][0]["step"].item() for name, adam in learner._optimisers.items()}
    assert steps == {"adam_g": 1, "adam_d": 3}


def test_a_domain_that_is_named_twice_is_refused(config: StarGanConfig) -> None:
    with pytest.raises(UserError, match="is named twice, of target, source and beside; name each once"):
        StarGanConfig.parse({**config.model_dump(), "beside": [config.source]}, "test")
