"""Generative matching networks: the likelihood baseline of few-shot GANs (Bartunov and Vetrov, AISTATS 2018).

Sets are of different images of one class; the authors' code draws images with replacement, of up to two classes. Images are
not binarised, and layers are wider and keep their sizes' powers of two.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from spaces.methods.gmn import GmnConfig
from spaces.networks import AnyPart, Memory
from trainables.images.batches import Batch
from trainables.images.pixels import to_float, to_uint8
from trainables.images.samples import Samples
from trainables.methods.fewshot.episodes import Numbers, SeenClasses, episodes, task_of
from trainables.methods.fewshot.fusing import NEEDS
from trainables.methods.fewshot.sampling import SHOTS, Made, Maker, ShotSampler, drawn, shots_of
from trainables.methods.method import Given, Method, network_of
from trainables.networks.families import GENERATOR, build_network
from trainables.networks.memory import MemoryVae
from trainables.networks.models import Model
from trainables.networks.sampling import device_of
from trainables.training.descent import adam, minimise
from trainables.training.draws import Draws
from trainables.training.parallel import Group
from trainables.training.state import Stateful

AT_ONCE = 64
"""Sets that images are made of at once."""


class Gmn(Stateful):
    """The autoencoder in training, with Adam."""

    def __init__(self, config: GmnConfig, given: Given, device: torch.device, group: Group) -> None:
        self.config, self.device, self.group = config, device, group.of_batch(config.training.batch)
        self.iterations, self.origin = 0, f"random weights, classes of {config.source}"
        settings = {"width": config.width, "z_dim": config.z_dim, "hops": config.hops}
        self._network = network_of(Memory, config, given.target.facts, settings)
        layout = {"device": device, "memory_format": torch.channels_last}
        self.generator = build_network(GENERATOR, self._network, config.seed).to(**layout)  # type: ignore[call-overload]
        self._shots, self._class_names = shots_of(config, given.target), given.target.facts.class_names
        self.adam = adam(self.generator.parameters(), config.training)

    @property
    def images_per_iteration(self) -> int:
        """Images that a step's sets hold."""
        return self.config.training.batch * (self.config.shots + 1)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step on the mean bound over a set's images.

        Returns it, and those of the first image of a set and of the last, which K are seen before: scalars, in nats an image.
        """
        draws, training = Draws(self.config.seed, self.iterations), self.config.training
        task = task_of(batch, batch.images.shape[1], self.group, self.device, draws if training.flip else None)
        numbers = Numbers(draws, training.batch, self.group, self.device)
        bounds = self.generator(task.shots, numbers.normal(task.shots.shape[1], self.config.z_dim))
        loss = bounds.mean()
        minimise(self.group, [loss], self.adam)
        self.iterations += 1
        first, last = bounds.mean(0)[[0, -1]]
        return self.group.means({"loss_bound": loss, "bound_first": first, "bound_last": last})

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the target's classes in turn, by the prior that its shots give."""
        return drawn(maker_of(self.generator), self._shots, n, seed)

    def model(self) -> Model:
        """The autoencoder, and the shots that it makes more of."""
        networks: dict[str, AnyPart] = {GENERATOR: self._network, SHOTS: self._shots.network}
        weights = {GENERATOR: self.generator.state_dict(), SHOTS: self._shots.state_dict()}
        return Model(networks, weights, self._class_names)

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {GENERATOR: self.generator}

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adam": self.adam}


def maker_of(network: nn.Module) -> Maker:
    """What makes images by an autoencoder that reads the shots."""
    assert isinstance(network, MemoryVae), f"{type(network)=}"
    return partial(_made, network)


def _made(network: MemoryVae, shots: Tensor, classes: Tensor, draws: Draws) -> Made:
    device, noise, chosen = device_of(network), draws.normal(len(classes), network.z_dim), shots[classes]
    images = []
    for sets, own in zip(torch.split(chosen, AT_ONCE), torch.split(noise, AT_ONCE), strict=True):
        whole = to_float(sets.flatten(0, 1).to(device)).unflatten(0, sets.shape[:2])
        images.append(to_uint8(network.more(whole, own.to(device))).cpu())
    return Made(torch.cat(images), chosen)


def _of_files(model: Model) -> Maker:
    return maker_of(model.network(GENERATOR).to(memory_format=torch.channels_last))


def sampler(model: Model) -> ShotSampler:
    """What makes more of the images in a model's files."""
    return ShotSampler(model, _of_files)


def batches(config: GmnConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """Sets of K + 1 different images of a seen class."""
    images = config.shots + 1
    seen = SeenClasses.of(given.domains[0], images)
    return episodes(seen, images, config.training.batch, seed=config.seed, first=first, device=device)


GMN = Method(
    config=GmnConfig,
    needs=replace(NEEDS, class_images=lambda shots: shots + 1),
    batches=batches,
    build=Gmn,
    sampler=sampler,
)
