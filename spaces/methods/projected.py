"""The settings of fine-tuning under a projected critic (Sauer et al., "Projected GANs converge faster", NeurIPS 2021)."""

from typing import ClassVar, Literal, Self

from pydantic import PositiveInt, model_validator

from spaces.config import SCRATCH
from spaces.methods.finetune import CENTRED, FinetuneConfig, GanConfig
from spaces.methods.from_source import BesideFinetuneConfig
from spaces.records import Config


class Projection(Config):
    """Through what the critic sees images: maps of a network that was trained on ImageNet, mixed at random, and fixed."""

    channels: PositiveInt = 64
    """Of the mixed maps, on every scale."""
    input_size: PositiveInt = 64
    """Pixels along a side that images are resized to for that network; a multiple of 32."""


class ProjectedConfig(BesideFinetuneConfig):
    """A generator that trains, from a source model's or from random weights, against a critic on pretrained features.

    The critic is new: a source's has nothing to say of such features. As they are those of FD, KD, IW and all that is measured
    by EfficientNet-Lite0, a search of such trials has to go by another extractor's, as random_convnet.
    """

    learns_from: ClassVar[str | None] = "efficientnet_lite0"

    method: Literal["projected"] = "projected"
    projection: Projection = Projection()

    @property
    def parts(self) -> str:
        return "none" if self.source == SCRATCH else "generator"

    @property
    def finetuning(self) -> FinetuneConfig:
        """The fine-tuning of the generator that differs by the critic alone."""
        shared = GanConfig.model_fields.keys() - {"method"}
        return FinetuneConfig(**{name: getattr(self, name) for name in shared}, transfer={"parts": self.parts})

    @model_validator(mode="after")
    def _is_trained_without_a_penalty(self) -> Self:
        if self.loss.name not in CENTRED or self.loss.penalty:
            raise ValueError(
                f"a projected critic is trained by loss/name={' or '.join(map(repr, CENTRED))} with loss/penalty=0, got "
                f"{self.loss.name!r} with {self.loss.penalty:g}"
            )
        if self.projection.input_size % 32:
            raise ValueError(f"projection/input_size={self.projection.input_size} is no multiple of 32")
        return self
