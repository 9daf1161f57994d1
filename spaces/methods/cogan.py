"""The settings of CoGAN (Liu and Tuzel, "Coupled generative adversarial networks", NeurIPS 2016)."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from spaces.methods.translation import DomainConfig
from spaces.networks import Channels
from spaces.records import Config


class CoganTraining(Config):
    """How both GANs train, by WGAN-GP and the rates that small GANs have here."""

    lr: PositiveFloat = 1e-3
    """Adam's rate of all networks."""
    beta1: NonNegativeFloat = 0.0
    beta2: PositiveFloat = 0.9
    batch: PositiveInt = 32
    """Images of each domain in a step."""
    n_critic: PositiveInt = 2
    """Steps of the critics to one of the generators."""
    penalty: NonNegativeFloat = 10.0
    """Weight of the critics' gradient penalty."""
    ema_halflife_images: PositiveInt = 1_000
    """Half-life of the generator's moving average, in target images; ramped up over the first images of a run."""
    flip: bool = False
    """Mirror half of the real images of either domain. Right for photos, wrong for letters and icons."""


class CoganConfig(DomainConfig):
    """A GAN of the target and one of the source domain that share weights: of one z they make an image each.

    The target's generator is what is kept. No image is translated: that would take a search of its z.
    """

    method: Literal["cogan"] = "cogan"
    width: Channels = 16
    """Channels of all networks at the finest resolution; they double at each halving, up to 8 times."""
    z_dim: Channels = 128
    own_blocks: int = Field(default=1, ge=0, le=5)
    """Blocks next to the image, with the layer to or from it, that each domain has alone; the others are shared."""
    training: CoganTraining = CoganTraining()

    @property
    def batch(self) -> int:
        return self.training.batch

    @property
    def mirrors(self) -> bool:
        return self.training.flip
