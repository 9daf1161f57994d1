"""What methods have in common that learn nothing: they are evaluated once, and give what they were given."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from spaces.config import TrialConfig
from trainables.images.batches import Batch
from trainables.methods.method import Given


class NothingToLearn:
    """A learner of no iterations; what it samples, and its model, are a subclass's."""

    images_per_iteration = 0
    iterations = 0

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Never asked for: there are no iterations."""
        raise AssertionError("nothing is trained")

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: all of it is what was given."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""


def no_batches(config: TrialConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """None: there is nothing to train."""
    return iter(())
