"""What DAGAN, MatchingGAN and F2GAN have in common: sets of images are fused to one more image, against a critic."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from spaces.methods.fewshot import SetConfig
from spaces.networks import AnyPart, Fusion
from trainables.images.batches import Batch
from trainables.images.pixels import to_float, to_uint8
from trainables.images.samples import Samples
from trainables.methods.fewshot.episodes import Numbers, SeenClasses, Task, episodes, task_of
from trainables.methods.fewshot.sampling import SHOTS, Made, Maker, ShotSampler, drawn, shots_of
from trainables.methods.method import Given, Needs
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network
from trainables.networks.fusion import Drop, Fused, FusionGenerator
from trainables.networks.models import Model
from trainables.networks.sampling import device_of
from trainables.networks.shots import ShotImages
from trainables.training.average import averaging, follow
from trainables.training.descent import adam, minimise
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.parallel import Group
from trainables.training.state import Stateful

NEEDS = Needs(labels=True, domains=True, source_labels=True, class_images=lambda shots: shots)
"""A domain of many classes, and no source model; and classes of the target's images."""
AT_ONCE = 64
"""Sets that are fused at once for samples."""

Fuse = Callable[[Tensor], Fused]
"""Of a worker's sets of shots, (n, K, 3, R, R) in [-1, 1]; with other weights and noise at each call."""


class Objective(Protocol):
    """What a method's two networks minimise: losses by name, of which the sum is taken."""

    def critic(self, critic: nn.Module, fuse: Fuse, task: Task, numbers: Numbers) -> Mapping[str, Tensor]:
        """The critic's terms; what `fuse` gives has no gradients here."""
        ...

    def generator(self, critic: nn.Module, generator: FusionGenerator, fuse: Fuse, task: Task) -> Mapping[str, Tensor]:
        """The generator's terms; the critic is held fixed."""
        ...


def fused(generator: FusionGenerator, shots: Tensor, numbers: Numbers, drop: Drop | None = None) -> Fused:
    """Sets of shots (n, K, 3, R, R) fused, with weights and noise of the network's kind."""
    network, (n, k) = generator.network, shots.shape[:2]
    z = numbers.normal(network.z_dim) if network.z_dim else None
    weights = None
    if network.weights == "one":
        weights = shots.new_ones(n, k)
    elif network.weights == "dirichlet":
        weights = numbers.simplex(k, network.concentration)
    elif network.weights == "uniform":
        weights = 1 + 9 * numbers.uniform(k)
        weights = weights / weights.sum(1, keepdim=True)
    if network.replaced:
        assert weights is not None, f"{network.weights=} are found of what the encoder sees"
        kept = numbers.uniform(*shots.shape[1:]) < weights[:, :, None, None, None]
        shots = torch.where(kept, shots, numbers.normal(*shots.shape[1:]))
    found: Fused = generator(shots, weights, z, drop)
    return found


def maker_of(generator: nn.Module) -> Maker:
    """What makes images by a generator as it is; of one image each where the network takes one."""
    assert isinstance(generator, FusionGenerator), f"{type(generator)=}"
    return partial(_made, generator)


def _made(generator: FusionGenerator, shots: Tensor, classes: Tensor, draws: Draws) -> Made:
    device, training, chosen = device_of(generator), generator.training, shots[classes]
    if generator.network.weights == "one":
        places = (draws.uniform(len(classes)) * shots.shape[1]).long()
        chosen = chosen[torch.arange(len(classes)), places][:, None]
    generator.eval()
    images = []
    for part in torch.split(chosen, AT_ONCE):
        whole = to_float(part.flatten(0, 1).to(device)).unflatten(0, part.shape[:2])
        images.append(to_uint8(fused(generator, whole, Numbers(draws, len(part), Group(), device)).images).cpu())
    generator.train(training)
    return Made(torch.cat(images), chosen)


def _of_files(model: Model) -> Maker:
    return maker_of(model.network(GENERATOR).to(memory_format=torch.channels_last))


def sampler(model: Model) -> ShotSampler:
    """What makes more of the images in a model's files."""
    return ShotSampler(model, _of_files)


class SetLearner(Stateful):
    """A generator of sets in training, with Adam for it and for its critic, and a moving average of it."""

    def __init__(
        self,
        config: SetConfig,
        network: Fusion,
        shots: ShotImages,
        objective: Objective,
        device: torch.device,
        group: Group,
        *,
        sets_of: int,
        dropout: float = 0.0,
        frozen: str | None = None,
        class_names: tuple[str, ...] = (),
        origin: str,
    ) -> None:
        """Each set has `sets_of` shots; the part of the critic that is called `frozen` keeps its first weights."""
        self.config, self.device, self.group = config, device, group.of_batch(config.training.batch)
        self.iterations, self.origin = 0, origin
        self._network, self._shots, self._objective = network, shots, objective
        self._sets_of, self._dropout, self._class_names = sets_of, dropout, class_names
        generator, critic = (build_network(name, network, config.seed) for name in (GENERATOR, DISCRIMINATOR))
        layout = {"device": device, "memory_format": torch.channels_last}
        self.generator = generator.to(**layout)  # type: ignore[call-overload]
        self.critic = critic.to(**layout)  # type: ignore[call-overload]
        if frozen:
            self.critic.get_submodule(frozen).requires_grad_(False)
        self.average = averaging(self.generator)
        networks = (self.generator, self.critic)
        self.adam_g, self.adam_d = (adam(trained(network), config.training) for network in networks)

    @property
    def images_per_iteration(self) -> int:
        """Sets that the critic is shown in one iteration."""
        return self.config.training.batch * self.config.training.n_critic

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One iteration: n_critic critic steps on sets of their own, then one of the generator on the last of them.

        `batch` has n_critic * batch sets, the same on every worker. Returns the terms of both, scalars on the learner's
        device, the critic's as means of its steps.
        """
        draws, training = Draws(self.config.seed, self.iterations), self.config.training
        numbers = Numbers(draws, training.batch, self.group, self.device)
        parts = zip(torch.split(batch.images, training.batch), torch.split(_labels(batch), training.batch), strict=True)
        mirror = draws if training.flip else None
        tasks = [task_of(Batch(*part), self._sets_of, self.group, self.device, mirror) for part in parts]
        of_critic = [self._critic_step(task, numbers) for task in tasks]
        losses = {name: torch.stack([each[name] for each in of_critic]).mean() for name in of_critic[0]}
        losses |= self._generator_step(tasks[-1], numbers)
        self.iterations += 1
        follow(
            self.average,
            self.generator,
            images=self.images_per_iteration,
            images_seen=self.iterations * self.images_per_iteration,
            halflife=training.ema_halflife_images,
        )
        return self.group.means(losses)

    def _critic_step(self, task: Task, numbers: Numbers) -> dict[str, Tensor]:
        fuse = torch.no_grad()(partial(self._fuse, numbers))
        terms = self._objective.critic(self.critic, fuse, task, numbers)
        return self._descend(self.adam_d, terms)

    def _generator_step(self, task: Task, numbers: Numbers) -> dict[str, Tensor]:
        with held_fixed(trained(self.critic)):
            terms = self._objective.generator(self.critic, self.generator, partial(self._fuse, numbers), task)
            return self._descend(self.adam_g, terms)

    def _fuse(self, numbers: Numbers, shots: Tensor) -> Fused:
        return fused(self.generator, shots, numbers, partial(self._dropped, numbers) if self._dropout else None)

    def _dropped(self, numbers: Numbers, maps: Tensor) -> Tensor:
        """Maps of a worker's sets, (n * K, c, h, w), with a share of their numbers put to 0, and the rest made up for it."""
        kept = numbers.uniform(self._sets_of, *maps.shape[1:]).flatten(0, 1) >= self._dropout
        return maps * kept / (1 - self._dropout)

    def _descend(self, adam: torch.optim.Adam, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        minimise(self.group, terms.values(), adam)
        return {name: term.detach() for name, term in terms.items()}

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the target's classes in turn, of its shots alone, by the averaged generator."""
        return drawn(maker_of(self.average), self._shots, n, seed)

    def model(self) -> Model:
        """The averaged generator, and the shots that it makes more of."""
        networks: dict[str, AnyPart] = {GENERATOR: self._network, SHOTS: self._shots.network}
        weights = {GENERATOR: self.average.state_dict(), SHOTS: self._shots.state_dict()}
        return Model(networks, weights, self._class_names)

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.critic, "average": self.average}

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adam_g": self.adam_g, "adam_d": self.adam_d}


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None, "episodes have labels"
    return batch.labels


def set_learner(
    config: SetConfig,
    network: Fusion,
    given: Given,
    objective: Objective,
    device: torch.device,
    group: Group,
    *,
    sets_of: int | None = None,
    dropout: float = 0.0,
    frozen: str | None = None,
) -> SetLearner:
    """A learner at its start, of what is given: the target's shots, and sets of K or of `sets_of` images of seen classes."""
    form = (
        "as the authors' code has them"
        if config.faithful
        else "repaired where the authors' code departs from the paper"
    )
    return SetLearner(
        config,
        network,
        shots_of(config, given.target),
        objective,
        device,
        group,
        sets_of=sets_of or config.shots,
        dropout=dropout,
        frozen=frozen,
        class_names=given.target.facts.class_names,
        origin=f"random weights, classes of {config.source}; losses {form}",
    )


def set_batches(
    config: SetConfig, given: Given, first: int, device: torch.device, images: int | None = None
) -> Iterator[Batch]:
    """Batches for all steps of an iteration: sets of K, or of so many, different images of a seen class."""
    images, sets = images or config.shots, config.training.batch * config.training.n_critic
    seen = SeenClasses.of(given.domains[0], images)
    return episodes(seen, images, sets, seed=config.seed, first=first, device=device)
