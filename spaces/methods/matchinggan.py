"""The settings of MatchingGAN (Hong et al., "MatchingGAN: matching-based few-shot image generation", ICME 2020)."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

from spaces.methods.fewshot import SetConfig
from spaces.records import Config


class MatchingWeights(Config):
    """What is minimised beside the critic's word on real and generated. A weight of 0 switches its term off, and its cost."""

    classes: NonNegativeFloat = 1.0
    """Of the classification of real images by the critic, and of generated ones by the generator."""
    code: NonNegativeFloat = 0.1
    """Of the squared difference between the code of what is made and the fused code that it was made of."""
    features: NonNegativeFloat = 1.0
    """Of the difference between the critic's features of what is made and the weighted sum of those of the K images."""


class MatchingGanConfig(SetConfig):
    """K images are fused by how well each matches noise; what the encoder makes of them is summed by these weights."""

    method: Literal["matchinggan"] = "matchinggan"
    mixing: Literal["matching", "random"] = "matching"
    """Whether weights are found by matching, as in the paper, or drawn uniformly on the simplex."""
    z_dim: Annotated[int, Field(ge=1, le=1024)] = 100
    """Numbers of the noise that images are matched with."""
    weights: MatchingWeights = MatchingWeights()
