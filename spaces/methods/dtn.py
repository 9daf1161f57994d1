"""The settings of DTN (Taigman et al., "Unsupervised cross-domain image generation", ICLR 2017)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from spaces.methods.translation import LearnedTranslationConfig, Training
from spaces.networks import Translator
from spaces.records import Config


class DtnWeights(Config):
    """What the decoder minimises beside the critic's word. A weight of 0 switches its term off, and its cost."""

    constancy: NonNegativeFloat = 15.0
    """Of the mean squared difference between the codes of an image and of its translation, each channel of each image brought
    to mean 0 and variance 1."""
    identity: NonNegativeFloat = 15.0
    """Of that between a target image and what becomes of it."""


class DtnTraining(Training):
    """How encoder, decoder and critic train."""

    @model_validator(mode="before")
    @classmethod
    def _without_a_pool(cls, data: Any) -> Any:
        """Specs and trials of earlier versions have a size of one, which did nothing: the critic sees new images alone."""
        return {name: value for name, value in data.items() if name != "pool"} if isinstance(data, Mapping) else data


class DtnConfig(LearnedTranslationConfig):
    """An encoder that is learnt first and then held, and a decoder that makes target images of its codes."""

    method: Literal["dtn"] = "dtn"
    translator: Translator = Translator(blocks=4)
    """Encoder and decoder, with half of the blocks each."""
    training: DtnTraining = DtnTraining()
    pretraining: float = Field(default=0.25, ge=0, lt=1)
    """The share of the budget in which encoder and decoder learn to give back images of either domain; then the encoder is held.
    """
    weights: DtnWeights = DtnWeights()
