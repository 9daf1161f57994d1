"""The settings of the baseline that every method must beat: the source model as it is, untouched."""

from typing import Literal, Self

from pydantic import model_validator

from spaces.config import SCRATCH, TrialConfig
from spaces.networks import NetworkConfig


class AsIsConfig(TrialConfig):
    """A source model's generator, sampled untouched: nothing is trained, so it has one evaluation, after no image.

    Budget and data are those of the trials that it is compared with.
    """

    method: Literal["as_is"] = "as_is"
    network: NetworkConfig
    """The source model's own."""

    @model_validator(mode="after")
    def _needs_a_source(self) -> Self:
        if self.source == SCRATCH:
            raise ValueError(
                "method 'as_is' samples a source model, and source 'scratch' is none; name one of the shelf"
            )
        return self
