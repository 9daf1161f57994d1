"""The settings of StarGAN (Choi et al., "StarGAN: Unified Generative Adversarial Networks", CVPR 2018)."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from spaces.methods.translation import SeveralDomainsConfig
from spaces.records import Config


class StarWeights(Config):
    """What translator and critic minimise beside the critic's word. A weight of 0 switches its term off, and its cost."""

    cycle: NonNegativeFloat = 10.0
    """Of the mean difference between an image and its translation there and back."""
    domain: NonNegativeFloat = 1.0
    """Of the critic's error on which domain an image is of: the critic learns it of real images alone."""
    penalty: NonNegativeFloat = 10.0
    """Of the critic's gradient penalty."""


class StarTraining(Config):
    """How the translator and its critic train; as in the paper, but for batches of 16 of all domains together."""

    lr: PositiveFloat = 1e-4
    """Adam's rate of both networks."""
    beta1: NonNegativeFloat = 0.5
    beta2: PositiveFloat = 0.999
    batch: PositiveInt = 4
    """Images of each domain in a step."""
    n_critic: PositiveInt = 5
    """Steps of the critic to one of the translator."""
    constant: float = Field(default=0.5, ge=0, le=1)
    """The share of the budget after which the rate falls linearly, to 0 at its end; 1 keeps it."""
    ema_halflife_images: PositiveInt = 1_000
    """Half-life of the translator's moving average, in target images; ramped up over the first images of a run."""
    flip: bool = False
    """Mirror half of the real images of every domain. Right for photos, wrong for letters and icons."""


class StarGanConfig(SeveralDomainsConfig):
    """One translator for several domains: it is told which one to translate into. `source` is what is scored."""

    method: Literal["stargan"] = "stargan"
    width: PositiveInt = 16
    """Channels at the finest resolution, of either network; they double at each halving."""
    blocks: PositiveInt = 3
    """Residual blocks of the translator."""
    weights: StarWeights = StarWeights()
    training: StarTraining = StarTraining()

    @property
    def batch(self) -> int:
        return self.training.batch

    @property
    def mirrors(self) -> bool:
        return self.training.flip
