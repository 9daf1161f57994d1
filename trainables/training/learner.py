"""What a method trains, as the loop and the checkpoints see it."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from trainables.images.batches import Batch
from trainables.images.samples import Samples
from trainables.networks.models import Model


class Learner(Protocol):
    """Something that takes steps on batches, can be sampled, and can be put away and taken up again, bit for bit."""

    iterations: int
    """Steps taken so far."""
    origin: str
    """What it started from, in a line: what was grafted, re-initialised and frozen."""

    @property
    def images_per_iteration(self) -> int:
        """Real images of the target in a batch; 0 for one that has nothing to train."""
        ...

    def step(self, batch: Batch) -> Mapping[str, Tensor]:
        """One iteration; gives the losses by the method's own names, scalars on the learner's device."""
        ...

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images, on the CPU; the same z, or the same inputs, for the same seed in every trial."""
        ...

    def model(self) -> Model:
        """What is scored, sampled and exported, ready to be sampled."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, by name."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`, for a learner of the same config."""
        ...


def images_seen(learner: Learner) -> int:
    """Real images that a learner was shown since its start."""
    return learner.iterations * learner.images_per_iteration
