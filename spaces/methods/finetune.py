"""The settings of fine-tuning (Wang et al., "Transferring GANs", ECCV 2018)."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from spaces.config import SCRATCH, TrialConfig
from spaces.networks import NetworkConfig, classes_of
from spaces.records import Config


class Loss(Config):
    """What the GAN minimises, with the penalty on the critic's gradient."""

    name: Literal["wgan_gp", "nonsaturating", "hinge"] = "wgan_gp"
    penalty: NonNegativeFloat = 10.0
    """Weight of the penalty that belongs to the loss: the gradient penalty on interpolates (wgan_gp, hinge), or R1's
    gamma on real images (nonsaturating)."""
    n_critic: PositiveInt = 5
    """Critic steps for each generator step."""


class Optim(Config):
    """Adam for both networks. The paper fine-tunes with 1e-4, betas (0, 0.9), batch 64."""

    lr_g: PositiveFloat = 1e-4
    lr_d: PositiveFloat = 1e-4
    beta1: NonNegativeFloat = 0.0
    beta2: PositiveFloat = 0.9
    batch: PositiveInt = 64
    ema_halflife_images: PositiveInt = 10_000
    """Half-life of the generator's moving average, in real images; ramped up over the first images of a run."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 runs the convolutions under autocast; weights, penalties and moments stay float32."""


class Augment(Config):
    """What is done to real images; only what leaves the distribution alone."""

    flip: bool = False
    """Mirror half of the real images. Right for photos, wrong for letters and digits."""


class Classifier(Config):
    """The auxiliary classifier of a conditional GAN, in the critic: the weights of its cross-entropy.

    The authors of WGAN-GP train at 1 and 0.1, those of "Transferring GANs" at 1 and 1.
    """

    critic: NonNegativeFloat = 1.0
    """On real images, in the critic's loss."""
    generator: NonNegativeFloat = 0.1
    """On generated images, in the generator's loss."""

    @model_validator(mode="after")
    def _is_trained_where_it_is_followed(self) -> Self:
        if self.generator and not self.critic:
            raise ValueError(
                "classifier/generator follows a classifier that classifier/critic=0 does not train; set it to 0"
            )
        return self


class Transfer(Config):
    """How a source model's weights enter the trial's networks."""

    parts: Literal["none", "generator", "discriminator", "both"] = "both"
    freeze_d: NonNegativeInt = 0
    """Discriminator blocks held fixed, counted from the image side (FreezeD, arXiv:2002.10964)."""
    on_mismatch: Literal["error", "reinit"] = "error"
    """What to do with a tensor whose shape differs from the source's."""


class FinetuneConfig(TrialConfig):
    """A GAN that starts from a source model's networks, or from random ones, and trains on the target."""

    method: Literal["finetune"] = "finetune"
    network: NetworkConfig
    loss: Loss = Loss()
    optim: Optim = Optim()
    augment: Augment = Augment()
    transfer: Transfer = Transfer()
    classifier: Classifier = Classifier()

    @property
    def parts(self) -> str:
        return self.transfer.parts

    @property
    def rates(self) -> tuple[float, float]:
        return self.optim.lr_g, self.optim.lr_d

    @property
    def batch(self) -> int:
        return self.optim.batch

    @model_validator(mode="after")
    def _classifies_classes(self) -> Self:
        if self.classifier != Classifier() and classes_of(self.network) is None:
            raise ValueError("classifier means nothing without network/classes; give them, or leave it out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _scratch_transfers_nothing(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("source") == SCRATCH:
            transfer = dict(data.get("transfer") or {})
            if transfer.get("parts", "none") != "none" or transfer.get("freeze_d", 0):
                raise ValueError(f"source 'scratch' has nothing to transfer or freeze, got transfer {transfer}")
            return {**data, "transfer": {**transfer, "parts": "none"}}
        return data
