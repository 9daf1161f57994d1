"""CycleGAN, and what its paper and its code have tripped others over."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.methods.cyclegan import CycleWeights
from trainables.methods.registry import method_of
from trainables.methods.translation.cyclegan import objective
from trainables.methods.translation.learner import Side, TranslationLearner
from trainables.methods.translation.translating import falling
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group
from trainables.training.pool import ImagePool

CPU = torch.device("cpu")
Make = Callable[..., TrialConfig]


class Shift(nn.Module):
    """A translator that adds a number, and counts how often it is asked."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by, self.asked = by, 0

    def forward(self, images: Tensor) -> Tensor:
        self.asked += 1
        return images + self.by


class Mean(nn.Module):
    """A critic whose logits are the means of an image's four quarters."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(images.mean(1, keepdim=True), images.shape[-1] // 2).squeeze(1)


def sides(there: float, back: float) -> dict[str, Side]:
    pool = ImagePool(0, 4, CPU)
    return {"target": Side(Shift(there), Mean(), pool), "source": Side(Shift(back), Mean(), pool)}


REALS = {"target": torch.full((2, 3, 4, 4), 0.5), "source": torch.zeros(2, 3, 4, 4)}


def test_its_terms_are_those_of_the_paper_in_closed_form() -> None:
    made = objective(CycleWeights(cycle=10, identity=0.5), sides(0.25, -0.5), REALS, torch.zeros_like)
    losses = {name: float(loss) for name, loss in made.losses.items()}
    assert losses == pytest.approx(
        {
            "loss_g": (0.25 - 1) ** 2 + (0.0 - 1) ** 2,  # each translation's own critic, towards 1
            "loss_cycle": 10 * (0.25 + 0.25),
            "loss_identity": 10 * 0.5 * (0.25 + 0.5),
        }
    )
    assert {name: float(images.mean()) for name, images in made.translations.items()} == {"target": 0.25, "source": 0.0}


@pytest.mark.parametrize(
    ("weights", "terms", "asked"),
    [
        (CycleWeights(), {"loss_g", "loss_cycle", "loss_identity"}, 3),
        (CycleWeights(identity=0), {"loss_g", "loss_cycle"}, 2),
        (CycleWeights(cycle=0), {"loss_g"}, 1),
    ],
)
def test_a_weight_of_0_switches_its_term_off_and_its_cost(weights: CycleWeights, terms: set[str], asked: int) -> None:
    both = sides(0.1, -0.1)
    assert objective(weights, both, REALS, torch.zeros_like).losses.keys() == terms
    assert [side.translator.asked for side in both.values()] == [asked, asked]


def test_the_critic_halves_its_error_on_either() -> None:
    side = sides(0, 0)["target"]
    assert float(side.critic_loss(torch.full((1, 3, 4, 4), 0.5), torch.full((1, 3, 4, 4), 0.25))) == pytest.approx(
        (0.5**2 + 0.25**2) / 2
    )


def learner_of(config: TrialConfig, home: Home) -> TranslationLearner:
    learner = method_of(config.method).build(config, gather(config, home), CPU, Group())
    assert isinstance(learner, TranslationLearner)
    return learner


def test_the_two_translators_start_from_different_weights(translation: Make, home: Home) -> None:
    state = learner_of(translation(), home).state_dict()
    there, back = ("translator_to_target.", "translator_to_source.")
    twins = [(state[name], state[back + name.removeprefix(there)]) for name in state if name.startswith(there)]
    assert not any(torch.equal(*pair) for pair in twins if pair[0].any())


def test_the_translators_step_leaves_no_gradient_in_the_critics(translation: Make, home: Home) -> None:
    config = translation()
    learner, seen = learner_of(config, home), []
    critics = [p for group in learner.adam_d.param_groups for p in group["params"]]
    learner.adam_g.register_step_pre_hook(lambda *_: seen.extend(p.grad for p in critics))
    batch = next(method_of("cyclegan").batches(config, gather(config, home), 0, CPU))
    learner.step(batch)
    assert len(seen) == len(critics)
    assert all(gradient is None for gradient in seen)
    assert all(p.requires_grad and p.grad is not None for p in critics)


def test_the_pools_are_part_of_the_state_and_critics_see_earlier_translations(translation: Make, home: Home) -> None:
    config = translation()
    learner, other = learner_of(config, home), learner_of(config, home)
    batches = method_of("cyclegan").batches(config, gather(config, home), 0, CPU)
    for _ in range(2):
        learner.step(next(batches))
    state = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    for pool in ("pool_of_target", "pool_of_source"):
        assert int(state[f"{pool}.filled"]) == 6
        assert all(image.any() for image in state[f"{pool}.images"])
    other.load_state_dict(state)
    batch = next(batches)
    losses = learner.step(batch)
    assert losses == other.step(batch)
    emptied = learner_of(config, home)
    emptied.load_state_dict({name: tensor * 0 if name.startswith("pool") else tensor for name, tensor in state.items()})
    found = emptied.step(batch)
    assert found["loss_g"] == losses["loss_g"] and found["loss_d"] != losses["loss_d"]


def test_the_rate_is_constant_and_then_falls_to_0(translation: Make, home: Home) -> None:
    config = translation(budget={"images": 32, "eval_every_images": 8}, training={"lr": 1.0, "batch": 8})
    learner, batches = learner_of(config, home), method_of("cyclegan").batches(config, gather(config, home), 0, CPU)
    rates = []
    for _ in range(4):
        learner.step(next(batches))
        rates.append(learner.adam_d.param_groups[0]["lr"])
    assert rates == [1, 1, 1, 0.5]
    assert [falling(1.0, 0.5, seen) for seen in (0.5, 0.75, 1.0)] == [1, 0.5, 0]
    assert [falling(1.0, 1.0, seen) for seen in (0.0, 1.0)] == [1, 1]


def test_flips_mirror_either_domain_and_none_is_the_default(translation: Make, home: Home) -> None:
    config = translation()
    batch = next(method_of("cyclegan").batches(config, gather(config, home), 0, CPU))
    plain, flipped = (
        learner_of(translation(training={"batch": 4, "flip": flip}), home).step(batch) for flip in (False, True)
    )
    assert plain == learner_of(translation(training={"batch": 4}), home).step(batch)
    assert plain != flipped


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"source": "scratch"}, "takes the images of a domain, and source 'scratch' is none; name one"),
        ({"source": "filled"}, "takes two domains: source and target are both 'filled'"),
    ],
)
def test_without_another_domain_there_is_nothing_to_translate(translation: Make, fields: dict, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        translation(**fields)
    assert len(str(refused.value).splitlines()) == 1
