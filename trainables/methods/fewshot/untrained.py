"""What the baselines of few-shot generation have in common: nothing to learn, and the shots for a model."""

from functools import partial

import torch

from spaces.counts import plural
from spaces.methods.fewshot import UntrainedFewshotConfig
from trainables.images.samples import Samples
from trainables.methods.fewshot.sampling import SHOTS, Maker, ShotSampler, drawn, shots_of
from trainables.methods.method import Given, Method, Needs
from trainables.methods.nothing import NothingToLearn, no_batches
from trainables.networks.models import Model
from trainables.training.parallel import Group


class Untrained(NothingToLearn):
    """A learner that has nothing to learn: it is evaluated once."""

    def __init__(self, maker: Maker, config: UntrainedFewshotConfig, given: Given) -> None:
        self._maker, self._shots = maker, shots_of(config, given.target)
        self._class_names = given.target.facts.class_names
        self.origin = f"{plural(config.shots, 'image')} of each class"

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the target's classes in turn, made of its shots."""
        return drawn(self._maker, self._shots, n, seed)

    def model(self) -> Model:
        """The shots."""
        return Model({SHOTS: self._shots.network}, {SHOTS: self._shots.state_dict()}, self._class_names)


def untrained(config: type[UntrainedFewshotConfig], maker: Maker) -> Method:
    """A method that makes images of the shots by `maker`, and learns nothing."""

    def build(config: UntrainedFewshotConfig, given: Given, device: torch.device, group: Group) -> Untrained:
        return Untrained(maker, config, given)

    sampler = partial(ShotSampler, make=lambda model: maker)
    return Method(config=config, needs=Needs(labels=True), batches=no_batches, build=build, sampler=sampler)
