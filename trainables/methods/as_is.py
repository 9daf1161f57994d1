"""The source as it is: its generator sampled untouched. The baseline that every method must beat, at no training."""

import torch

from spaces.errors import UserError
from spaces.methods.as_is import AsIsConfig
from spaces.networks import told, unconditional
from trainables.images.samples import Samples
from trainables.methods.method import Given, Method, Needs
from trainables.methods.nothing import NothingToLearn, no_batches
from trainables.networks.families import GENERATOR
from trainables.networks.models import Model
from trainables.networks.sampling import ZSampler, draw
from trainables.training.parallel import Group


class AsIs(NothingToLearn):
    """A learner that has nothing to learn: it is evaluated once."""

    def __init__(self, config: AsIsConfig, given: Given, device: torch.device) -> None:
        assert given.source is not None, f"{config.source=} has no model"
        facts = given.source.facts
        if unconditional(facts.network) != unconditional(config.network):
            raise UserError(
                f"source {facts.name!r} is a {told(facts.network)}, the config's network a {told(config.network)}; nothing is "
                "trained that could make up for it, so give the source's own network"
            )
        whole = given.source.model()
        self.origin = f"source {facts.name} as it is"
        named = facts.class_names
        self._same_classes = bool(named) and named == given.target.facts.class_names
        self._model = Model({GENERATOR: whole.networks[GENERATOR]}, {GENERATOR: whole.weights[GENERATOR]}, named)
        generator = self._model.network(GENERATOR)
        self._generator = generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the source, with the statistics of batch norm that it came with; with labels if they are the target's."""
        drawn = draw(self._generator, n, seed)
        return drawn if self._same_classes else Samples(drawn.images)

    def model(self) -> Model:
        """The source's generator."""
        return self._model


def build(config: AsIsConfig, given: Given, device: torch.device, group: Group) -> AsIs:
    """The source's generator, as a learner of no iterations."""
    return AsIs(config, given, device)


AS_IS = Method(
    config=AsIsConfig,
    needs=Needs(source=True, networks=(GENERATOR,)),
    batches=no_batches,
    build=build,
    sampler=ZSampler,
)
