"""What the configs of the methods beside fine-tuning share: a source, a GAN's training, and the fine-tuning beside them."""

from typing import Self

from pydantic import ValidationError, model_validator

from spaces.config import SCRATCH
from spaces.methods.finetune import FinetuneConfig, GanConfig
from spaces.networks import classes_of
from spaces.records import complaints


class BesideFinetuneConfig(GanConfig):
    """A GAN that is fine-tuned but for what the method does otherwise; it is of no classes."""

    @property
    def finetuning(self) -> FinetuneConfig:
        """The fine-tuning of both networks that differs by the method alone."""
        shared = type(self).model_fields.keys() & FinetuneConfig.model_fields.keys() - {"method"}
        return FinetuneConfig(**{name: getattr(self, name) for name in shared})

    @model_validator(mode="after")
    def _can_be_fine_tuned(self) -> Self:
        if classes_of(self.network) is not None:
            raise ValueError(f"method {self.method!r} trains no conditional GAN; leave network/classes out")
        try:
            self.finetuning  # noqa: B018
        except ValidationError as error:
            raise ValueError(complaints(error).removeprefix("config: ")) from None
        return self


class FromSourceConfig(BesideFinetuneConfig):
    """A GAN that starts from both networks of a source model, and is fine-tuned but for what the method does otherwise.

    Its papers train with the non-saturating loss, R1 and StyleGAN2's rates. Here loss and rates are fine-tuning's own, so
    that what differs from fine-tuning is the method alone. The network is the source model's own, without its classes where
    it has some.
    """

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.source == SCRATCH:
            raise ValueError(
                f"method {self.method!r} starts from a source model, and source {SCRATCH!r} is none; name one of the shelf"
            )
        return self
