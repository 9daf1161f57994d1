"""The settings of AdAM (Zhao et al., "Few-shot image generation via adaptation-aware kernel modulation", NeurIPS 2022)."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from spaces.methods.from_source import FromSourceConfig
from spaces.records import Config


class Modulation(Config):
    """Which filters of the source stay, and are only scaled by a modulation of rank one; the rest is fine-tuned."""

    filters: Literal["important", "random"] = "important"
    """Those whose weights the target's losses depend on most, or as many at random: the control."""
    percentile: float = Field(default=50.0, ge=0, le=100)
    """Filters up to this percentile of importance are fine-tuned; the authors take 50 for near targets, 75 for far ones."""
    probe_steps: PositiveInt = 500
    """Iterations at the start in which every filter is modulated and nothing else trains but the critic's last layer."""
    fisher_steps: PositiveInt = 250
    """Iterations after that in which nothing trains and importance is measured."""
    fisher_images: PositiveInt = 4
    """Images of each of these iterations that a gradient of their own is taken of."""
    start: PositiveFloat = 1e-7
    """Standard deviation of a modulation's two vectors at their start."""

    @property
    def steps_before(self) -> int:
        """Iterations before the source's networks are adapted."""
        return self.probe_steps + self.fisher_steps


class KernelModulationConfig(FromSourceConfig):
    """AdAM: fine-tuning of the filters that matter least, while those that matter most for the target are modulated."""

    method: Literal["kernel_modulation"] = "kernel_modulation"
    modulation: Modulation = Modulation()

    @model_validator(mode="after")
    def _adapts_within_the_budget(self) -> Self:
        images = self.modulation.steps_before * self.optim.batch * self.loss.n_critic
        if images >= self.budget.images:
            raise ValueError(
                f"modulation/probe_steps and fisher_steps take {images} images, the whole budget of {self.budget.images}; lower "
                "them, or raise budget/images"
            )
        if self.modulation.fisher_images > self.optim.batch:
            raise ValueError(
                f"modulation/fisher_images={self.modulation.fisher_images} is more than optim/batch={self.optim.batch}"
            )
        return self
