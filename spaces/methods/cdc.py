"""The settings of CDC (Ojha et al., "Few-shot image generation via cross-domain correspondence", CVPR 2021)."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from spaces.methods.from_source import FromSourceConfig
from spaces.records import Config


class Correspondence(Config):
    """What of the source is kept: which of its images are like which; and where the critic sees whole images."""

    weight: NonNegativeFloat = 333.0
    """Of the mean divergence of an image's similarities to others from the source's. The authors' 1,000 over the mean of all
    entries is 333 of it, at their 4 images."""
    images: int = Field(default=4, ge=3)
    """Generated images that are compared with each other in an iteration; of two each would have one other, whose share is
    always all."""
    whole_every: PositiveInt = 4
    """Every so many iterations the critic judges whole images, of z near anchors; in the others patches, of any z."""
    anchor_spread: PositiveFloat = 0.1
    """Standard deviation of z around an anchor; there are as many anchors as images to train on."""


class CdcConfig(FromSourceConfig):
    """Fine-tuning that keeps how a source model's images resemble each other, so that few images do not make all alike."""

    method: Literal["cdc"] = "cdc"
    correspondence: Correspondence = Correspondence()

    @model_validator(mode="after")
    def _one_kind_of_logits(self) -> Self:
        if self.loss.lecam:
            raise ValueError(
                f"loss/lecam={self.loss.lecam:g} goes by averages of one kind of logits, and method 'cdc' has those of whole "
                "images and of patches; set it to 0"
            )
        return self
