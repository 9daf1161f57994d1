"""What defines one trial: frozen, complete, validated, and nothing else. Fields are what a search space may suggest."""

from typing import ClassVar, Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from spaces.protocol import METRICS, Protocol
from spaces.records import Config, Name

SCRATCH = "scratch"
"""The source of a trial that starts from random weights."""


class Data(Config):
    """The target images that a trial may train on."""

    target_images: PositiveInt | None = None
    """How many; None for the whole training split. Nested: the first 1,000 are among the first 5,000."""
    seed: NonNegativeInt = 0
    """Which ones."""
    shots: PositiveInt | None = None
    """How many of each class, in the place of `target_images`; None does not go by class. Nested likewise. It is part of how
    trials are measured, as the images themselves are: no search varies it."""

    @model_validator(mode="after")
    def _counts_in_one_way(self) -> Self:
        if self.shots and self.target_images:
            raise ValueError(
                f"shots={self.shots} of each class and target_images={self.target_images} of all are two counts; give one"
            )
        return self


class Budget(Config):
    """How long a trial trains, in real images shown to the critic."""

    images: PositiveInt
    eval_every_images: PositiveInt
    """Images seen at the first evaluation after the start."""
    eval_growth: PositiveInt = 1
    """1 spaces evaluations evenly; with g, each comes after g times as many images as the one before."""
    eval_start: bool = False
    """Whether the untrained learner is evaluated too, after 0 images. Searches do it; earlier versions did not."""

    def next_evaluation(self, images: int) -> int:
        """Images seen at the evaluation that comes after so many images; never more than the budget."""
        if self.eval_growth == 1:
            due = (images // self.eval_every_images + 1) * self.eval_every_images
        else:
            due = self.eval_every_images
            while due <= images:
                due *= self.eval_growth
        return min(due, self.images)

    def stretched(self, images: int) -> "Budget":
        """The same over another number of images: as many evaluations, spaced likewise. Not validated."""
        every = max(1, images // max(1, self.images // self.eval_every_images))
        return self.model_copy(update={"images": images, "eval_every_images": every})


class TrialConfig(Config):
    """One configuration trained on the target. Two equal ones give the same numbers, bit for bit, on one CPU.

    These are the fields that the trials of all methods have. The config of a method is a subclass that adds its own
    settings; a field that means nothing for a method is none of its config's, and so refused. `spaces.trials` has them all.
    """

    learns_from: ClassVar[str | None] = None
    """The extractor whose features the method trains by, if it does: scores by them say how well it learnt those, and trials
    that did not learn from them don't compare."""

    target: Name
    source: Name
    """A source of the shelf, or "scratch"."""
    method: str
    """How the source is used; a subclass says which one it is of."""
    data: Data = Data()
    budget: Budget
    protocol: Protocol = Protocol()
    seed: NonNegativeInt = 0
    """Of initial weights, z, interpolates and batch order."""

    @classmethod
    def learnt(cls, extractor: str | None) -> bool:
        """Whether the method trains by the features of that extractor, so that scores by them say little."""
        return extractor is not None and extractor == cls.learns_from

    @classmethod
    def unjudged(cls, protocol: Protocol) -> str | None:
        """Why what a study of that protocol goes by can't rank trials of the method; None if it can.

        Whoever begins a study or a training asks. Configs of earlier ones are read whatever they went by.
        """
        goals = protocol.metrics[: protocol.at_rungs]
        for name in (goal for goal in goals if cls.learnt(METRICS[goal].judge(protocol.extractor))):
            return (
                f"trains by the features of {cls.learns_from}, which {name} is measured by; go by fd, kd or iw with --extractor "
                "random_convnet (protocol/extractor), or by pair_error where the domains have true pairs"
            )
        return None

    @property
    def domains(self) -> tuple[Name, ...]:
        """The source domains of the home whose images the trial takes; none for a method that takes a source model."""
        return ()

    @property
    def parts(self) -> str:
        """Which of the source's networks are transferred; "none" for a method that transfers none."""
        return "none"

    @property
    def rates(self) -> tuple[float, float] | None:
        """The learning rates of generator and critic; None for a method that has none."""
        return None

    @property
    def batch(self) -> int | None:
        """Rows of a training batch, which the workers of a trial share; None for a method without."""
        return None

    @property
    def mirrors(self) -> bool:
        """Whether training mirrors half of the images: then mirror images of the training images are trained on too."""
        return False

    @property
    def sources_beside(self) -> tuple[str, ...]:
        """Sources of the shelf that the method takes beside `source`."""
        return ()
