"""What defines one trial: frozen, complete, validated, and nothing else. Fields are what a search space may suggest."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from spaces.errors import UserError

SCRATCH = "scratch"
"""The source of a trial that starts from random weights."""

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,99}$"
"""Names become file names, so they hold nothing that a path could read otherwise."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

Direction = Literal["minimize", "maximize"]

METRIC_DIRECTIONS: Mapping[str, Direction] = {
    "fid": "minimize",
    "fd": "minimize",
    "kid": "minimize",
    "kd": "minimize",
    "iw": "maximize",
}
"""Which way each metric gets better. FID and KID mean the 2015 Inception features; with any other extractor the same
arithmetic is called FD and KD. IW is negative, and nearer zero is better."""

RESOLUTIONS = (32, 64, 128)


class Config(BaseModel):
    """A frozen record that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> Self:
        """Validate `data`, or raise UserError with one line that names `where`, each bad field and its value."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UserError(f"{where}: {'; '.join(_complaints(error))}") from None


def _complaints(error: ValidationError) -> list[str]:
    return [
        f"{'/'.join(map(str, item['loc'])) or 'config'}: {item['msg'].removeprefix('Value error, ')}"
        + ("" if item["type"] == "missing" or not item["loc"] else f", got {item['input']!r}")
        for item in error.errors()
    ]


class Network(Config):
    """The WGAN-GP ResNet (Gulrajani et al. 2017), as "Transferring GANs" uses it."""

    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side."""
    width: PositiveInt = 64
    """Channels at the finest resolution; they double at each halving, up to 8 times (512 in the paper)."""
    z_dim: PositiveInt = 128


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


class Transfer(Config):
    """How a source model's weights enter the trial's networks."""

    parts: Literal["none", "generator", "discriminator", "both"] = "both"
    freeze_d: NonNegativeInt = 0
    """Discriminator blocks held fixed, counted from the image side (FreezeD, arXiv:2002.10964)."""
    on_mismatch: Literal["error", "reinit"] = "error"
    """What to do with a tensor whose shape differs from the source's."""


class Data(Config):
    """The target images that a trial may train on."""

    target_images: PositiveInt | None = None
    """How many; None for the whole training split. Nested: the first 1,000 are among the first 5,000."""
    seed: NonNegativeInt = 0
    """Which ones."""


class Budget(Config):
    """How long a trial trains, in real images shown to the critic."""

    images: PositiveInt
    eval_every_images: PositiveInt


class IwProtocol(Config):
    """The independent Wasserstein critic (Danihelka et al. 2017): numbers compare only if all of this is equal.

    The defaults cost 5 seconds of one core at 32 pixels. Of seven settings tried on cats against cats, dogs, insects,
    structures and noise they had the smallest floor beside the score of dogs; below about 0.2, either way, is nothing.
    """

    width: PositiveInt = 8
    steps: PositiveInt = 100
    batch: PositiveInt = 16
    lr: PositiveFloat = 5e-4
    penalty: PositiveFloat = 10.0
    images: PositiveInt = 1_000
    """Real and generated images each, at most, and at least 4; half train the critic and half score it."""
    seed: NonNegativeInt = 0


class Protocol(Config):
    """How trials are measured. Metrics compare only between equal protocols."""

    metrics: tuple[str, ...] = ("fd", "kd", "iw")
    """The first is the one that the search goes by."""
    extractor: str = "efficientnet_lite0"
    input_size: PositiveInt = 64
    """Pixels along a side at the extractor's input; 299 for inception."""
    split: Literal["train", "val"] = "train"
    """The split of the domain that FD, KD, FID and KID compare with, whole, whatever `target_images` is."""
    n_real: PositiveInt = 10_000
    """Real images at most; the same ones always (seeded)."""
    n_fake: PositiveInt = 1_000
    seed: NonNegativeInt = 0
    """Of the samples' z, of KD's subsets, and of the choice of real images."""
    iw: IwProtocol = IwProtocol()

    @model_validator(mode="after")
    def _names_fit_the_extractor(self) -> Self:
        if not self.metrics:
            raise ValueError("metrics is empty; name at least one of " + ", ".join(METRIC_DIRECTIONS))
        for name in self.metrics:
            if name not in METRIC_DIRECTIONS:
                raise ValueError(f"unknown metric {name!r}; known: {', '.join(METRIC_DIRECTIONS)}")
            if name in ("fid", "kid") and self.extractor != "inception":
                raise ValueError(
                    f"{name} needs extractor 'inception', not {self.extractor!r}; with it, ask for fd or kd"
                )
            if name in ("fd", "kd") and self.extractor == "inception":
                raise ValueError(
                    f"with extractor 'inception' the metric is called {name.replace('d', 'id')}, not {name}"
                )
        return self


class TrialConfig(Config):
    """One configuration trained on the target. Two equal ones give the same numbers, bit for bit, on one CPU."""

    target: Name
    source: Name
    """A source model of the shelf, or "scratch"."""
    method: str = "finetune"
    network: Network
    loss: Loss = Loss()
    optim: Optim = Optim()
    augment: Augment = Augment()
    transfer: Transfer = Transfer()
    data: Data = Data()
    budget: Budget
    protocol: Protocol = Protocol()
    seed: NonNegativeInt = 0
    """Of initial weights, z, interpolates and batch order."""

    @property
    def iterations(self) -> int:
        """That the whole budget takes, each of `n_critic` batches of real images."""
        return -(-self.budget.images // (self.optim.batch * self.loss.n_critic))

    @model_validator(mode="before")
    @classmethod
    def _scratch_transfers_nothing(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("source") == SCRATCH:
            transfer = dict(data.get("transfer") or {})
            if transfer.get("parts", "none") != "none" or transfer.get("freeze_d", 0):
                raise ValueError(f"source 'scratch' has nothing to transfer or freeze, got transfer {transfer}")
            return {**data, "transfer": {**transfer, "parts": "none"}}
        return data
