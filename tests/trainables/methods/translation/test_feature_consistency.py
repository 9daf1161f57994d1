"""Direct transformation that keeps pretrained features, and what the features must not do."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spaces.config import TrialConfig
from spaces.methods.feature_consistency import FeatureWeights
from trainables.methods.registry import method_of
from trainables.methods.translation.feature_consistency import (
    MAPS_BLOCKS,
    MAPS_SIZE,
    difference,
    lite0_features,
    objective,
)
from trainables.methods.translation.learner import Side
from trainables.metrics.features import content_maps
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.parallel import Group
from trainables.training.pool import ImagePool

CPU = torch.device("cpu")


class Scaled(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images * 0.5


def a_side() -> dict[str, Side]:
    return {"target": Side(Scaled(), nn.Flatten(), ImagePool(0, 4, CPU))}


def test_features_are_not_asked_for_at_a_weight_of_0() -> None:
    def refuse(images: Tensor) -> list[Tensor]:
        raise AssertionError("asked")

    reals = {"source": torch.ones(2, 3, 4, 4)}
    made = objective(FeatureWeights(features=0), refuse, a_side(), reals, torch.zeros_like)
    assert {name: float(loss) for name, loss in made.losses.items()} == {"loss_g": 0.25}


def test_mean_and_spread_of_a_map_are_style_and_cost_nothing() -> None:
    maps = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(difference([maps], [maps * 3 - 2])) == pytest.approx(0, abs=1e-4)
    assert float(difference([maps], [-maps])) == pytest.approx(4, rel=1e-3)
    assert float(difference([maps, maps], [maps, -maps])) == pytest.approx(2, rel=1e-3)


def test_the_gradient_reaches_translations_alone(translation: Callable[..., TrialConfig]) -> None:
    features = lite0_features(CPU)
    images = (torch.rand(1, 3, 32, 32) * 2 - 1).requires_grad_()
    wanted = [maps.detach() for maps in features(torch.zeros(1, 3, 32, 32))]
    difference(wanted, features(images)).backward()
    assert images.grad is not None and images.grad.abs().max() > 0
    sides = [maps.shape[2:] for maps in wanted]
    assert [maps.shape[1] for maps in wanted] == [24, 40] and sides == [(16, 16), (8, 8)]


def test_its_maps_are_earlier_ones_than_those_that_content_is_scored_by() -> None:
    scored = content_maps(torch.zeros(1, 3, 32, 32, dtype=torch.uint8).numpy(), CPU)
    assert scored.shape[1] not in (24, 40) and max(MAPS_BLOCKS) < 10 and MAPS_SIZE < 128


def test_a_study_does_not_rank_it_by_the_features_that_it_trains_on(translation: Callable[..., TrialConfig]) -> None:
    for metric in ("fd", "iw", "content_shift"):
        config = translation(method="feature_consistency", protocol={"metrics": (metric, "pair_error")})
        said = config.unjudged(config.protocol) or ""
        assert f"trains by the features of efficientnet_lite0, which {metric} is measured by" in said
        assert len(said.splitlines()) == 1
    for protocol in ({"metrics": ("pair_error", "fd")}, {"metrics": ("iw",), "extractor": "random_convnet"}):
        config = translation(method="feature_consistency", protocol=protocol)
        assert config.unjudged(config.protocol) is None


def test_the_pretrained_network_is_neither_trained_nor_saved(
    translation: Callable[..., TrialConfig], home: Home
) -> None:
    config = translation(method="feature_consistency", protocol={"metrics": ("pair_error",), "input_size": 32})
    learner = method_of(config.method).build(config, gather(config, home), CPU, Group())
    direct = translation(method="direct", translator={"width": 2, "blocks": 1})
    other = method_of("direct").build(direct, gather(direct, home), CPU, Group())
    assert learner.state_dict().keys() == other.state_dict().keys()
