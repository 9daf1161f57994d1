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
from spaces.networks import Dcgan, NetworkConfig, StyleGAN2Config, classes_of
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
    penalty_every: PositiveInt = 1
    """Iterations between two penalties. Above 1 each is a step of its own that weighs so many times as much (lazy
    regularisation, Karras et al. 2020), and Adam's rate and betas make up for the steps more."""
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


class Style(Config):
    """What the training of a StyleGAN2 has beside that of other GANs."""

    mixing: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Probability of a batch whose later layers take the style of another z than the earlier ones."""
    path_length: NonNegativeFloat = 2.0
    """Weight of the path-length penalty: steps in w of one length should change images by one amount. 0 for none."""
    path_length_every: PositiveInt = 4
    """Iterations between two of its steps, each of half a batch and so many times the weight."""
    path_length_decay: Annotated[float, Field(gt=0, le=1)] = 0.01
    """How fast the length that is aimed at follows that of the batches."""
    w_average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """How much of its past the mean of w keeps at each critic step; truncation pulls towards that."""


class Transfer(Config):
    """How a source model's weights enter the trial's networks."""

    parts: Literal["none", "generator", "discriminator", "both"] = "both"
    freeze_d: NonNegativeInt = 0
    """Discriminator blocks held fixed, counted from the image side (FreezeD, arXiv:2002.10964)."""
    freeze_layers: NonNegativeInt = 0
    """The same counted by layers, as NVIDIA's `--freezed` does for StyleGAN2: 10 or 13 are its advice for transfer."""
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
    needing["freeze_layers"] = needing["freeze_d"]
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

    @property
    def mirrors(self) -> bool:
        return self.augment.flip


class FinetuneConfig(GanConfig):
    """A GAN that starts from a source model's networks, or from random ones, and trains on the target."""

    method: Literal["finetune"] = "finetune"
    transfer: Transfer = Transfer()
    classifier: Classifier = Classifier()
    style: Style = Style()

    @property
    def parts(self) -> str:
        return self.transfer.parts

    @model_validator(mode="after")
    def _is_of_the_family(self) -> Self:
        """Settings that mean nothing for the network's family are refused, never ignored."""
        by_style = isinstance(self.network, StyleGAN2Config)
        transfer, plain = self.transfer, Transfer()
        foreign: dict[str, bool] = {
            "style": not by_style and self.style != Style(),
            "transfer/freeze_layers": not by_style and transfer.freeze_layers != plain.freeze_layers,
            "transfer/train": by_style and transfer.train != plain.train,
            "classifier": by_style and self.classifier != Classifier(),
        }
        if found := next((path for path, given in foreign.items() if given), None):
            raise ValueError(f"{found} means nothing for networks of family {self.network.family!r}; leave it out")
        if transfer.freeze_d and transfer.freeze_layers:
            raise ValueError(
                f"transfer/freeze_d={transfer.freeze_d} and transfer/freeze_layers={transfer.freeze_layers} count the same "
                "layers in two ways; set one of them"
            )
        if by_style and classes_of(self.network) and (self.loss.name == "relativistic" or transfer.ewc):
            told = f"transfer/ewc={transfer.ewc:g}" if transfer.ewc else f"loss/name={self.loss.name!r}"
            raise ValueError(
                f"{told} asks the critic about images alone, and a conditional stylegan2's takes their class too"
            )
        return self

    @model_validator(mode="after")
    def _classifies_classes(self) -> Self:
        if self.classifier != Classifier() and classes_of(self.network) is None:
            raise ValueError("classifier means nothing without network/classes; give them, or leave it out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _scratch_transfers_nothing(cls, data: Any) -> Any:
        given = data.get("transfer") or {} if isinstance(data, Mapping) else None
        if isinstance(given, Mapping | Transfer) and data.get("source") == SCRATCH:  # else it is refused as what it is
            transfer = dict(given)
            own = (transfer.get("parts", "none") != "none", transfer.get("train", "all") != "all")
            if any(own) or any(transfer.get(name) for name in ("freeze_d", "freeze_layers", "l2_sp", "ewc")):
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
