"""The settings of MineGAN (Wang et al., "MineGAN: effective knowledge transfer from GANs to target domains", CVPR 2020)."""

from typing import Literal, Self

from pydantic import NonNegativeInt, TypeAdapter, ValidationError, model_validator

from spaces.methods.from_source import FromSourceConfig
from spaces.records import Config, Name


class Mining(Config):
    """How the part of a source model's images that is like the target is found: a miner before its generator steers z."""

    steps_alone: NonNegativeInt = 1_000
    """Iterations in which miner and critic train and the generator is fixed; from then on all of them do."""
    beside: str = ""
    """Further source models to mine, their names with commas between. Each has a miner of its own, and which of the
    generators makes an image is drawn with probabilities that are learnt. The critic is the first one's."""


class MineganConfig(FromSourceConfig):
    """A source model's generator behind a miner, which learns what of it the target is like."""

    method: Literal["minegan"] = "minegan"
    mining: Mining = Mining()

    @property
    def sources_beside(self) -> tuple[str, ...]:
        return tuple(self.mining.beside.split(",")) if self.mining.beside else ()

    @model_validator(mode="after")
    def _names_others(self) -> Self:
        try:
            TypeAdapter(list[Name]).validate_python(list(self.sources_beside))
        except ValidationError:
            raise ValueError(
                f"mining/beside should be names of source models with commas between, got {self.mining.beside!r}"
            ) from None
        if len({self.source, *self.sources_beside}) <= len(self.sources_beside):
            raise ValueError(
                f"mining/beside={self.mining.beside!r} names a source model twice, or {self.source!r} again"
            )
        return self
