"""What the baselines of few-shot generation have in common: nothing to learn, and the shots for a model."""

from collections.abc import Iterator, Mapping
from functools import partial

import torch
from torch import Tensor

from spaces.methods.fewshot import UntrainedFewshotConfig
from trainables.images.batches import Batch
from trainables.images.samples import Samples
from trainables.methods.fewshot.sampling import SHOTS, Maker, ShotSampler, drawn, shots_of
from trainables.methods.method import Given, Method, Needs
from trainables.networks.models import Model
from trainables.training.parallel import Group


class Untrained:
    """A learner that has nothing to learn: it is evaluated once."""

    images_per_iteration = 0

    def __init__(self, maker: Maker, config: UntrainedFewshotConfig, given: Given) -> None:
        self._maker, self._shots = maker, shots_of(config, given.target)
        self._class_names = given.target.facts.class_names
        self.iterations = 0
        self.origin = f"{config.shots} images of each class"

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Never asked for: there are no iterations."""
        raise AssertionError("nothing is trained")

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the target's classes in turn, made of its shots."""
        return drawn(self._maker, self._shots, n, seed)

    def model(self) -> Model:
        """The shots."""
        return Model({SHOTS: self._shots.network}, {SHOTS: self._shots.state_dict()}, self._class_names)

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: the shots are the target's."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""


def no_batches(config: UntrainedFewshotConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """None: there is nothing to train."""
    return iter(())


def untrained(config: type[UntrainedFewshotConfig], maker: Maker) -> Method:
    """A method that makes images of the shots by `maker`, and learns nothing."""

    def build(config: UntrainedFewshotConfig, given: Given, device: torch.device, group: Group) -> Untrained:
        return Untrained(maker, config, given)

    sampler = partial(ShotSampler, make=lambda model: maker)
    return Method(config=config, needs=Needs(labels=True), batches=no_batches, build=build, sampler=sampler)
