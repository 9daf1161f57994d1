"""F2GAN: codes of K images fused with random weights, and details filled in by attention (Hong et al., ACM MM 2020).

The authors' code departs from the paper in ways that work against it, and `faithful` does as the code: its mode-seeking term is
inverted; the regressor of weights is never trained; images are pulled to each image dimmed by its weight; each pixel of an image
is noise but with the probability of the image's weight; weights are numbers from 1 to 10 over their sum; and the critic's
logits of a set's images are averaged before the hinge. Attention is the paper's in either form, with K free, and is added to
the images' own maps as in the code: alone, its strength begins at 0 and was 0.02 after 3,000 iterations, so that all went
through the code of 4 by 4 places. Blocks and norms are those of `networks.fusion`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spaces.methods.f2gan import F2GanConfig
from spaces.networks import Fusion
from trainables.methods.fewshot.episodes import Numbers, SeenClasses, Task
from trainables.methods.fewshot.fusing import NEEDS, Fuse, SetLearner, sampler, set_batches, set_learner
from trainables.methods.fewshot.judging import (
    critic_terms,
    dimming,
    features_of_sets,
    generator_terms,
    mode_collapsing,
    mode_seeking,
    reconstruction,
    regression,
    unlike_fused,
)
from trainables.methods.method import Given, Method, network_of
from trainables.networks.fusion import FusionGenerator, SetCritic
from trainables.training.parallel import Group


@dataclass(frozen=True)
class FillingObjective:
    """Hinge and classes; images, features and their spread follow the weights, which can be told from the features."""

    config: F2GanConfig

    def critic(self, critic: nn.Module, fuse: Fuse, task: Task, numbers: Numbers) -> dict[str, Tensor]:
        """Real and generated told apart, seen classes, and the weights that each was made with."""
        assert isinstance(critic, SetCritic), f"{type(critic)=}"
        weights, faithful, made = self.config.weights, self.config.faithful, fuse(task.shots)
        real, fake = features_of_sets(critic, task.shots), critic.features(made.images)
        losses = critic_terms(critic, task, real, fake, weights.classes, together=faithful)
        if weights.regression and not faithful:
            losses["regression_d"] = weights.regression * regression(critic, real, fake, made.weights)
        return losses

    def generator(self, critic: nn.Module, generator: FusionGenerator, fuse: Fuse, task: Task) -> dict[str, Tensor]:
        """Look real and of the class, like the images that weigh most, and unlike what other weights give."""
        assert isinstance(critic, SetCritic), f"{type(critic)=}"
        weights, faithful, made = self.config.weights, self.config.faithful, fuse(task.shots)
        fake = critic.features(made.images)
        losses = generator_terms(critic, task, fake, weights.classes)
        if weights.reconstruction:
            like = dimming if faithful else reconstruction
            losses["loss_reconstruction"] = weights.reconstruction * like(made.images, task.shots, made.weights)
        if weights.features or weights.regression:
            real = features_of_sets(critic, task.shots)
        if weights.features:
            losses["loss_features"] = weights.features * unlike_fused(real, fake, made.weights)
        if weights.regression:
            losses["regression_g"] = weights.regression * regression(critic, real, fake, made.weights)
        if weights.mode_seeking:
            other = fuse(task.shots)
            spread = mode_collapsing if faithful else mode_seeking
            apart = spread((made.weights, other.weights), (fake, critic.features(other.images)))
            losses["loss_modes"] = weights.mode_seeking * apart
        return losses


def build(config: F2GanConfig, given: Given, device: torch.device, group: Group) -> SetLearner:
    """Both networks at their start."""
    settings = {
        "width": config.width,
        "weights": "uniform" if config.faithful else "dirichlet",
        "concentration": config.concentration,
        "skips": False,
        "attention": config.attention,
        "kept": config.attention,
        "replaced": config.faithful,
        "seen": len(SeenClasses.of(given.domains[0], config.shots).rows),
    }
    network = network_of(Fusion, config, given.target.facts, settings)
    frozen = "regressor" if config.faithful else None
    return set_learner(config, network, given, FillingObjective(config), device, group, frozen=frozen)


F2GAN = Method(config=F2GanConfig, needs=NEEDS, batches=set_batches, build=build, sampler=sampler)
