"""Direct transformation that keeps a pretrained network's features: a translator, a critic, and what both images look like.

The network is the only one that comes with its weights, EfficientNet-Lite0, by which FD, IW and content shift are measured by
default. `learns_from` of the config says so: trials are ranked by other features alone, and a report says why. The maps are of
earlier layers and smaller images than those of the metrics.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from spaces.methods.feature_consistency import FeatureConsistencyConfig, FeatureWeights
from trainables.methods.method import Given, Method
from trainables.methods.translation.learner import Noise, Side, Sides, Translated, TranslationLearner
from trainables.methods.translation.translating import NEEDS, InputSampler, only_domain, unpaired_batches
from trainables.metrics.features import lite0, lite0_inputs, lite0_maps
from trainables.training.parallel import Group

FeatureMaps = Callable[[Tensor], list[Tensor]]
"""Of images (n, 3, R, R) in [-1, 1], with gradients: maps (n, c, h, w) of any number of layers."""

MAPS_SIZE = 64
"""Pixels along a side that the features see."""
MAPS_BLOCKS = (2, 4)
"""The last blocks of EfficientNet-Lite0 with 24 and 40 channels: maps of 16 and 8 places along a side."""


def objective(
    weights: FeatureWeights, features: FeatureMaps, sides: Sides, reals: Mapping[str, Tensor], noise: Noise
) -> Translated:
    """Fool the critic, and keep what is where in the input."""
    translations = sides["target"].translator(reals["source"])
    losses = {"loss_g": sides["target"].fooled(translations)}
    if weights.features:
        with torch.no_grad():
            wanted = features(reals["source"])
        losses["loss_features"] = weights.features * difference(wanted, features(translations))
    return Translated(losses, {"target": translations})


def difference(wanted: list[Tensor], found: list[Tensor]) -> Tensor:
    """The mean squared difference of maps, each channel of each image brought to mean 0 and variance 1; the mean over layers.

    A map's mean and spread are its style, which should change.
    """
    pairs = zip(wanted, found, strict=True)
    return torch.stack([F.mse_loss(F.instance_norm(one), F.instance_norm(other)) for one, other in pairs]).mean()


def lite0_features(device: torch.device) -> FeatureMaps:
    """The maps of EfficientNet-Lite0, whose weights take no gradients."""
    network = lite0(MAPS_SIZE, device)[0]
    return lambda images: lite0_maps(network, lite0_inputs((images + 1) * 127.5, MAPS_SIZE), MAPS_BLOCKS)


def build(config: FeatureConsistencyConfig, given: Given, device: torch.device, group: Group) -> TranslationLearner:
    """The one translator at its start."""
    sides = {"target": Side.of(config, given.target.facts.resolution, device, config.seed)}
    kept = partial(objective, config.weights, lite0_features(device))
    return TranslationLearner(config, only_domain(config, given), sides, kept, device, group)


FEATURE_CONSISTENCY = Method(
    config=FeatureConsistencyConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=build,
    sampler=InputSampler,
)
