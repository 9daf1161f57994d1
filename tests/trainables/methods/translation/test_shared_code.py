"""Methods with a common code: UNIT, and codes that don't tell their domain."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.methods.domain_confusion import ConfusionWeights
from spaces.methods.unit import UnitConfig, UnitWeights
from trainables.images.batches import Batch
from trainables.methods.registry import method_of
from trainables.methods.translation import domain_confusion, unit
from trainables.methods.translation.codes import both_sides, code_of, image_of
from trainables.methods.translation.domain_confusion import domain_loss, turned
from trainables.methods.translation.learner import Side, TranslationLearner
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group
from trainables.training.pool import ImagePool

CPU = torch.device("cpu")
Make = Callable[..., TrialConfig]
UNIT = {"method": "unit", "translator": {"width": 2, "blocks": 2}}


class Add(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


class Halves(nn.Module):
    """A translator whose encoder adds one number, its decoder another."""

    def __init__(self, encoder: float, decoder: float) -> None:
        super().__init__()
        self.encoder, self.decoder = Add(encoder), Add(decoder)


def sides() -> dict[str, Side]:
    """The source's autoencoder adds 0.1 and then 0.4; the target's 0.2 and then 0.3."""
    pool = ImagePool(0, 4, CPU)
    return {"target": Side(Halves(0.1, 0.3), nn.Flatten(), pool), "source": Side(Halves(0.2, 0.4), nn.Flatten(), pool)}


REALS = {"target": torch.full((2, 3, 4, 4), 0.5), "source": torch.zeros(2, 3, 4, 4)}


def test_each_domain_has_the_encoder_of_the_way_out_and_the_decoder_of_the_way_in() -> None:
    both, image = sides(), torch.zeros(1)
    assert [float(code_of(both, domain, image)) for domain in ("source", "target")] == pytest.approx([0.1, 0.2])
    assert [float(image_of(both, domain, image)) for domain in ("source", "target")] == pytest.approx([0.4, 0.3])


def test_units_terms_in_closed_form() -> None:
    made = unit.objective(UnitWeights(reconstruction=10, cycle=10, code=0.01), sides(), REALS, torch.zeros_like)
    to_target, to_source = 0.1 + 0.3, 0.5 + 0.2 + 0.4
    squares = 0.1**2 + 0.7**2 + (to_target + 0.2) ** 2 + (to_source + 0.1) ** 2  # codes of images, and of translations
    assert {name: loss.item() for name, loss in made.losses.items()} == pytest.approx(
        {
            "loss_g": (to_target - 1) ** 2 + (to_source - 1) ** 2,
            "loss_reconstruction": 10 * (0.5 + 0.5),
            "loss_cycle": 10 * ((to_target + 0.2 + 0.4) + abs(to_source + 0.1 + 0.3 - 0.5)),
            "loss_code": 0.01 * squares,
        }
    )


@pytest.mark.parametrize(
    ("weights", "terms", "draws"),
    [
        (UnitWeights(), {"loss_g", "loss_reconstruction", "loss_cycle", "loss_code"}, 4),
        (UnitWeights(cycle=0), {"loss_g", "loss_reconstruction", "loss_code"}, 2),
        (UnitWeights(cycle=0, code=0, reconstruction=0), {"loss_g"}, 2),
    ],
)
def test_units_weights_of_0_switch_terms_off_and_crash_nothing(
    weights: UnitWeights, terms: set[str], draws: int
) -> None:
    asked = []
    made = unit.objective(weights, sides(), REALS, lambda code: asked.append(code) or torch.zeros_like(code))
    assert made.losses.keys() == terms and len(asked) == draws


def learner_of(config: TrialConfig, home: Home) -> TranslationLearner:
    learner = method_of(config.method).build(config, gather(config, home), CPU, Group())
    assert isinstance(learner, TranslationLearner)
    return learner


def batch_of(config: TrialConfig, home: Home) -> Batch:
    return next(method_of(config.method).batches(config, gather(config, home), 0, CPU))


def test_codes_are_noisy_in_training_by_seed_and_iteration_and_plain_in_sampling(translation: Make, home: Home) -> None:
    config = translation(**UNIT)
    batch, one, same, other = (
        batch_of(config, home),
        *(learner_of(config, home) for _ in range(2)),
        learner_of(config, home),
    )
    other.iterations = 1  # the noise of another iteration
    assert one.step(batch) == (found := same.step(batch))
    assert found["loss_reconstruction"] != other.step(batch)["loss_reconstruction"]
    assert torch.equal(one.sample(4, seed=0).images, one.sample(4, seed=0).images)


@pytest.mark.parametrize("shared", [0, 1, 2])
def test_the_blocks_next_to_the_code_are_the_same_ones_in_both_domains(translation: Make, shared: int) -> None:
    config = translation(method="unit", translator={"width": 2, "blocks": 4}, shared_blocks=shared)
    assert isinstance(config, UnitConfig)
    there, back = (side.translator for side in both_sides(config, 32, CPU).values())
    ends = [(there.encoder[-1 - place], back.encoder[-1 - place]) for place in range(2)]
    starts = [(there.decoder[place], back.decoder[place]) for place in range(2)]
    assert [one is other for one, other in ends] == [one is other for one, other in starts]
    assert [one is other for one, other in ends] == [place < shared for place in range(2)]
    assert there.encoder[1] is not back.encoder[1]


def test_what_is_shared_is_stepped_once_and_stays_shared_after_a_resume(translation: Make, home: Home) -> None:
    config = translation(**UNIT)
    learner, resumed = learner_of(config, home), learner_of(config, home)
    (weights,) = (group["params"] for group in learner.adam_g.param_groups)
    assert len(weights) == len({id(weight) for weight in weights})
    batch = batch_of(config, home)
    learner.step(batch)
    resumed.load_state_dict(learner.state_dict())
    for each in (learner, resumed):
        each.step(batch)
        state = each.state_dict()
        assert torch.equal(*(state[f"translator_to_{name}.decoder.0.change.1.weight"] for name in ("target", "source")))
        assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


def test_more_shared_blocks_than_an_encoder_has_are_refused(translation: Make) -> None:
    with pytest.raises(UserError, match="shared_blocks=2 is more than the 1 of an encoder; raise translator/blocks"):
        translation(**UNIT, shared_blocks=2)


def test_encoders_climb_what_the_discriminator_of_codes_descends() -> None:
    """One repository trains both on the same sign, so that codes tell their domain ever better."""
    code, tells = torch.ones(1, 1, 1, 1, requires_grad=True), nn.Conv2d(1, 1, 1)
    with torch.no_grad():
        tells.weight.fill_(2.0), tells.bias.zero_()
    loss = domain_loss(tells, {"target": code}, weight=3.0)
    loss.backward()
    assert loss.item() == pytest.approx(math.log1p(math.exp(-2)))
    slope = -1 / (1 + math.exp(2))  # of the loss by the logit
    assert float(tells.weight.grad) == pytest.approx(slope)
    assert float(code.grad) == pytest.approx(-3 * slope * 2)


def test_a_turned_code_is_the_code() -> None:
    code = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(turned(code, 0.7), code)


def test_confusions_terms_in_closed_form_and_off_at_0() -> None:
    torch.manual_seed(0)
    blind = nn.Conv2d(3, 1, 1)
    nn.init.zeros_(blind.weight), nn.init.zeros_(blind.bias)
    made = domain_confusion.objective(ConfusionWeights(), blind, sides(), REALS, torch.zeros_like)
    assert {name: loss.item() for name, loss in made.losses.items()} == pytest.approx(
        {"loss_g": (0.4 - 1) ** 2 + (1.1 - 1) ** 2, "loss_reconstruction": 10 * 1.0, "loss_domain": math.log(2)}
    )
    off = domain_confusion.objective(
        ConfusionWeights(reconstruction=0, confusion=0), nn.Identity(), sides(), REALS, torch.zeros_like
    )
    assert off.losses.keys() == {"loss_g"}


def test_the_discriminator_of_codes_is_trained_and_part_of_the_state(translation: Make, home: Home) -> None:
    config = translation(**{**UNIT, "method": "domain_confusion"})
    learner = learner_of(config, home)
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    learner.step(batch_of(config, home))
    after = learner.state_dict()
    moved = [name for name in before if name.startswith("discriminator_of_codes.")]
    assert len(moved) == 6 and not any(torch.equal(before[name], after[name]) for name in moved)
    assert not any("discriminator_of_codes" in name for name in learner.model().weights)
