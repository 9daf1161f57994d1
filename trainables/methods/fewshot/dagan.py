"""DAGAN: one image and noise to another image of its class (Antoniou, Storkey and Edwards 2017).

The critic sees two images beside each other. Real pairs are two different images of a class, so that a copy beside its image
looks generated: that alone stops copying, and it needs i != j, which the authors' code does not hold to. Blocks and norms are
those of `networks.fusion`, not the paper's dense stages with batch norm.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spaces.methods.dagan import DaganConfig
from spaces.networks import Fusion
from trainables.images.batches import Batch
from trainables.methods.fewshot.episodes import Numbers, SeenClasses, Task, episodes
from trainables.methods.fewshot.fusing import NEEDS, Fuse, SetLearner, origin_of, sampler
from trainables.methods.fewshot.penalties import penalty_over
from trainables.methods.fewshot.sampling import shots_of
from trainables.methods.method import Given, Method
from trainables.networks.fusion import FusionGenerator, PairCritic
from trainables.training.losses import gradient_penalty
from trainables.training.parallel import Group

HEIGHT = 2
"""The one axis over which the authors' code takes the gradient's norm."""


@dataclass(frozen=True, eq=False)
class Beside:
    """The critic of images beside given ones, (n, 3, R, R): what the gradient penalty asks, of which only images may vary."""

    critic: PairCritic
    others: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        logits: Tensor = self.critic(torch.cat([images, self.others], 1))
        return logits

    def input_gradient(self, images: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The logits' gradient in the images alone, and what it does along directions, as a critic's own."""
        gradient, along = self.critic.input_gradient(torch.cat([images, self.others], 1))
        return gradient[:, :3], lambda directions: along(torch.cat([directions, torch.zeros_like(directions)], 1))


@dataclass(frozen=True)
class PairObjective:
    """WGAN-GP on pairs: (x_j, x_i) is real, (G(x_i, z), x_i) is not."""

    config: DaganConfig

    def critic(self, critic: nn.Module, fuse: Fuse, task: Task, numbers: Numbers) -> dict[str, Tensor]:
        """The Wasserstein loss, and its penalty between x_j and G(x_i, z), beside x_i; over all axes of the image."""
        assert isinstance(critic, PairCritic), f"{type(critic)=}"
        beside, real, fake = Beside(critic, task.shots[:, 0]), task.others[:, 0], fuse(task.shots).images
        losses = {"loss_d": beside(fake).mean() - beside(real).mean()}
        if self.config.penalty:
            mix = numbers.uniform(1, 1, 1)
            penalty = penalty_over(HEIGHT) if self.config.faithful else gradient_penalty
            losses["penalty_d"] = self.config.penalty * penalty(beside, real, fake, mix)
        return losses

    def generator(self, critic: nn.Module, generator: FusionGenerator, fuse: Fuse, task: Task) -> dict[str, Tensor]:
        """To look real beside its image."""
        assert isinstance(critic, PairCritic), f"{type(critic)=}"
        return {"loss_g": -Beside(critic, task.shots[:, 0])(fuse(task.shots).images).mean()}


def batches(config: DaganConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """Pairs of different images of a seen class."""
    sets = config.training.batch * config.training.n_critic
    seen = SeenClasses.of(given.domains[0], 2)
    return episodes(seen, 2, sets, seed=config.seed, first=first, device=device)


def build(config: DaganConfig, given: Given, device: torch.device, group: Group) -> SetLearner:
    """Both networks at their start."""
    target = given.target
    network = Fusion(resolution=target.facts.resolution, width=config.width, z_dim=config.z_dim, weights="one")
    return SetLearner(
        config,
        network,
        shots_of(config, target),
        PairObjective(config),
        device,
        group,
        sets_of=1,
        dropout=config.dropout,
        origin=origin_of(config, len(SeenClasses.of(given.domains[0], 2).rows)),
        class_names=target.facts.class_names,
    )


DAGAN = Method(config=DaganConfig, needs=NEEDS, batches=batches, build=build, sampler=sampler)
