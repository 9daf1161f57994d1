"""One GAN of all seen classes together, adapted to K images like any other start: the baseline of FIGR and DAWSON."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from spaces.methods.figr import JointConfig
from trainables.images.batches import Batch
from trainables.images.batches import batches as shuffled
from trainables.images.pixels import to_float
from trainables.methods.fewshot.adapting import AdaptiveLearner, critic_loss, generator_loss, sampler
from trainables.methods.fewshot.episodes import Numbers, SeenClasses
from trainables.methods.fewshot.fusing import NEEDS
from trainables.methods.method import Given, Method
from trainables.training.descent import adam, minimise
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.parallel import Group


class Joint(AdaptiveLearner):
    """WGAN-GP on images of all seen classes, which it is not told apart."""

    def __init__(self, config: JointConfig, given: Given, device: torch.device, group: Group) -> None:
        super().__init__(config, given, device, f"random weights, all classes of {config.source} together")
        self.training, self.group = config.training, group.of_batch(config.training.batch)
        networks = zip("gd", self.gan, strict=True)
        self.optimisers = {f"adam_{name}": adam(network.parameters(), config.training) for name, network in networks}

    @property
    def images_per_iteration(self) -> int:
        """Images that the critic is shown in one iteration."""
        return self.training.batch * self.training.n_critic

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """n_critic critic steps, then one of the generator; `batch` has images for all of them, the same on every worker."""
        draws, size, z_dim = Draws(self.config.seed, self.iterations), self.training.batch, self.network.z_dim
        numbers = Numbers(draws, size, self.group, self.device)
        of_critic = []
        images = to_float(batch.images.to(self.device, non_blocking=True))
        for part in torch.split(draws.mirrored(images) if self.training.flip else images, size):
            z, mix = numbers.normal(z_dim), numbers.uniform(1, 1, 1)
            loss = critic_loss(self.network, self.gan, self.group.share(part), z, mix)
            of_critic.append(self._descend("adam_d", loss))
        with held_fixed(trained(self.gan.critic)):
            of_generator = self._descend("adam_g", generator_loss(self.gan, numbers.normal(z_dim)))
        self.iterations += 1
        return self.group.means({"loss_d": torch.stack(of_critic).mean(), "loss_g": of_generator})

    def _descend(self, name: str, loss: Tensor) -> Tensor:
        minimise(self.group, [loss], self.optimisers[name])
        return loss.detach()


def batches(config: JointConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """Images of all seen classes, in shuffled epochs."""
    rows = np.concatenate(SeenClasses.of(given.domains[0], 1).rows)
    size = config.training.batch * config.training.n_critic
    return shuffled(given.domains[0], rows, size, seed=config.seed, first=first, device=device)


JOINT = Method(
    config=JointConfig,
    needs=replace(NEEDS, class_images=lambda _: 1),
    batches=batches,
    build=Joint,
    sampler=sampler,
)
