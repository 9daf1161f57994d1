"""Source images as they are, in the place of translated ones: the baseline of every translation, at no training."""

import torch

from spaces.methods.untranslated import UntranslatedConfig
from trainables.images.samples import Inputs, Samples
from trainables.methods.method import Given, Method
from trainables.methods.nothing import NothingToLearn, no_batches
from trainables.methods.translation.translating import NEEDS, checked, held_out_inputs, only_domain
from trainables.networks.models import Model
from trainables.training.parallel import Group


class Untranslated(NothingToLearn):
    """A learner that has nothing to learn: it is evaluated once, and its model holds no network."""

    def __init__(self, config: UntranslatedConfig, given: Given) -> None:
        self._domain = only_domain(config, given)
        self.origin = f"images of {config.source} as they are"

    def sample(self, n: int, seed: int) -> Samples:
        """`n` source images, held-out ones first."""
        return _as_they_are(held_out_inputs(self._domain, n, seed))

    def model(self) -> Model:
        """No network at all."""
        return Model({}, {})


class UntranslatedSampler:
    """Gives back what it is given."""

    def __init__(self, model: Model) -> None:
        assert not model.networks, f"{model.networks=}"

    def __call__(self, n: int, seed: int, inputs: Inputs | None = None) -> Samples:
        """The inputs themselves."""
        return _as_they_are(checked(inputs, n))


def _as_they_are(inputs: Inputs) -> Samples:
    return Samples(inputs.images, inputs=inputs.images, pictures=inputs.names)


def build(config: UntranslatedConfig, given: Given, device: torch.device, group: Group) -> Untranslated:
    """The source domain, as a learner of no iterations."""
    return Untranslated(config, given)


UNTRANSLATED = Method(
    config=UntranslatedConfig,
    needs=NEEDS,
    batches=no_batches,
    build=build,
    sampler=UntranslatedSampler,
)
