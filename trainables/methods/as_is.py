"""The source as it is: its generator sampled untouched. The baseline that every method must beat, at no training."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from spaces.errors import UserError
from spaces.methods.as_is import AsIsConfig
from spaces.networks import told, unconditional
from trainables.images.batches import Batch
from trainables.images.samples import Samples
from trainables.methods.method import Given, Method, Needs
from trainables.networks.families import GENERATOR
from trainables.networks.models import Model
from trainables.networks.sampling import ZSampler, draw
from trainables.training.parallel import Group


class AsIs:
    """A learner that has nothing to learn: it is evaluated once."""

    images_per_iteration = 0

    def __init__(self, config: AsIsConfig, given: Given, device: torch.device) -> None:
        assert given.source is not None, f"{config.source=} has no model"
        facts = given.source.facts
        if unconditional(facts.network) != unconditional(config.network):
            raise UserError(
                f"source {facts.name!r} is a {told(facts.network)}, the config's network a {told(config.network)}; nothing is "
                "trained that could make up for it, so give the source's own network"
            )
        whole = given.source.model()
        self.iterations = 0
        self.origin = f"source {facts.name} as it is"
        named = facts.class_names
        self._same_classes = bool(named) and named == given.target.facts.class_names
        self._model = Model({GENERATOR: whole.networks[GENERATOR]}, {GENERATOR: whole.weights[GENERATOR]}, named)
        generator = self._model.network(GENERATOR)
        self._generator = generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Never asked for: there are no iterations."""
        raise AssertionError("nothing is trained")

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the source, with the statistics of batch norm that it came with; with labels if they are the target's."""
        drawn = draw(self._generator, n, seed)
        return drawn if self._same_classes else Samples(drawn.images)

    def model(self) -> Model:
        """The source's generator."""
        return self._model

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: all of it is the source's."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""


def build(config: AsIsConfig, given: Given, device: torch.device, group: Group) -> AsIs:
    """The source's generator, as a learner of no iterations."""
    return AsIs(config, given, device)


def batches(config: AsIsConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """None: there is nothing to train."""
    return iter(())


AS_IS = Method(
    config=AsIsConfig,
    needs=Needs(source=True, networks=(GENERATOR,)),
    batches=batches,
    build=build,
    sampler=ZSampler,
)
