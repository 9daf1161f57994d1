"""The settings of direct transformation that keeps pretrained features of its inputs."""

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat

from spaces.methods.translation import PooledTranslationConfig
from spaces.records import Config


class FeatureWeights(Config):
    """What the translator minimises beside its critic's word. A weight of 0 switches its term off, and its cost."""

    features: NonNegativeFloat = 10.0
    """Of the mean squared difference between feature maps of an image and of its translation, each channel of each image
    brought to mean 0 and variance 1."""


class FeatureConsistencyConfig(PooledTranslationConfig):
    """One translator, which has to look like the target to its critic and like its input to a pretrained network.

    The network is the one that FD, KD, IW and content shift are measured by by default, so a study that ranks by those refuses
    it; by FD, KD and IW of another extractor, as random_convnet, or by pair error it is ranked.
    """

    learns_from: ClassVar[str | None] = "efficientnet_lite0"

    method: Literal["feature_consistency"] = "feature_consistency"
    weights: FeatureWeights = FeatureWeights()
