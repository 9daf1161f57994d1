"""XGAN: codes that a translation keeps."""

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from spaces.config import TrialConfig
from spaces.methods.xgan import XganWeights
from trainables.images.pixels import to_float
from trainables.methods.registry import method_of
from trainables.methods.translation.learner import Side, TranslationLearner
from trainables.methods.translation.xgan import directions, objective
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group
from trainables.training.pool import ImagePool

CPU = torch.device("cpu")
ONE_WAY = torch.tensor([1.0, 0.0, 0.0])
OTHER_WAY = torch.tensor([0.0, 1.0, 0.0])


class Halves(nn.Module):
    """A translator whose encoder finds a code in the images' brightness, and whose decoder makes one brightness of all."""

    def __init__(self, makes: float) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder(makes)


class Encoder(nn.Module):
    """Bright images point one way, dark ones another; how far is the brightness itself."""

    def forward(self, images: Tensor) -> Tensor:
        bright = images.mean((1, 2, 3), keepdim=True)
        return torch.where(bright > 0, ONE_WAY[:, None, None], OTHER_WAY[:, None, None]) * bright.abs()


class Decoder(nn.Module):
    def __init__(self, makes: float) -> None:
        super().__init__()
        self.makes = makes

    def forward(self, codes: Tensor) -> Tensor:
        return torch.full((len(codes), 3, 4, 4), self.makes)


def sides(target: float, source: float) -> dict[str, Side]:
    """Decoders that make the one brightness for the target's domain, the other for the source's."""
    pool = ImagePool(0, 4, CPU)
    return {name: Side(Halves(makes), nn.Flatten(), pool) for name, makes in (("target", target), ("source", source))}


REALS = {"target": torch.full((2, 3, 4, 4), 0.5), "source": torch.full((2, 3, 4, 4), -0.5)}


def blind(channels: int = 3) -> nn.Module:
    """A discriminator of codes that can't tell any from another."""
    tells = nn.Conv2d(channels, 1, 1)
    nn.init.zeros_(tells.weight), nn.init.zeros_(tells.bias)
    return tells


def terms(weights: XganWeights, both: Mapping[str, Side]) -> dict[str, float]:
    made = objective(weights, blind(), both, REALS, torch.zeros_like)
    return {name: loss.item() for name, loss in made.losses.items()}


def test_xgans_terms_in_closed_form() -> None:
    """The target's decoder makes bright images of dark ones, whose code turns; the source's keeps the target's code."""
    turned = 2 * math.sqrt(3) / 3  # two of three channels differ by sqrt(3)
    assert terms(XganWeights(reconstruction=10, confusion=1, semantic=2), sides(0.75, 0.25)) == pytest.approx(
        {
            "loss_g": (0.75 - 1) ** 2 + (0.25 - 1) ** 2,
            "loss_reconstruction": 10 * (0.25 + 0.75),
            "loss_domain": math.log(2),
            "loss_semantic": 2 * turned,
        }
    )


@pytest.mark.parametrize("off", ["reconstruction", "confusion", "semantic"])
def test_a_weight_of_0_switches_its_term_off(off: str) -> None:
    term = {"reconstruction": "loss_reconstruction", "confusion": "loss_domain", "semantic": "loss_semantic"}[off]
    on = terms(XganWeights(), sides(0.75, 0.25))
    left = terms(XganWeights(**{off: 0.0}), sides(0.75, 0.25))
    assert left == {name: loss for name, loss in on.items() if name != term} and term in on


def test_shorter_codes_do_not_lower_the_semantic_term() -> None:
    """Compared as they are, codes would agree once they are all near 0."""
    torch.manual_seed(0)
    codes = torch.randn(2, 5, 4, 4)
    torch.testing.assert_close(directions(1e-3 * codes), directions(codes))
    torch.testing.assert_close(directions(codes).square().mean(1), torch.ones(2, 4, 4))


def test_the_semantic_term_reaches_both_encoders_and_both_decoders(
    translation: Callable[..., TrialConfig], home: Home
) -> None:
    config = translation(method="xgan", translator={"width": 2, "blocks": 2})
    given, method = gather(config, home), method_of("xgan")
    learner = method.build(config, given, CPU, Group())
    assert isinstance(learner, TranslationLearner)
    batch = next(method.batches(config, given, 0, CPU))
    both, reals = learner._sides, {"target": to_float(batch.images), "source": to_float(batch.sources[0])}
    made = objective(XganWeights(), blind(8), both, reals, torch.zeros_like)
    made.losses["loss_semantic"].backward()
    for side in both.values():
        for half in ("encoder", "decoder"):
            grads = [p.grad for name, p in side.translator.get_submodule(half).named_parameters() if name == "1.weight"]
            assert all(grad is not None and grad.abs().sum() > 0 for grad in grads), half
