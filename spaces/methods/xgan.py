"""The settings of XGAN (Royer et al., "XGAN: Unsupervised image-to-image translation for many-to-many mappings", 2017)."""

from typing import Literal

from pydantic import NonNegativeFloat

from spaces.methods.domain_confusion import ConfusionWeights
from spaces.methods.shared_code import SharedCodeConfig


class XganWeights(ConfusionWeights):
    """What the autoencoders minimise beside their critics' word. A weight of 0 switches its term off, and its cost."""

    semantic: NonNegativeFloat = 1.0
    """Of the mean difference between the directions of an image's code and of its translation's, at each place."""


class XganConfig(SharedCodeConfig):
    """Two autoencoders whose codes don't tell their domain, and stay what they are when an image is translated."""

    method: Literal["xgan"] = "xgan"
    weights: XganWeights = XganWeights()
