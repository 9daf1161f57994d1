"""The settings of FIGR (Clouatre and Demers 2019), of DAWSON (Liang et al. 2020), and of the baseline of both.

FIGR is Reptile on a GAN, DAWSON any first-order meta-learning; which one is `meta`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from spaces.methods.fewshot import BatchLearning, LearnedFewshotConfig, Learning
from spaces.networks import Channels
from spaces.records import Config


class Adaptation(Config):
    """The steps on K images of a class that make the GAN one of that class."""

    steps: NonNegativeInt = 10
    """Of critic and generator in turn, all on the same images."""
    rate: PositiveFloat = 1e-3
    """Of the gradient descent in those steps; FIGR's, whose code has another penalty: to be tuned anew for the repaired one."""
    penalty: NonNegativeFloat = 10.0
    """Weight of the critic's gradient penalty."""


class MetaTraining(Learning):
    """How the weights that adaptation starts from are learnt."""

    lr: PositiveFloat = 1e-4
    """Adam's rate on the way that adaptation went, or of the gradients behind it; by "step" the share of the way (0.1)."""
    outer: Literal["adam", "step"] = "adam"
    """How the start moves: by Adam, as in FIGR's code, or straight (Reptile's own form)."""
    beta1: NonNegativeFloat = 0.9
    beta2: PositiveFloat = 0.999
    tasks: PositiveInt = 1
    """Classes that a step of the start is taken of; workers share them."""

    @model_validator(mode="before")
    @classmethod
    def _strides_by_step(cls, values: Any) -> Any:
        """Adam's rate would be no step at all."""
        strides = isinstance(values, Mapping) and values.get("outer") == "step"
        return {"lr": 0.1, **values} if strides else values

    @property
    def rows(self) -> int:
        return self.tasks


class JointTraining(BatchLearning):
    """How a GAN of all seen classes together trains: WGAN-GP."""

    lr: PositiveFloat = 1e-4
    """Adam's rate of both networks."""
    beta1: NonNegativeFloat = 0.0
    beta2: PositiveFloat = 0.9
    batch: PositiveInt = 32
    """Images in a critic step, and in the generator's."""
    n_critic: PositiveInt = 5
    """Critic steps to each of the generator's."""


class AdaptiveConfig(LearnedFewshotConfig):
    """A GAN that is adapted to K images of a class before it is sampled. What is stored is never adapted itself."""

    width: Channels = 16
    """Channels of both networks at the finest resolution (64 in the paper, of another network)."""
    z_dim: Annotated[int, Field(ge=1, le=1024)] = 100
    adaptation: Adaptation = Adaptation()


class FigrConfig(AdaptiveConfig):
    """The start is learnt by adapting it to one seen class after the other."""

    method: Literal["figr"] = "figr"
    meta: Literal["reptile", "fomaml"] = "reptile"
    """Towards the weights after adaptation (FIGR), or by the gradients there on K other images of the class (DAWSON)."""
    training: MetaTraining = MetaTraining()
    faithful: bool = False
    """Take the penalty's norm over channels alone, as FIGR's code does, to compare with published numbers."""


class JointConfig(AdaptiveConfig):
    """The start is a GAN of all seen classes together: the baseline of learning it class by class."""

    method: Literal["joint"] = "joint"
    training: JointTraining = JointTraining()
