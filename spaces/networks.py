"""The families of networks, as configurations: which there are, and what defines a network of each."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError, model_validator

from spaces.counts import plural
from spaces.errors import UserError
from spaces.records import KIND, Config, complaints

RESOLUTIONS = (32, 64, 128, 256, 512, 1024)
"""Pixels along a side that a domain's images may have."""

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


class StyleGAN2Config(Config):
    """StyleGAN2 (Karras et al. 2020), as its ADA version has it: z becomes w, and w the styles of every layer.

    Channels at r pixels are width * resolution / r, but no more than `channel_max`. What StyleGAN2-ADA calls channel_base is
    width * resolution.
    """

    family: Literal["stylegan2"] = "stylegan2"
    resolution: Literal[16, 32, 64, 128, 256, 512, 1024] = 64
    """Pixels along a side."""
    width: Channels = 256
    """Channels at the finest resolution; they double at each halving, up to `channel_max`."""
    channel_max: Channels = 512
    """Channels at most, at any resolution."""
    z_dim: Channels = 512
    w_dim: Channels = 512
    """Numbers in w, which the mapping network makes of z."""
    mapping_layers: Annotated[int, Field(ge=1, le=16)] = 2
    """Layers from z to w: 8 in the paper, 2 in what its ADA version takes for other images than faces."""
    classes: Annotated[int, Field(gt=1, le=10_000)] | None = None
    """How many classes the generator can be asked for, and the critic is told; None of a GAN without conditions."""
    generator_architecture: Literal["skip", "resnet", "orig"] = "skip"
    """Images added up over all resolutions, residual blocks, or neither."""
    critic_architecture: Literal["skip", "resnet", "orig"] = "resnet"
    conv_clamp: Annotated[float, Field(gt=0)] | None = None
    """What convolutions give is held to this, either way; 256 of networks trained in half precision, which need it still."""
    minibatch_group: Annotated[int, Field(ge=1, le=1024)] = 4
    """Images whose spread the critic is shown together."""
    minibatch_channels: Annotated[int, Field(ge=1, le=64)] = 1
    """Maps of that spread."""


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


class Fusion(Config):
    """An encoder-decoder from K images of a class, and noise, to one more of that class, and its critic, as DAGAN, MatchingGAN
    and F2GAN use them.

    The encoder sees each of the K images alone, and what is decoded is the weighted sum of what it makes of them.
    """

    family: Literal["fusion"] = "fusion"
    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side."""
    width: Channels = 16
    """Channels at the finest resolution, of either network; they double at each halving, up to 8 times."""
    z_dim: Annotated[int, Field(ge=0, le=1024)] = 0
    """Numbers of noise that the network takes; 0 for none."""
    weights: Literal["one", "matching", "dirichlet", "uniform"] = "dirichlet"
    """How the K images are weighted: one of them has it all; by how well each matches the noise; at random, uniformly on the
    simplex or about its centre or corners; or by numbers from 1 to 10 over their sum, as the code of two papers has it."""
    concentration: Annotated[float, Field(gt=0)] = 1.0
    """Of Dirichlet's distribution of weights: 1 is uniform on the simplex, less nearer to one image, more nearer to equal."""
    skips: bool = True
    """Whether the decoder sees the sum of what the encoder makes of the images at finer resolutions, too."""
    attention: bool = False
    """Whether the decoder attends, from each place, to all places of the images in the encoder (F2GAN's non-local filling)."""
    kept: bool = False
    """Whether what is read by attention is added to the images' own maps at each place, as non-local blocks do; without, as in
    models of earlier versions, details reach the decoder by attention alone, which begins at nothing."""
    replaced: bool = False
    """Whether each pixel of an image is noise but with the probability of the image's weight, as F2GAN's code has it."""
    seen: Annotated[int, Field(gt=0, le=100_000)] | None = None
    """Classes that the critic tells apart, beside real and generated; None of one that sees an image beside another one of its
    class (DAGAN's)."""


class Adaptive(Config):
    """A GAN whose weights are a start: a few steps on K images of a class make it one of that class (FIGR, DAWSON).

    The steps are part of what it is, as they are taken for each sample of it.
    """

    family: Literal["adaptive"] = "adaptive"
    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side."""
    width: Channels = 16
    """Channels at the finest resolution, of either network; they double at each halving, up to 8 times."""
    z_dim: Channels = 100
    steps: Annotated[int, Field(ge=0, le=10_000)] = 10
    """Of critic and generator in turn, all on the same K images."""
    rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of the gradient descent in those steps."""
    penalty: Annotated[float, Field(ge=0)] = 10.0
    """Weight of the critic's gradient penalty."""
    penalty_by_channel: bool = False
    """Whether the penalty's norm is over channels alone, as FIGR's code has it, and not over the whole image."""


class Memory(Config):
    """A variational autoencoder of images of a class, which attends to those that it has seen (GMN)."""

    family: Literal["memory"] = "memory"
    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side."""
    width: Channels = 16
    """Channels at half the resolution; twice as many further inside."""
    z_dim: Channels = 50
    hops: Annotated[int, Field(ge=0, le=10)] = 1
    """How often the images are read before each answer."""


class Funit(Config):
    """FUNIT's generator, of a content image and K images of a class, and its critic, with a map for each seen class."""

    family: Literal["funit"] = "funit"
    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side, which the networks' depths follow."""
    width: Channels = 16
    """Channels at the finest resolution, of all networks; they double at each halving (64 in the paper)."""
    latent: Channels = 64
    """Numbers of a class's code."""
    seen: Annotated[int, Field(gt=0, le=100_000)] = 1
    """Classes that the critic has maps for."""


class Shots(Config):
    """No network: the images of unseen classes that a few-shot model makes more of, as part of its files."""

    family: Literal["shots"] = "shots"
    resolution: Annotated[int, Field(gt=0, le=1024)] = 64
    """Pixels along a side."""
    classes: Annotated[int, Field(gt=0, le=100_000)] = 1
    shots: Annotated[int, Field(gt=0, le=100_000)] = 1
    """Images of each class."""


class StarTranslator(Config):
    """StarGAN's translator into any of several domains, number 0 being the target, and its critic (Choi et al. 2018)."""

    family: Literal["stargan"] = "stargan"
    resolution: Literal[32, 64, 128] = 64
    """Pixels along a side, which the critic's depth follows."""
    width: Channels = 16
    """Channels at the finest resolution, of either network; they double at each halving (64 in the paper)."""
    blocks: Annotated[int, Field(ge=0, le=20)] = 3
    """Residual blocks of the translator: 6 in the paper, of 128 pixels."""
    domains: Annotated[int, Field(ge=2, le=1_000)] = 2


def _family(network: Any) -> str:
    """The family that a network's values name; files from before there were families hold the ResNet's."""
    if isinstance(network, Mapping):
        return KIND + str(network.get("family") or "resnet")
    return KIND + str(getattr(network, "family", "resnet"))


AnyNetwork = Resnet | Dcgan | Mimicry | StyleGAN2Config
"""A generator's network of any family, to Python."""

NetworkConfig = Annotated[
    Annotated[Resnet, Tag(f"{KIND}resnet")]
    | Annotated[Dcgan, Tag(f"{KIND}dcgan")]
    | Annotated[Mimicry, Tag(f"{KIND}mimicry")]
    | Annotated[StyleGAN2Config, Tag(f"{KIND}stylegan2")],
    Discriminator(
        _family,
        custom_error_type="unknown_family",
        custom_error_message="unknown family of networks; known: dcgan, mimicry, resnet, stylegan2",
    ),
]
"""A generator's network of any family. Its `family` says which; without one it is a ResNet."""

AnyPart = AnyNetwork | Translator | StarTranslator | Fusion | Funit | Adaptive | Memory | Shots
"""What a model is made of, to Python."""

ModelNetwork = Annotated[
    Annotated[NetworkConfig, Tag(f"{KIND}from z")]
    | Annotated[Translator, Tag(f"{KIND}translator")]
    | Annotated[StarTranslator, Tag(f"{KIND}stargan")]
    | Annotated[Fusion, Tag(f"{KIND}fusion")]
    | Annotated[Adaptive, Tag(f"{KIND}adaptive")]
    | Annotated[Memory, Tag(f"{KIND}memory")]
    | Annotated[Funit, Tag(f"{KIND}funit")]
    | Annotated[Shots, Tag(f"{KIND}shots")],
    Discriminator(lambda network: kind if (kind := _family(network)) in _FROM_IMAGES else f"{KIND}from z"),
]
"""The network of a model: a generator's of noise, or one that makes images of images, with its images where they are few."""

_FROM_IMAGES = tuple(
    f"{KIND}{family}" for family in ("translator", "stargan", "fusion", "funit", "adaptive", "memory", "shots")
)


def parse_network(values: Mapping[str, Any], where: str) -> AnyNetwork:
    """The network that `values` are of, by their family; UserError in one line that starts with `where`."""
    network: TypeAdapter[AnyNetwork] = TypeAdapter(NetworkConfig)
    try:
        return network.validate_python(dict(values))
    except ValidationError as error:
        raise UserError(f"{where}: {complaints(error)}") from None


def classes_of(network: AnyPart) -> int | None:
    """How many classes a network is conditional on; None of one without conditions."""
    return network.classes if isinstance(network, Resnet | Dcgan | StyleGAN2Config) else None


def unconditional(network: AnyNetwork) -> AnyNetwork:
    """The same network without conditions: what networks must agree in for one's weights to fit the other.

    A DCGAN of classes fits none without: batch norm follows its first layer, where a class's share has no place.
    """
    if isinstance(network, Resnet):
        return network.model_copy(update={"classes": None, "conditioning": "norm"})
    return network.model_copy(update={"classes": None}) if isinstance(network, StyleGAN2Config) else network


def conditional(network: AnyPart, classes: int) -> AnyNetwork:
    """The same network, conditional on so many classes; UserError for a family that has no such form."""
    if not isinstance(network, Resnet | StyleGAN2Config):
        raise UserError(f"a {network.family} has no conditional form; take networks of family 'resnet' or 'stylegan2'")
    return network.model_copy(update={"classes": classes})


def conditions(network: AnyPart) -> str | None:
    """ "10 classes by norm"; None of a network without conditions."""
    classes = classes_of(network)
    if classes is None:
        return None
    others = {"dcgan": "concat", "stylegan2": "mapping"}
    by = network.conditioning if isinstance(network, Resnet) else others[network.family]
    return f"{plural(classes, 'class', 'classes')} by {by}"


def told(network: AnyPart) -> str:
    """ "resnet of 64 pixels, width 64, z 128", and "of 10 classes by norm" where it is conditional."""
    if isinstance(network, Translator | StarTranslator):
        return f"{network.family} of width {network.width}, {network.blocks} blocks"
    if isinstance(network, Fusion | Funit | Adaptive | Memory):
        return f"{network.family} of {network.resolution} pixels, width {network.width}"
    if isinstance(network, Shots):
        return f"{plural(network.shots, 'image')} of each of {plural(network.classes, 'class', 'classes')}"
    plain = f"{network.family} of {network.resolution} pixels, width {network.width}, z {network.z_dim}"
    told_of = conditions(network)
    return f"{plain}, of {told_of}" if told_of else plain
