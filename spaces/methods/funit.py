"""The settings of FUNIT (Liu et al., "Few-shot unsupervised image-to-image translation", ICCV 2019)."""

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from spaces.methods.fewshot import BatchLearning, LearnedFewshotConfig
from spaces.networks import Channels
from spaces.records import Config


class FunitWeights(Config):
    """What is minimised beside the critic's word. A weight of 0 switches its term off, and its cost."""

    reconstruction: NonNegativeFloat = 0.1
    """Of the mean difference between an image and what is made of its own content and its own class."""
    features: NonNegativeFloat = 1.0
    """Of the difference between the critic's features of what is made and those of the image whose class it is given."""
    penalty: NonNegativeFloat = 0.2
    """Of the critic's R1 on real images. The authors' code has 10 for the gradient of a mean over its batch, about 0.16 of
    this."""


class FunitTraining(BatchLearning):
    """How both networks train, by RMSprop."""

    lr: PositiveFloat = 1e-4
    """Of both networks."""
    weight_decay: NonNegativeFloat = 1e-4
    batch: PositiveInt = 8
    """Pairs of a content and a class image in a step: 64 in the paper."""
    ema_halflife_images: PositiveInt = 1_000
    """Half-life of the generator's moving average, in content images; ramped up over the first ones of a run."""


class FunitConfig(LearnedFewshotConfig):
    """The content of an image of a seen class, in the class that K images show. It trains with one image a class."""

    method: Literal["funit"] = "funit"
    width: Channels = 16
    """Channels of all networks at the finest resolution; they double at each halving (64 in the paper)."""
    latent: PositiveInt = 64
    """Numbers of a class's code."""
    weights: FunitWeights = FunitWeights()
    training: FunitTraining = FunitTraining()
