"""The settings of F2GAN (Hong et al., "F2GAN: fusing-and-filling GAN for few-shot image generation", ACM MM 2020)."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat

from spaces.methods.fewshot import SetConfig
from spaces.records import Config


class FillingWeights(Config):
    """What is minimised beside the critic's word on real and generated. A weight of 0 switches its term off, and its cost."""

    classes: NonNegativeFloat = 1.0
    """Of the classification of real images by the critic, and of generated ones by the generator."""
    reconstruction: NonNegativeFloat = 1.0
    """Of the difference between what is made and each of the K images, by their weights."""
    features: NonNegativeFloat = 1.0
    """Of the difference between the critic's features of what is made and the weighted sum of those of the K images."""
    mode_seeking: NonNegativeFloat = 1.0
    """Of the ratio of the distance of two draws of weights to that of the critic's features of what is made by them."""
    regression: NonNegativeFloat = 1.0
    """Of the error in telling, by the critic's features, which weights an image was made with."""


class F2GanConfig(SetConfig):
    """The codes of K images are fused with random weights, and the decoder fills in details by attending to all of them."""

    method: Literal["f2gan"] = "f2gan"
    concentration: PositiveFloat = 1.0
    """Of Dirichlet's distribution of the weights: 1 is uniform on the simplex."""
    attention: bool = True
    """Whether details are filled in; without, it is the fused code alone that is decoded."""
    weights: FillingWeights = FillingWeights()
