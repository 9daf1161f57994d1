"""The settings of CycleGAN (Zhu et al., "Unpaired Image-to-Image Translation", ICCV 2017)."""

from typing import Literal

from pydantic import NonNegativeFloat

from spaces.methods.translation import PooledTranslationConfig
from spaces.records import Config


class CycleWeights(Config):
    """What the translators minimise beside their critics' word. A weight of 0 switches its term off, and its cost."""

    cycle: NonNegativeFloat = 10.0
    """Of the mean difference between an image and its translation there and back."""
    identity: NonNegativeFloat = 0.5
    """Of that between a target image and its own translation, as a multiple of `cycle`; holds colours, also those that should
    change."""


class CycleGanConfig(PooledTranslationConfig):
    """Two translators, there and back, and a critic for each."""

    method: Literal["cyclegan"] = "cyclegan"
    weights: CycleWeights = CycleWeights()
