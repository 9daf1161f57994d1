"""The families of networks that there are, and the one way to build a network of any of them."""

from collections.abc import Mapping

import torch
from torch import nn

from spaces.errors import lookup
from spaces.networks import AnyNetwork, AnyPart
from trainables.machine.randomness import random_numbers
from trainables.networks.adaptive import ADAPTIVE
from trainables.networks.dcgan import DCGAN
from trainables.networks.family import Family
from trainables.networks.funit import FUNIT
from trainables.networks.fusion import FUSION
from trainables.networks.memory import MEMORY
from trainables.networks.mimicry import MIMICRY
from trainables.networks.resnet import RESNET
from trainables.networks.shots import SHOTS
from trainables.networks.stargan import STARGAN
from trainables.networks.stylegan2 import STYLEGAN2
from trainables.networks.translators import TRANSLATOR

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
"""The names of a GAN's two networks, in every family."""
IN_TRAINING = "generator_in_training"
"""The generator as its training left it, which training goes on from, where a source has it beside its moving average."""


def family_of(config: AnyPart) -> Family:
    """The family that a network's config is of."""
    return lookup({**FAMILIES, **TRANSLATORS, **FEWSHOT}, "family of networks", config.family)


def empty_network(name: str, config: AnyPart) -> nn.Module:
    """A network without any memory behind its tensors, which has the names and shapes of its weights."""
    with torch.device("meta"):
        return lookup(family_of(config).networks, "network", GENERATOR if name == IN_TRAINING else name)(config)


def build_network(name: str, config: AnyPart, seed: int) -> nn.Module:
    """A freshly initialised network on the CPU; equal seeds give equal weights, and the global RNG is left alone."""
    module = empty_network(name, config).to_empty(device="cpu")
    family_of(config).initialise(module, random_numbers(f"weights of a {type(module).__name__}", seed))
    return module


def build_generator(config: AnyNetwork, seed: int) -> nn.Module:
    """The generator of a config, freshly initialised as by `build_network`."""
    return build_network(GENERATOR, config, seed)


def build_discriminator(config: AnyNetwork, seed: int) -> nn.Module:
    """The critic of a config, freshly initialised as by `build_network`."""
    return build_network(DISCRIMINATOR, config, seed)


FAMILIES: Mapping[str, Family] = {"resnet": RESNET, "dcgan": DCGAN, "mimicry": MIMICRY, "stylegan2": STYLEGAN2}
"""Generators of z, each with its critic: what source models are made of."""

TRANSLATORS: Mapping[str, Family] = {"translator": TRANSLATOR, "stargan": STARGAN}
"""Those whose generator makes images of images."""

FEWSHOT: Mapping[str, Family] = {
    "fusion": FUSION,
    "funit": FUNIT,
    "adaptive": ADAPTIVE,
    "memory": MEMORY,
    "shots": SHOTS,
}
"""What few-shot models are made of: networks that make images of some images of a class, or are adapted to them, and those
images."""
