"""The families of networks, as configurations: which there are, and what defines a network of each."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError, model_validator

from spaces.errors import UserError
from spaces.records import KIND, Config, complaints

RESOLUTIONS = (32, 64, 128)

Channels = Annotated[int, Field(gt=0, le=1024)]
"""More, and a network's weights alone would take tens of GB."""


class Resnet(Config):
    """The WGAN-GP ResNet (Gulrajani et al. 2017), as "Transferring GANs" uses it."""

    family: Literal["resnet"] = "resnet"
    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side."""
    width: Channels = 64
    """Channels at the finest resolution; they double at each halving, up to 8 times (512 in the paper)."""
    z_dim: Channels = 128
    classes: Annotated[int, Field(gt=1, le=10_000)] | None = None
    """How many classes the generator can be asked for, and the critic tells apart; None of a GAN without conditions."""
    conditioning: Literal["norm", "concat"] = "norm"
    """How the generator is told the class: by a scale and shift of every batch norm, or by a one-hot vector beside z."""

    @model_validator(mode="after")
    def _conditions_need_classes(self) -> Self:
        if self.classes is None and self.conditioning != "norm":
            raise ValueError(
                f"conditioning {self.conditioning!r} means nothing without classes; give them, or leave it out"
            )
        return self


class Dcgan(Config):
    """The DCGAN of transposed convolutions (Radford et al. 2016), as PyTorch's tutorial has it."""

    family: Literal["dcgan"] = "dcgan"
    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side."""
    width: Channels = 64
    """Channels at half the resolution; they double at each halving, without an end (512 at 4 pixels for 64)."""
    z_dim: Channels = 100
    classes: Annotated[int, Field(gt=1, le=10_000)] | None = None
    """How many classes the generator can be asked for, by a one-hot vector beside z. Such a DCGAN is ranked and sampled, and
    not trained here: its critic, if it ever had one, is not known."""


class Mimicry(Config):
    """The ResNets of SNGAN and WGAN-GP as mimicry has them (Lee and Town 2020)."""

    family: Literal["mimicry"] = "mimicry"
    resolution: Literal[32, 48, 64, 128] = 64
    """Pixels along a side."""
    width: Annotated[int, Field(gt=0, le=128)] = 64
    """Channels of the critic at the finest resolution: 128 for 32 pixels in the original, where the generator has twice as
    many, else 64, as the generator; 16 times as many inside."""
    z_dim: Channels = 128
    critic: Literal["wgan_gp", "sngan"] = "wgan_gp"
    """SNGAN's divides its weights by their largest singular value, and sums its last maps over space; WGAN-GP's averages
    them."""


class Translator(Config):
    """A network from images to images (Johnson et al. 2016) and a critic of patches, as CycleGAN uses them (Zhu et al. 2017).

    Both are convolutions alone, so they take images of any resolution.
    """

    family: Literal["translator"] = "translator"
    width: Channels = 16
    """Channels at the finest resolution, of either network; they double at each halving (64 in the paper)."""
    halvings: Annotated[int, Field(ge=1, le=4)] = 2
    """Of the side between the image and the innermost layers."""
    blocks: Annotated[int, Field(ge=0, le=20)] = 3
    """Residual blocks inside: 3 for 32 pixels, 6 for 64 and 128, 9 for 256."""
    critic_halvings: Annotated[int, Field(ge=1, le=5)] = 2
    """Of the side in the critic: 2 see patches of 34 pixels, 3 (the paper's) of 70."""


Network = Resnet | Dcgan | Mimicry
"""A GAN's of any family, whose generator makes images of z."""


def _family(network: Any) -> str:
    """The family that a network's values name; files from before there were families hold the ResNet's."""
    if isinstance(network, Mapping):
        return KIND + str(network.get("family") or "resnet")
    return KIND + str(getattr(network, "family", "resnet"))


NetworkConfig = Annotated[
    Annotated[Resnet, Tag(f"{KIND}resnet")]
    | Annotated[Dcgan, Tag(f"{KIND}dcgan")]
    | Annotated[Mimicry, Tag(f"{KIND}mimicry")],
    Discriminator(
        _family,
        custom_error_type="unknown_family",
        custom_error_message="unknown family of networks; known: dcgan, mimicry, resnet",
    ),
]
"""A generator's network of any family. Its `family` says which; without one it is a ResNet."""

ModelNetwork = Annotated[
    Annotated[NetworkConfig, Tag("from z")] | Annotated[Translator, Tag("from images")],
    Discriminator(lambda network: "from images" if _family(network) == f"{KIND}translator" else "from z"),
]
"""The network of a model: a generator's, or a translator."""


def parse_network(values: Mapping[str, Any], where: str) -> Network:
    """The network that `values` are of, by their family; UserError in one line that starts with `where`."""
    network: TypeAdapter[Network] = TypeAdapter(NetworkConfig)
    try:
        return network.validate_python(dict(values))
    except ValidationError as error:
        raise UserError(f"{where}: {complaints(error)}") from None


def classes_of(network: Network | Translator) -> int | None:
    """How many classes a network is conditional on; None of one without conditions."""
    return network.classes if isinstance(network, Resnet | Dcgan) else None


def unconditional(network: Network) -> Network:
    """The same network without conditions: what networks must agree in for one's weights to fit the other.

    A DCGAN of classes fits none without: batch norm follows its first layer, where a class's share has no place.
    """
    if not isinstance(network, Resnet):
        return network
    return network.model_copy(update={"classes": None, "conditioning": "norm"})


def conditional(network: Network | Translator, classes: int) -> Network:
    """The same network, conditional on so many classes; UserError for a family that has no such form."""
    if not isinstance(network, Resnet):
        raise UserError(f"a {network.family} has no conditional form; take networks of family 'resnet'")
    return network.model_copy(update={"classes": classes})


def conditions(network: Network | Translator) -> str | None:
    """ "10 classes by norm"; None of a network without conditions."""
    classes = classes_of(network)
    if classes is None:
        return None
    return f"{classes} classes by {network.conditioning if isinstance(network, Resnet) else 'concat'}"


def told(network: Network | Translator) -> str:
    """ "resnet of 64 pixels, width 64, z 128", and "of 10 classes by norm" where it is conditional."""
    if isinstance(network, Translator):
        return f"{network.family} of width {network.width}, {network.blocks} blocks"
    plain = f"{network.family} of {network.resolution} pixels, width {network.width}, z {network.z_dim}"
    told_of = conditions(network)
    return f"{plain}, of {told_of}" if told_of else plain
