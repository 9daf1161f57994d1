"""DAGAN: one image and noise to another image of its class (Antoniou, Storkey and Edwards 2017).

The critic sees two images beside each other. Real pairs are two different images of a class, so that a copy beside its image
looks generated: that alone stops copying, and it needs i != j, which the authors' code does not hold to. Blocks and norms are
those of `networks.fusion`, not the paper's dense stages with batch norm.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from spaces.methods.dagan import DaganConfig
from spaces.networks import Fusion
from trainables.methods.fewshot.episodes import Numbers, Task
from trainables.methods.fewshot.fusing import NEEDS, Fuse, SetLearner, sampler, set_batches, set_learner
from trainables.methods.fewshot.penalties import penalty_over
from trainables.methods.method import Given, Method, network_of
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


def build(config: DaganConfig, given: Given, device: torch.device, group: Group) -> SetLearner:
    """Both networks at their start."""
    settings = {"width": config.width, "z_dim": config.z_dim, "weights": "one"}
    network = network_of(Fusion, config, given.target.facts, settings)
    objective = PairObjective(config)
    return set_learner(config, network, given, objective, device, group, sets_of=1, dropout=config.dropout)


DAGAN = Method(
    config=DaganConfig,
    needs=replace(NEEDS, class_images=lambda _: 2),
    batches=partial(set_batches, images=2),
    build=build,
    sampler=sampler,
)
