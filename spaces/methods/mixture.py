"""The settings of the first baseline of few-shot generation: the K images mixed pixel by pixel."""

from typing import Literal

from spaces.methods.fewshot import UntrainedFewshotConfig


class MixtureConfig(UntrainedFewshotConfig):
    """Means of a class's images by random weights: what every method that fuses images must beat."""

    method: Literal["mixture"] = "mixture"
