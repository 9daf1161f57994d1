"""The settings of UNIT (Liu et al., "Unsupervised Image-to-Image Translation Networks", NeurIPS 2017)."""

from typing import Literal

from pydantic import NonNegativeFloat

from spaces.methods.shared_code import SharedCodeConfig
from spaces.records import Config


class UnitWeights(Config):
    """What the autoencoders minimise beside their critics' word. A weight of 0 switches its term off, and its cost."""

    reconstruction: NonNegativeFloat = 10.0
    """Of the mean difference between an image and what its own domain's decoder makes of its noisy code."""
    cycle: NonNegativeFloat = 10.0
    """Of that between an image and its translation there and back."""
    code: NonNegativeFloat = 0.01
    """Of the mean square of codes, those of translations among them: the divergence from N(0, 1) at a spread of 1."""


class UnitConfig(SharedCodeConfig):
    """Two variational autoencoders and a critic for each domain: a common code, held by shared blocks and the way back."""

    method: Literal["unit"] = "unit"
    weights: UnitWeights = UnitWeights()
