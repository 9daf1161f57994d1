"""The settings of generative matching networks (Bartunov and Vetrov, AISTATS 2018)."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from spaces.methods.fewshot import BatchLearning, LearnedFewshotConfig
from spaces.networks import Channels


class BoundTraining(BatchLearning):
    """How the bound on the likelihood is raised. The paper lets the rate fall from 1e-3 to 1e-4."""

    lr: PositiveFloat = 1e-3
    """Adam's rate."""
    beta1: NonNegativeFloat = 0.9
    beta2: PositiveFloat = 0.99
    batch: PositiveInt = 20
    """Sets in a step."""


class GmnConfig(LearnedFewshotConfig):
    """A variational autoencoder whose prior, decoder and recogniser attend to the images of a class seen so far; no GAN."""

    method: Literal["gmn"] = "gmn"
    width: Channels = 16
    """Channels at half the resolution; twice as many further inside."""
    z_dim: Annotated[int, Field(ge=1, le=1024)] = 50
    hops: Annotated[int, Field(ge=0, le=10)] = 1
    """How often the images are read before each answer; 0 takes their plain mean."""
    training: BoundTraining = BoundTraining()
