"""What learners have in common whose result is the moving average of one translator into the target."""

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from spaces.methods.translation import LearnedTranslationConfig
from trainables.images.domains import Domain
from trainables.images.pixels import to_float
from trainables.images.samples import Samples
from trainables.methods.translation.translating import held_out_inputs, translated
from trainables.networks.families import GENERATOR
from trainables.networks.models import Model
from trainables.training.average import averaging, follow
from trainables.training.draws import Draws
from trainables.training.parallel import Group
from trainables.training.state import Stateful

C = TypeVar("C", bound=LearnedTranslationConfig)


class AveragedTranslator(Stateful, Generic[C]):
    """A translator in training, with whatever else; its moving average is what is sampled and kept."""

    def __init__(
        self,
        config: C,
        source: Domain,
        translator: nn.Module,
        device: torch.device,
        group: Group,
    ) -> None:
        """`translator` is where the average begins; `source` the domain whose images it translates."""
        self.config, self.device, self.group = config, device, group.of_batch(config.training.batch)
        self.iterations = 0
        self.origin = f"random weights, images of {', '.join(config.domains)}"
        self.average = averaging(translator)
        self._source = source

    @property
    def images_per_iteration(self) -> int:
        """Target images in an iteration; there are as many of every source domain."""
        return self.config.training.batch

    @property
    def _spent(self) -> float:
        """Of the budget, what is spent."""
        return self.iterations * self.images_per_iteration / self.config.budget.images

    def _real(self, images: Tensor, draws: Draws) -> Tensor:
        """A worker's share of a batch of real images, some of them mirrored, in [-1, 1]."""
        real = to_float(images.to(self.device, non_blocking=True))
        return self.group.share(draws.mirrored(real) if self.config.training.flip else real)

    def _count(self, translator: nn.Module) -> None:
        """An iteration is through, which led to this translator."""
        self.iterations += 1
        follow(
            self.average,
            translator,
            images=self.images_per_iteration,
            images_seen=self.iterations * self.images_per_iteration,
            halflife=self.config.training.ema_halflife_images,
        )

    def sample(self, n: int, seed: int) -> Samples:
        """`n` source images, held-out ones first, by the averaged translator; equal seeds take equal images in every trial."""
        return translated(self.average, held_out_inputs(self._source, n, seed))

    def model(self) -> Model:
        """The averaged translator into the target."""
        return Model({GENERATOR: self.config.translator}, {GENERATOR: self.average.state_dict()})
