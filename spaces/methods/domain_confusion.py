"""The settings of translation by codes that don't tell their domain (Ganin et al., "Domain-adversarial training", JMLR 2016)."""

from typing import Literal

from pydantic import NonNegativeFloat

from spaces.methods.shared_code import SharedCodeConfig
from spaces.records import Config


class ConfusionWeights(Config):
    """What the autoencoders minimise beside their critics' word. A weight of 0 switches its term off, and its cost."""

    reconstruction: NonNegativeFloat = 10.0
    """Of the mean difference between an image and what its own domain's decoder makes of its code."""
    confusion: NonNegativeFloat = 1.0
    """Of the discriminator's cross entropy, which encoders raise: from which domain is the code at this place?"""


class DomainConfusionConfig(SharedCodeConfig):
    """Two autoencoders whose codes a discriminator can't tell apart by domain; nothing has to lead back home."""

    method: Literal["domain_confusion"] = "domain_confusion"
    weights: ConfusionWeights = ConfusionWeights()
