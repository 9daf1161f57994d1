"""MatchingGAN and F2GAN, and what their codes have tripped others over."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from spaces.config import TrialConfig
from spaces.methods.f2gan import F2GanConfig
from spaces.networks import Fusion
from trainables.methods.fewshot.episodes import Numbers, Task
from trainables.methods.fewshot.f2gan import FillingObjective
from trainables.methods.fewshot.fusing import SetLearner, fused
from trainables.methods.fewshot.judging import (
    critic_terms,
    dimming,
    features_of_sets,
    generator_terms,
    mode_collapsing,
    mode_seeking,
    reconstruction,
)
from trainables.methods.registry import method_of
from trainables.networks.families import build_network
from trainables.networks.fusion import Fused, FusionGenerator, SetCritic
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.parallel import Group

CPU = torch.device("cpu")
Make = Callable[..., TrialConfig]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def learner_of(config: TrialConfig, home: Home) -> SetLearner:
    learner = method_of(config.method).build(config, gather(config, home), CPU, Group())
    assert isinstance(learner, SetLearner)
    return learner


def critic_of(seen: int = 5) -> SetCritic:
    critic = build_network("discriminator", Fusion(resolution=32, width=2, seen=seen), 0)
    assert isinstance(critic, SetCritic)
    return critic


def generator_of(**network: object) -> FusionGenerator:
    generator = build_network("generator", Fusion(resolution=32, width=2, **network), 0)  # type: ignore[arg-type]
    assert isinstance(generator, FusionGenerator)
    return generator


def test_mode_seeking_falls_when_outputs_spread_and_the_codes_inverse_rises() -> None:
    weights = normal(2, 4, 3).softmax(2).unbind()
    near, far = normal(2, 4, 8, 4, 4).unbind(), (3 * normal(2, 4, 8, 4, 4)).unbind()
    assert mode_seeking(weights, far) < mode_seeking(weights, near)
    assert mode_collapsing(weights, far) > mode_collapsing(weights, near)


def test_reconstruction_is_least_for_the_image_that_weighs_all_and_dimming_dims_it() -> None:
    shots, weights = normal(2, 3, 3, 8, 8), torch.tensor([[0.0, 1.0, 0.0]]).expand(2, 3)
    assert float(reconstruction(shots[:, 1], shots, weights)) == pytest.approx(0, abs=1e-6)
    even = torch.full((2, 3), 1 / 3)
    same = shots[:, :1].expand_as(shots)  # three times one image: it is what is wanted
    assert reconstruction(shots[:, 0], same, even) == 0
    assert dimming(shots[:, 0] / 3, same, even) < dimming(shots[:, 0], same, even)


@pytest.mark.parametrize("faithful", [False, True])
def test_the_regressor_of_weights_takes_gradients_from_the_critics_step_alone(
    fewshot: Make, home: Home, faithful: bool
) -> None:
    config = fewshot("f2gan", width=2, faithful=faithful)
    learner = learner_of(config, home)
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items() if ".regressor." in name}
    learner.step(next(method_of("f2gan").batches(config, gather(config, home), 0, CPU)))
    after = learner.state_dict()
    assert len(before) == 3
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved == ([] if faithful else [*before])


def test_matchinggans_code_never_trains_the_head_of_classes(fewshot: Make, home: Home) -> None:
    for faithful in (False, True):
        config = fewshot("matchinggan", width=2, faithful=faithful)
        learner = learner_of(config, home)
        before = learner.critic.to_class.parametrizations.weight.original.clone()
        learner.step(next(method_of("matchinggan").batches(config, gather(config, home), 0, CPU)))
        assert torch.equal(before, learner.critic.to_class.parametrizations.weight.original) == faithful


def test_images_are_classified_as_of_their_sets_class() -> None:
    critic, labels = critic_of(), torch.tensor([3, 1])
    task = Task(normal(2, 3, 3, 32, 32), normal(2, 0, 3, 32, 32), labels)
    critic.eval()  # the spectral norm takes a step at each reading in training
    fake = critic.features(normal(2, 3, 32, 32))
    real = features_of_sets(critic, task.shots)
    found = critic_terms(critic, task, real, fake, 2.0)["class_d"], generator_terms(critic, task, fake, 2.0)["class_g"]
    of_real = F.cross_entropy(
        critic.classes(critic.features(task.shots.flatten(0, 1))), torch.tensor([3] * 3 + [1] * 3)
    )
    expected = 2 * of_real, 2 * F.cross_entropy(critic.classes(fake), labels)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ["dirichlet", "uniform", "matching"])
def test_weights_are_on_the_simplex_and_the_code_is_their_sum(kind: str) -> None:
    generator = generator_of(weights=kind, z_dim=4 if kind == "matching" else 0)
    shots = normal(5, 3, 3, 32, 32).clamp(-1, 1)
    made = fused(generator, shots, Numbers(Draws(0, 0), 5, Group(), CPU))
    assert (made.weights >= 0).all()
    torch.testing.assert_close(made.weights.sum(1), torch.ones(5))
    assert len(made.weights.unique(dim=0)) == 5
    codes = torch.stack([generator.encoder(shots[:, k])[-1] for k in range(3)], 1)
    torch.testing.assert_close(made.code, torch.einsum("nkchw,nk->nchw", codes, made.weights), rtol=1e-3, atol=1e-5)
    if kind == "uniform":
        assert made.weights.max() < 10 / 12


def test_matching_weighs_most_what_points_as_the_noise_does() -> None:
    generator = generator_of(weights="matching", z_dim=4)
    assert generator.matching is not None
    codes = normal(2, 3, 16, 4, 4)
    with torch.no_grad():
        generator.matching.weight.zero_()
        generator.matching.bias.copy_(codes[0, 2].flatten())
    weights = generator._matched(codes * torch.tensor([1.0, 9.0, 1.0])[:, None, None, None], torch.zeros(2, 4))
    assert weights[0].argmax() == 2  # by direction, not by length


@pytest.mark.parametrize("kept", [False, True])
def test_what_is_filled_in_follows_the_weights_and_begins_at_nothing(kept: bool) -> None:
    generator = generator_of(skips=False, attention=True, kept=kept)
    shots, weights = normal(1, 2, 3, 32, 32).clamp(-1, 1), torch.tensor([[1.0, 0.0]])
    other = torch.cat([shots[:, :1], -shots[:, 1:]], 1)  # the image that weighs nothing is another
    filled = []
    for strength in (0.0, 1.0):
        for filling in generator.fillings:
            torch.nn.init.constant_(filling.strength, strength)
        one, two = (generator(each, weights, None).images for each in (shots, other))
        torch.testing.assert_close(one, two)
        filled.append(one)
    assert not torch.allclose(*filled)
    assert all(filling.strength.item() == 0 for filling in generator_of(attention=True).fillings)


def test_details_reach_f2gans_decoder_before_attention_has_any_strength(fewshot: Make, home: Home) -> None:
    """Else all goes through the code of 4 by 4 places: after 3,000 iterations the strength was 0.02."""
    learner = learner_of(fewshot("f2gan", width=2), home)
    assert learner.generator.network.kept
    shots, weights = normal(1, 2, 3, 32, 32).clamp(-1, 1), torch.tensor([[0.5, 0.5]])
    maps = learner.generator.encoder(shots.flatten(0, 1))[::-1]
    filling, of_images = learner.generator.fillings[0], maps[1].unflatten(0, (1, 2))
    found = filling(torch.zeros_like(maps[1][:1]), of_images, weights)
    assert filling.strength == 0
    torch.testing.assert_close(found[:, maps[1].shape[1] :], of_images.mean(1))


def test_a_weight_of_0_switches_its_term_off_and_its_cost(fewshot: Make) -> None:
    asked, critic, generator = [], critic_of(), generator_of(skips=False)
    task = Task(normal(2, 3, 3, 32, 32), normal(2, 0, 3, 32, 32), torch.tensor([3, 1]))

    def fuse(shots: Tensor) -> Fused:
        asked.append(len(shots))
        return fused(generator, shots, Numbers(Draws(0, len(asked)), 2, Group(), CPU))

    none = {"classes": 0, "reconstruction": 0, "features": 0, "mode_seeking": 0, "regression": 0}
    config = fewshot("f2gan", weights=none)
    assert isinstance(config, F2GanConfig)
    assert FillingObjective(config).generator(critic, generator, fuse, task).keys() == {"loss_g"}
    assert len(asked) == 1
    whole = fewshot("f2gan")
    assert isinstance(whole, F2GanConfig)
    assert len(FillingObjective(whole).generator(critic, generator, fuse, task)) == 6
    assert len(asked) == 3
