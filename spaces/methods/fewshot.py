"""What the settings of all few-shot methods have in common: K images of each class of the target, and more of it is made."""

from typing import Self

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from spaces.config import SCRATCH, TrialConfig
from spaces.networks import Channels
from spaces.records import Config, Name


class FewshotConfig(TrialConfig):
    """A trial that is given K images of each class of the target, `data/shots`, and makes more of them."""

    @model_validator(mode="after")
    def _needs_shots(self) -> Self:
        if self.data.shots is None:
            raise ValueError(
                f"method {self.method!r} makes more of K images of each class; give --shots K (data/shots), as 3"
            )
        return self

    @property
    def shots(self) -> int:
        """K: how many images of each class of the target the trial is given."""
        assert self.data.shots is not None, "validated"
        return self.data.shots


class UntrainedFewshotConfig(FewshotConfig):
    """One that learns nothing, of no source: it has one evaluation, after no image.

    Budget and data are those of the trials that it is compared with.
    """

    @model_validator(mode="after")
    def _has_no_source(self) -> Self:
        if self.source != SCRATCH:
            raise ValueError(
                f"method {self.method!r} learns from no source, and {self.source!r} is one; give 'scratch'"
            )
        return self


class Learning(Config):
    """What the training of all learned methods has."""

    lr: PositiveFloat = 1e-4
    """The rate of all networks."""
    flip: bool = False
    """Mirror half of the images. Right for photos, wrong for letters and icons; searches do so where a domain is of photos."""

    @property
    def rows(self) -> int:
        """What the workers of a trial share in a step."""
        raise NotImplementedError


class BatchLearning(Learning):
    """One in batches."""

    batch: PositiveInt = 8

    @property
    def rows(self) -> int:
        return self.batch


class LearnedFewshotConfig(FewshotConfig):
    """One that learns from a domain of many classes, the seen ones, how it is done; the target's classes are unseen."""

    training: Learning = Learning()

    @property
    def domains(self) -> tuple[Name, ...]:
        return (self.source,)

    @property
    def batch(self) -> int:
        return self.training.rows

    @property
    def mirrors(self) -> bool:
        return self.training.flip

    @model_validator(mode="after")
    def _learns_from_classes(self) -> Self:
        if self.source == SCRATCH:
            raise ValueError(
                f"method {self.method!r} learns from the classes of a domain, and source 'scratch' is none; name one"
            )
        if self.source == self.target:
            raise ValueError(
                f"method {self.method!r} learns from other classes than the target's: source and target are {self.target!r}"
            )
        return self


class SetTraining(BatchLearning):
    """How networks that make images of sets of images train, and their critic."""

    lr: PositiveFloat = 1e-4
    """Adam's rate of both networks."""
    beta1: NonNegativeFloat = 0.0
    beta2: PositiveFloat = 0.9
    batch: PositiveInt = 8
    """Sets in a critic step, and in the generator's: 20 in two of the papers, 32 in the third."""
    n_critic: PositiveInt = 1
    """Critic steps to each of the generator's."""
    ema_halflife_images: PositiveInt = 1_000
    """Half-life of the generator's moving average, in sets; ramped up over the first ones of a run."""


class SetConfig(LearnedFewshotConfig):
    """A generator from sets of images to one more of their class, trained against a critic."""

    width: Channels = 16
    """Channels of both networks at the finest resolution (64 in the papers, at half of it)."""
    training: SetTraining = SetTraining()
    faithful: bool = False
    """Do as the authors' code does where it contradicts their paper, to compare with published numbers."""

    @property
    def rates(self) -> tuple[float, float]:
        return self.training.lr, self.training.lr
