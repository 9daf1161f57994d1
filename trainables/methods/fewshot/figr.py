"""FIGR: Reptile on a GAN (Clouatre and Demers 2019), and DAWSON: first-order MAML on one (Liang et al. 2020).

The start is adapted to K images of a seen class, and moves towards what it became, or by the gradients that K other images of
the class have there. FIGR's code takes the penalty's norm over channels alone, so that with one channel each pixel's gradient
is pulled to 1: `faithful` does so too. DAWSON's code for images could not be had, and its form here is the paper's abstract's.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from spaces.methods.figr import FigrConfig
from trainables.images.batches import Batch
from trainables.methods.fewshot.adapting import Adapted, AdaptiveLearner, adapted, critic_loss, generator_loss, sampler
from trainables.methods.fewshot.episodes import SeenClasses, episodes, task_of
from trainables.methods.fewshot.fusing import NEEDS
from trainables.methods.method import Given, Method
from trainables.training.descent import adam, descend
from trainables.training.draws import Draws
from trainables.training.parallel import Group


class Figr(AdaptiveLearner):
    """The start, moved by one adaptation after the other, each of a copy."""

    def __init__(self, config: FigrConfig, given: Given, device: torch.device, group: Group) -> None:
        form = "as the author's code has it" if config.faithful else "over the whole image"
        origin = f"random weights, classes of {config.source}; {config.meta}, the penalty's norm {form}"
        super().__init__(config, given, device, origin, by_channel=config.faithful)
        self.meta, self.training, self.shots = config.meta, config.training, config.shots
        self.group = group.of_batch(config.training.tasks)
        self.optimisers = {"outer_g": self._outer(self.gan.generator), "outer_d": self._outer(self.gan.critic)}

    def _outer(self, network: nn.Module) -> torch.optim.Optimizer:
        training = self.training
        if training.outer == "step":
            return torch.optim.SGD(network.parameters(), lr=training.lr)
        return adam(network.parameters(), training)

    @property
    def images_per_iteration(self) -> int:
        """Images of seen classes that an iteration's tasks take."""
        return self.training.tasks * images_of(self.meta, self.shots)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One move of the start, by the mean over the batch's tasks, the same on every worker.

        Returns the losses of the last step of adaptation, scalars on the learner's device, and by first-order MAML those that
        the start moves by.
        """
        mirror = Draws(self.config.seed, self.iterations) if self.training.flip else None
        task = task_of(batch, self.shots, self.group, self.device, mirror)
        numbers = range(self.group.rank, self.training.tasks, self.group.size)
        found, slopes = [], []
        for own, number in enumerate(numbers):
            draws = Draws(self.config.seed, self.iterations * self.training.tasks + number, "adaptation")
            became = adapted(self.network, self.gan, task.shots[own], draws)
            losses = {"loss_d": became.loss_d, "loss_g": became.loss_g}
            if self.meta == "reptile":
                slopes.append(self._way(became))
            else:
                slope, outer = self._behind(became, task.others[own], draws)
                slopes.append(slope)
                losses |= outer
            found.append(losses)
        weights = [weight for network in self.gan for weight in network.parameters()]
        for weight, *each in zip(weights, *slopes, strict=True):
            weight.grad = torch.stack(each).mean(0)
        descend(self.group, *self.optimisers.values())
        self.iterations += 1
        return self.group.means({name: torch.stack([each[name] for each in found]).mean() for name in found[0]})

    @torch.no_grad()
    def _way(self, became: Adapted) -> list[Tensor]:
        """From what the start became back to it: what descent takes for a gradient."""
        pairs = zip(self.gan, became.gan, strict=True)
        return [a - b for one, other in pairs for a, b in zip(one.parameters(), other.parameters(), strict=True)]

    def _behind(self, became: Adapted, others: Tensor, draws: Draws) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The gradients at what the start became, on other images of the class, and their losses."""
        gan, n = became.gan, len(others)
        z, mix = (x.to(self.device) for x in (draws.normal(n, self.network.z_dim), draws.uniform(n, 1, 1, 1)))
        of_critic = critic_loss(self.network, gan, others, z, mix)
        of_generator = generator_loss(gan, draws.normal(n, self.network.z_dim).to(self.device))
        slopes = [
            *torch.autograd.grad(of_generator, list(gan.generator.parameters())),
            *torch.autograd.grad(of_critic, list(gan.critic.parameters())),
        ]
        return slopes, {"outer_d": of_critic.detach(), "outer_g": of_generator.detach()}


def images_of(meta: str, shots: int) -> int:
    """Images of a task: K to adapt to, and by first-order MAML as many others."""
    return shots if meta == "reptile" else 2 * shots


def batches(config: FigrConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """The tasks of an iteration: images of a seen class each."""
    images = images_of(config.meta, config.shots)
    seen = SeenClasses.of(given.domains[0], images)
    return episodes(seen, images, config.training.tasks, seed=config.seed, first=first, device=device)


FIGR = Method(config=FigrConfig, needs=NEEDS, batches=batches, build=Figr, sampler=sampler)
