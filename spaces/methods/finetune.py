"""The settings of fine-tuning (Wang et al., "Transferring GANs", ECCV 2018)."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from spaces.config import SCRATCH, TrialConfig
from spaces.networks import Dcgan, NetworkConfig, classes_of
from spaces.records import Config

POLICIES = ("color", "translation", "cutout")
"""What DiffAugment does to images, in this order."""

CENTRED = ("nonsaturating", "hinge")
"""The losses by which 0 parts a critic's logits of real images from those of generated ones."""


class Loss(Config):
    """What the GAN minimises, with the penalty on the critic's gradient."""

    name: Literal["wgan_gp", "nonsaturating", "hinge", "relativistic"] = "wgan_gp"
    penalty: NonNegativeFloat = 10.0
    """Weight of the penalty that belongs to the loss: the gradient penalty on interpolates (wgan_gp, hinge), R1's gamma on
    real images (nonsaturating), or that of R1 and R2, on generated images too (relativistic, as in R3GAN)."""
    n_critic: PositiveInt = 5
    """Critic steps for each generator step."""
    lecam: NonNegativeFloat = 0.0
    """Weight of LeCam's regularisation of the critic's logits; 0.3 in its paper, 0 for none."""
    lecam_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """How much of their past LeCam's averages keep at each critic step."""
    lecam_start_images: NonNegativeInt = 0
    """Real images before LeCam acts."""


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
    """What is done to images before the critic sees them."""

    flip: bool = False
    """Mirror half of the real images, as if there were more of them. Right for photos, wrong for letters and digits."""
    policy: str = ""
    """DiffAugment of real and generated images alike: some of color, translation and cutout with commas between; "" for
    none. All three for hundreds of images."""
    ada_target: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """ADA: how much oftener the critic's logit of a real image is to be above 0 than below; 0.6 in its paper, 0 for none."""
    ada_images: PositiveInt | None = None
    """Real images in which ADA's probability can rise by 1; None for half of the budget."""

    @field_validator("policy")
    @classmethod
    def _known_policies(cls, policy: str) -> str:
        if unknown := [name for name in policy.split(",") if policy and name not in POLICIES]:
            raise ValueError(f"unknown {unknown[0]!r}; known, with commas between: {', '.join(POLICIES)}")
        return policy

    @model_validator(mode="after")
    def _one_augmentation(self) -> Self:
        if self.policy and self.ada_target:
            raise ValueError(
                f"policy {self.policy!r} and ada_target {self.ada_target:g} are two augmentations of the same images; set "
                "one of them to nothing"
            )
        return self

    @property
    def policies(self) -> tuple[str, ...]:
        """The names in `policy`."""
        return tuple(name for name in POLICIES if name in self.policy.split(","))


class Classifier(Config):
    """The auxiliary classifier of a conditional GAN, in the critic: the weights of its cross-entropy.

    Both are 1, as in "Transferring GANs"; the authors of WGAN-GP have 0.1 for the generator.
    """

    critic: NonNegativeFloat = 1.0
    """On real images, in the critic's loss."""
    generator: NonNegativeFloat = 1.0
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
    train: Literal["all", "norms"] = "all"
    """What of the generator trains: all of it, or the scales and shifts of its norms alone (BSA's idea, arXiv:1904.01774,
    here with the GAN's own loss). The critic trains either way."""
    l2_sp: NonNegativeFloat = 0.0
    """Strength of the pull of all transferred weights to the source's (L2-SP, arXiv:1802.01483)."""
    ewc: NonNegativeFloat = 0.0
    """The same for the generator's alone, by how much each weighs with the source's critic (EWC, arXiv:2012.02780)."""

    @property
    def generators_own(self) -> str | None:
        """The first setting that means nothing without the source's generator, with its value."""
        values = {"train": self.train if self.train != "all" else None, "ewc": self.ewc or None}
        return next((f"{name}={value!r}" for name, value in values.items() if value), None)


def fitting_transfer(transfer: Mapping[str, Any], parts: str) -> dict[str, Any]:
    """A transfer's values for other `parts`, without what would need a network that these leave out."""
    needing = {"freeze_d": ("discriminator", "both"), "train": ("generator", "both"), "ewc": ("both",)}
    needing["l2_sp"] = ("generator", "discriminator", "both")
    return {name: value for name, value in transfer.items() if parts in needing.get(name, (parts,))} | {"parts": parts}


class GanConfig(TrialConfig):
    """What the training of a GAN takes, by fine-tuning or by a method that differs from it in one thing."""

    network: NetworkConfig
    loss: Loss = Loss()
    optim: Optim = Optim()
    augment: Augment = Augment()

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        if isinstance(self.network, Dcgan) and self.network.classes is not None:
            raise ValueError(
                "a DCGAN of classes is ranked and sampled as it is, not trained; leave network/classes out"
            )
        return self

    @property
    def rates(self) -> tuple[float, float]:
        return self.optim.lr_g, self.optim.lr_d

    @property
    def batch(self) -> int:
        return self.optim.batch


class FinetuneConfig(GanConfig):
    """A GAN that starts from a source model's networks, or from random ones, and trains on the target."""

    method: Literal["finetune"] = "finetune"
    transfer: Transfer = Transfer()
    classifier: Classifier = Classifier()

    @property
    def parts(self) -> str:
        return self.transfer.parts

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
            own = (transfer.get("parts", "none") != "none", transfer.get("train", "all") != "all")
            if any(own) or any(transfer.get(name) for name in ("freeze_d", "l2_sp", "ewc")):
                raise ValueError(f"source 'scratch' has nothing to transfer or freeze, got transfer {transfer}")
            return {**data, "transfer": {**transfer, "parts": "none"}}
        return data

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.loss.name not in CENTRED:
            for path, value in (("augment/ada_target", self.augment.ada_target), ("loss/lecam", self.loss.lecam)):
                if value:
                    raise ValueError(
                        f"{path}={value:g} goes by logits centred on 0, and those of loss/name={self.loss.name!r} are not; "
                        f"set loss/name to {' or '.join(map(repr, CENTRED))}, or {path} to 0"
                    )
        if self.transfer.generators_own and self.parts not in ("generator", "both"):
            raise ValueError(
                f"transfer/{self.transfer.generators_own} needs the source's generator, and transfer/parts is {self.parts!r}; "
                "set that to 'both', or leave it out"
            )
        if self.transfer.ewc and self.parts != "both":
            raise ValueError(
                f"transfer/ewc={self.transfer.ewc:g} weighs by the source's critic, and transfer/parts is {self.parts!r}; set "
                "that to 'both', or take transfer/l2_sp"
            )
        return self
