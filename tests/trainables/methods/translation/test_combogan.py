"""ComboGAN: any two of several domains make a translator, and a step trains two of them."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spaces.methods.combogan import ComboGanConfig, ComboWeights
from trainables.images.domains import write_domain
from trainables.methods.registry import method_of
from trainables.methods.translation.combogan import ComboGanLearner, objective, translations
from trainables.methods.translation.learner import BACK, Side
from trainables.networks.translators import ImageTranslator
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.parallel import Group

Make = Callable[..., ComboGanConfig]
CPU = torch.device("cpu")


@pytest.fixture
def config(translation: Make, home: Home) -> ComboGanConfig:
    """Of three domains."""
    images = np.random.default_rng(3).integers(0, 256, (30, 3, 32, 32), dtype=np.uint8)
    write_domain(home.domain("noise"), images, np.full(30, -1), np.arange(30) < 5, origin="test", resizer="none")
    return translation(method="combogan", beside=["noise"])


def learner_of(config: ComboGanConfig, home: Home) -> ComboGanLearner:
    return ComboGanLearner(config, gather(config, home), CPU, Group())


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """The domains whose networks differ."""
    names = (
        name.partition(".")[0] for name in after if name not in before or not torch.equal(before[name], after[name])
    )
    return {name.partition("_of_")[2] for name in names if "_of_" in name}


def test_a_step_moves_the_two_domains_of_its_pair_alone(config: ComboGanConfig, home: Home) -> None:
    learner, batches = learner_of(config, home), method_of("combogan").batches(config, gather(config, home), 0, CPU)
    for number in range(4):
        before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
        learner.step(next(batches))
        drawn = learner._pair(Draws(config.seed, number))
        assert moved(before, learner.state_dict()) == set(drawn) and len(set(drawn)) == 2


def test_neither_building_nor_a_step_draws_from_the_global_random_numbers(config: ComboGanConfig, home: Home) -> None:
    batches, before = method_of("combogan").batches(config, gather(config, home), 0, CPU), torch.get_rng_state()
    learner = learner_of(config, home)
    learner.step(next(batches))
    learner.step(next(batches))
    assert torch.equal(torch.get_rng_state(), before)
    expected = learner._autoencoder("target").decoder(learner._autoencoder("source").encoder(torch.ones(1, 3, 32, 32)))
    assert torch.equal(learner._scored(torch.ones(1, 3, 32, 32)), expected)


def test_every_pair_is_drawn_as_often(config: ComboGanConfig, home: Home) -> None:
    learner = learner_of(config, home)
    counts = Counter(frozenset(learner._pair(Draws(0, number))) for number in range(300))
    assert len(counts) == 3 and min(counts.values()) > 70


def test_what_is_scored_is_the_sources_encoder_before_the_targets_decoder(config: ComboGanConfig, home: Home) -> None:
    learner = learner_of(config, home)
    images = torch.rand(2, 3, 32, 32)
    expected = learner._autoencoder("target").decoder(learner._autoencoder("source").encoder(images))
    assert torch.equal(learner._scored(images), expected) and torch.equal(learner.average(images), expected)
    batches = method_of("combogan").batches(config, gather(config, home), 0, CPU)
    for _ in range(3):
        learner.step(next(batches))
    assert not torch.equal(learner.average(images), expected)


def test_terms_are_those_of_the_paper(translation: Make) -> None:
    config = translation(method="combogan")
    sides = {name: Side.of(config, 32, CPU, place * BACK) for place, name in enumerate(("target", "source"))}
    of = {name: side.translator for name, side in sides.items()}
    assert all(isinstance(each, ImageTranslator) for each in of.values())
    reals = {name: torch.rand(2, 3, 32, 32) * 2 - 1 for name in sides}
    losses, made = objective(ComboWeights(cycle=3.0, autoencoding=0.5), sides, of, reals)
    to_target = of["target"].decoder(of["source"].encoder(reals["source"]))
    assert torch.equal(made["target"], to_target)
    home = of["source"].decoder(of["target"].encoder(to_target))
    assert torch.equal(translations(of, made)["source"], home)
    back = of["target"].decoder(of["source"].encoder(made["source"]))
    cycle = F.l1_loss(home, reals["source"]) + F.l1_loss(back, reals["target"])
    assert losses["loss_cycle"].item() == pytest.approx(3 * cycle.item(), rel=1e-5)
    halved = [F.l1_loss(F.avg_pool2d(of[name](reals[name]), 2), F.avg_pool2d(reals[name], 2)) for name in sides]
    assert losses["loss_autoencoding"].item() == pytest.approx(1.5 * sum(halved).item(), rel=1e-5)
    assert set(objective(ComboWeights(cycle=0), sides, of, reals)[0]) == {"loss_g"}
