"""The settings of ComboGAN (Anoosheh et al., "ComboGAN: Unrestrained Scalability for Image Domain Translation", 2018)."""

from typing import Literal

from pydantic import NonNegativeFloat

from spaces.methods.translation import PooledTranslationConfig, SeveralDomainsConfig
from spaces.records import Config


class ComboWeights(Config):
    """What encoders and decoders minimise beside the critics' word. A weight of 0 switches its term off, and its cost."""

    cycle: NonNegativeFloat = 10.0
    """Of the mean difference between an image and its translation there and back."""
    autoencoding: NonNegativeFloat = 0.0
    """Of that between an image and what its own domain makes of it, at half the sharpness, as a multiple of `cycle`."""


class ComboGanConfig(SeveralDomainsConfig, PooledTranslationConfig):
    """An encoder, a decoder and a critic for each of several domains; each step trains two of them. `source` is scored."""

    method: Literal["combogan"] = "combogan"
    weights: ComboWeights = ComboWeights()
