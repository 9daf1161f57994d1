"""MatchingGAN: K images fused by how well each matches noise (Hong et al., ICME 2020).

The authors' code draws the weights at random, and never trains the critic's head of classes: `faithful` does that too. Blocks
and norms are those of `networks.fusion`, not theirs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.matchinggan import MatchingGanConfig
from spaces.networks import Fusion
from trainables.methods.fewshot.episodes import Numbers, SeenClasses, Task
from trainables.methods.fewshot.fusing import NEEDS, Fuse, SetLearner, sampler, set_batches, set_learner
from trainables.methods.fewshot.judging import critic_terms, features_of_sets, generator_terms, unlike_fused
from trainables.methods.method import Given, Method, network_of
from trainables.networks.fusion import FusionGenerator, SetCritic
from trainables.training.parallel import Group


@dataclass(frozen=True)
class MatchingObjective:
    """Hinge and classes; codes and features of what is made are those that were fused."""

    config: MatchingGanConfig

    def critic(self, critic: nn.Module, fuse: Fuse, task: Task, numbers: Numbers) -> dict[str, Tensor]:
        """Real and generated told apart, and seen classes."""
        assert isinstance(critic, SetCritic), f"{type(critic)=}"
        real, fake = features_of_sets(critic, task.shots), critic.features(fuse(task.shots).images)
        return critic_terms(critic, task, real, fake, self.config.weights.classes)

    def generator(self, critic: nn.Module, generator: FusionGenerator, fuse: Fuse, task: Task) -> dict[str, Tensor]:
        """Look real and of the class, and keep the code and the features that were fused."""
        assert isinstance(critic, SetCritic), f"{type(critic)=}"
        weights, made = self.config.weights, fuse(task.shots)
        fake = critic.features(made.images)
        losses = generator_terms(critic, task, fake, weights.classes)
        if weights.code:
            losses["loss_code"] = weights.code * F.mse_loss(generator.encoder(made.images)[-1], made.code)
        if weights.features:
            real = features_of_sets(critic, task.shots)
            losses["loss_features"] = weights.features * unlike_fused(real, fake, made.weights)
        return losses


def build(config: MatchingGanConfig, given: Given, device: torch.device, group: Group) -> SetLearner:
    """Both networks at their start."""
    matching = config.mixing == "matching" and not config.faithful
    settings = {
        "width": config.width,
        "z_dim": config.z_dim if matching else 0,
        "weights": "matching" if matching else "uniform" if config.faithful else "dirichlet",
        "seen": len(SeenClasses.of(given.domains[0], config.shots).rows),
    }
    network = network_of(Fusion, config, given.target.facts, settings)
    frozen = "to_class" if config.faithful else None
    return set_learner(config, network, given, MatchingObjective(config), device, group, frozen=frozen)


MATCHINGGAN = Method(config=MatchingGanConfig, needs=NEEDS, batches=set_batches, build=build, sampler=sampler)
