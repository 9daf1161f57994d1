"""What FIGR, DAWSON and their baseline have in common: a GAN that a few steps on K images of a class make one of that class.

The steps are taken on copies: what is stored, trained or read from files is never adapted itself.
"""

import copy
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.methods.figr import AdaptiveConfig
from spaces.networks import Adaptive, AnyPart
from trainables.images.pixels import to_float, to_uint8
from trainables.images.samples import Samples
from trainables.methods.fewshot.penalties import penalty_over
from trainables.methods.fewshot.sampling import SHOTS, Made, Maker, ShotSampler, drawn, shots_of
from trainables.methods.method import Given, network_of
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network
from trainables.networks.models import Model
from trainables.networks.sampling import device_of
from trainables.training.draws import Draws
from trainables.training.losses import LOSSES, gradient_penalty
from trainables.training.state import Stateful

CHANNEL = 1
"""The axis over which FIGR's code takes the gradient's norm."""
AT_ONCE = 128
"""Images that are drawn at once."""


class Gan(NamedTuple):
    """A generator of z and its critic."""

    generator: nn.Module
    critic: nn.Module

    def copied(self) -> "Gan":
        """Another one of the same weights."""
        return Gan(*(copy.deepcopy(network).requires_grad_(True) for network in self))


def critic_loss(network: Adaptive, gan: Gan, real: Tensor, z: Tensor, mix: Tensor) -> Tensor:
    """The Wasserstein loss on real images (n, 3, R, R) and as many generated ones, and its penalty."""
    with torch.no_grad():
        fake = gan.generator(z)
    of_real, of_fake = gan.critic(torch.cat([real, fake])).chunk(2)
    loss = LOSSES["wgan_gp"].discriminator(of_real, of_fake)
    if network.penalty:
        penalty = penalty_over(CHANNEL) if network.penalty_by_channel else gradient_penalty
        loss = loss + network.penalty * penalty(gan.critic, real, fake, mix)
    return loss


def generator_loss(gan: Gan, z: Tensor) -> Tensor:
    """What the generator has left to look real."""
    return LOSSES["wgan_gp"].generator(gan.critic(gan.generator(z)))


class Adapted(NamedTuple):
    """A GAN after adaptation, and the losses of its last step; 0 where there is none."""

    gan: Gan
    loss_d: Tensor
    loss_g: Tensor


def adapted(network: Adaptive, start: Gan, images: Tensor, draws: Draws) -> Adapted:
    """A copy of `start` after its steps on the K `images`, (K, 3, R, R): of the critic and the generator in turn."""
    gan, shots = start.copied(), len(images)
    of_critic = of_generator = images.new_zeros(())
    for _ in range(network.steps):
        z, mix = (
            each.to(images.device) for each in (draws.normal(shots, network.z_dim), draws.uniform(shots, 1, 1, 1))
        )
        of_critic = critic_loss(network, gan, images, z, mix)
        _descend(gan.critic, of_critic, network.rate)
        of_generator = generator_loss(gan, draws.normal(shots, network.z_dim).to(images.device))
        _descend(gan.generator, of_generator, network.rate)
    return Adapted(gan, of_critic.detach(), of_generator.detach())


def _descend(module: nn.Module, loss: Tensor, rate: float) -> None:
    weights: list[Tensor] = list(module.parameters())
    slopes = torch.autograd.grad(loss, weights)
    with torch.no_grad():
        torch._foreach_add_(weights, slopes, alpha=-rate)


def maker_of(network: Adaptive, start: Gan) -> Maker:
    """What makes images by `start`, adapted to the shots of each class that is asked for."""
    return partial(_made, network, start)


def _made(network: Adaptive, start: Gan, shots: Tensor, classes: Tensor, draws: Draws) -> Made:
    device = device_of(start.generator)
    images = shots.new_empty(len(classes), *shots.shape[2:])
    for number in classes.unique():
        own = classes == number
        z = draws.normal(int(own.sum()), network.z_dim)
        with torch.enable_grad():
            gan = adapted(network, start, to_float(shots[number].to(device)), draws).gan
        with torch.no_grad():
            parts = [to_uint8(gan.generator(part.to(device))).cpu() for part in torch.split(z, AT_ONCE)]
        images[own] = torch.cat(parts)
    return Made(images, shots[classes])


def sampler(model: Model) -> ShotSampler:
    """What adapts a model to the images in its files, or to others, and samples it."""
    return ShotSampler(model, _of_files)


def _of_files(model: Model) -> Maker:
    network = model.networks[GENERATOR]
    assert isinstance(network, Adaptive), f"{network=}"
    layout = torch.channels_last
    networks = (model.network(name).to(memory_format=layout) for name in (GENERATOR, DISCRIMINATOR))
    return maker_of(network, Gan(*networks))


class AdaptiveLearner(Stateful):
    """The start of adaptation in training: both networks, an optimiser for each, and the target's shots."""

    def __init__(
        self, config: AdaptiveConfig, given: Given, device: torch.device, origin: str, *, by_channel: bool = False
    ) -> None:
        self.config, self.device, self.iterations, self.origin = config, device, 0, origin
        steps = config.adaptation
        settings = {
            "width": config.width,
            "z_dim": config.z_dim,
            "steps": steps.steps,
            "rate": steps.rate,
            "penalty": steps.penalty,
            "penalty_by_channel": by_channel,
        }
        self.network = network_of(Adaptive, config, given.target.facts, settings)
        layout = {"device": device, "memory_format": torch.channels_last}
        names = (GENERATOR, DISCRIMINATOR)
        self.gan = Gan(*(build_network(name, self.network, config.seed).to(**layout) for name in names))  # type: ignore[call-overload]
        self._shots, self._class_names = shots_of(config, given.target), given.target.facts.class_names
        self.optimisers: dict[str, torch.optim.Optimizer] = {}

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the target's classes in turn, by a copy adapted to each class's shots."""
        return drawn(maker_of(self.network, self.gan), self._shots, n, seed)

    def model(self) -> Model:
        """The start as it is, and the shots that it is adapted to."""
        networks: dict[str, AnyPart] = {
            GENERATOR: self.network,
            DISCRIMINATOR: self.network,
            SHOTS: self._shots.network,
        }
        modules = {GENERATOR: self.gan.generator, DISCRIMINATOR: self.gan.critic, SHOTS: self._shots}
        return Model(networks, {name: module.state_dict() for name, module in modules.items()}, self._class_names)

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.gan.generator, "discriminator": self.gan.critic}

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return self.optimisers
