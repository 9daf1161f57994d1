"""The settings of the second baseline of few-shot generation: the K images turned, scaled and moved a little."""

from typing import Literal

from spaces.methods.fewshot import UntrainedFewshotConfig


class AugmentedConfig(UntrainedFewshotConfig):
    """Copies of a class's images with standard augmentation: what every method that changes images must beat."""

    method: Literal["augmented"] = "augmented"
