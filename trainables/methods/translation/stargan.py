"""StarGAN: one translator and one critic for several domains at once (Choi et al., CVPR 2018).

Three slips of the reference code are repaired: an image is asked to be of another domain than its own (a permutation of the
batch's labels often leaves it where it is); the critic's gradient is that of the mean over its map, as its loss is (the code's
is of the sum, so that its strength follows the map's size); the label is told by norms, as planes are taken away by norms.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.stargan import StarGanConfig, StarWeights
from spaces.networks import StarTranslator
from trainables.images.batches import Batch
from trainables.images.pixels import to_float
from trainables.images.samples import Samples
from trainables.methods.method import Given, Method, network_of
from trainables.methods.translation.translating import (
    NEEDS,
    InputSampler,
    decay,
    held_out_inputs,
    translated,
    unpaired_batches,
)
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network
from trainables.networks.models import Model
from trainables.networks.stargan import StarCritic, StarGenerator
from trainables.training.average import averaging, follow
from trainables.training.descent import adam, minimise
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.losses import LOSSES
from trainables.training.parallel import Group
from trainables.training.state import Stateful

LOSS = LOSSES["wgan_gp"]


@dataclass(frozen=True, eq=False)
class Part:
    """A worker's rows of what one step takes."""

    images: Tensor
    """(n, 3, R, R) in [-1, 1]."""
    own: Tensor
    """The domain that each is of, (n,); 0 is the target."""
    asked: Tensor
    """The one that it is to be translated into, another, (n,)."""
    mix: Tensor
    """(n, 1, 1, 1) in [0, 1), of the penalty."""


def critic_losses(weights: StarWeights, translator: StarGenerator, critic: StarCritic, part: Part) -> dict[str, Tensor]:
    """The critic tells real from translated, and the domain of real images; its gradient is held to 1 between the two."""
    with torch.no_grad():
        made = translator(part.images, part.asked)
    logits, of_domains = critic.judge(part.images)
    losses = {"loss_d": LOSS.discriminator(logits, critic(made))}
    if weights.penalty:
        losses["loss_penalty"] = weights.penalty * LOSS.penalty(critic, part.images, made, part.mix)
    if weights.domain:
        losses["loss_domain_d"] = weights.domain * F.cross_entropy(of_domains, part.own)
    return losses


def translator_losses(
    weights: StarWeights, translator: StarGenerator, critic: StarCritic, part: Part
) -> dict[str, Tensor]:
    """Translations look real, and of the domain that was asked for, and lead home."""
    made = translator(part.images, part.asked)
    logits, of_domains = critic.judge(made)
    losses = {"loss_g": LOSS.generator(logits)}
    if weights.domain:
        losses["loss_domain_g"] = weights.domain * F.cross_entropy(of_domains, part.asked)
    if weights.cycle:
        losses["loss_cycle"] = weights.cycle * F.l1_loss(translator(made, part.own), part.images)
    return losses


def others(own: Tensor, uniform: Tensor, domains: int) -> Tensor:
    """For each of these domains, (n,), another one, by uniform numbers in [0, 1)."""
    return (own + 1 + (uniform * (domains - 1)).long()) % domains


class StarGanLearner(Stateful):
    """The translator and the critic in training, each with an Adam, and the translator's moving average."""

    def __init__(self, config: StarGanConfig, given: Given, device: torch.device, group: Group) -> None:
        self.config, self.device, self._source = config, device, given.domains[0]
        self.domains = 1 + len(given.domains)
        self.group = group.of_batch(self.domains * config.training.batch)
        self.iterations = 0
        self.origin = f"random weights, images of {', '.join(config.domains)}"
        settings = {"width": config.width, "blocks": config.blocks, "domains": self.domains}
        self.network = network_of(StarTranslator, config, given.target.facts, settings)
        translator, critic = (build_network(name, self.network, config.seed) for name in (GENERATOR, DISCRIMINATOR))
        assert isinstance(translator, StarGenerator) and isinstance(critic, StarCritic), f"{self.network=}"
        self.translator, self.critic = translator.to(device), critic.to(device)
        self.average = averaging(self.translator)
        networks = (self.translator, self.critic)
        self.adam_g, self.adam_d = (adam(network.parameters(), config.training) for network in networks)

    @property
    def images_per_iteration(self) -> int:
        """Target images in an iteration; there are as many of every source domain."""
        return self.config.training.batch * self.config.training.n_critic

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Steps of the critic, each on images of its own, then one of the translator on the last of them.

        `batch` has as many images of each source domain as of the target, the same on every worker. Returns the terms of
        both, the critic's of its last step.
        """
        draws, weights = Draws(self.config.seed, self.iterations), self.config.weights
        seen = self.iterations * self.images_per_iteration / self.config.budget.images
        decay((self.adam_g, self.adam_d), self.config.training, seen)
        for images in zip(*(self._parts(each) for each in (batch.images, *batch.sources)), strict=True):
            part = self._part(torch.cat(images), draws)
            losses = critic_losses(weights, self.translator, self.critic, part)
            minimise(self.group, losses.values(), self.adam_d)
        with held_fixed(trained(self.critic)):
            of_translator = translator_losses(weights, self.translator, self.critic, part)
            minimise(self.group, of_translator.values(), self.adam_g)
        losses |= of_translator
        self.iterations += 1
        follow(
            self.average,
            self.translator,
            images=self.images_per_iteration,
            images_seen=self.iterations * self.images_per_iteration,
            halflife=self.config.training.ema_halflife_images,
        )
        return self.group.means(losses)

    def _parts(self, images: Tensor) -> Iterator[Tensor]:
        return iter(images.split(self.config.training.batch))

    def _part(self, images: Tensor, draws: Draws) -> Part:
        """What one step takes, of images of all domains, domain by domain, the same number of each."""
        own = torch.arange(self.domains).repeat_interleave(len(images) // self.domains)
        asked = others(own, draws.uniform(len(images)), self.domains)
        mix = draws.uniform(len(images), 1, 1, 1)
        real = to_float(images.to(self.device, non_blocking=True))
        real = draws.mirrored(real) if self.config.training.flip else real
        return Part(*(self.group.share(each.to(self.device)) for each in (real, own, asked, mix)))

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the source, held-out ones first, translated into the target by the averaged translator."""
        return translated(self.average, held_out_inputs(self._source, n, seed))

    def model(self) -> Model:
        """The averaged translator, whose domain 0 is the target."""
        return Model({GENERATOR: self.network}, {GENERATOR: self.average.state_dict()})

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {GENERATOR: self.translator, DISCRIMINATOR: self.critic, "average": self.average}

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adam_g": self.adam_g, "adam_d": self.adam_d}


def batches(config: StarGanConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """Of every domain as many images as all steps of an iteration take."""
    return unpaired_batches(config, given, first, device, config.training.batch * config.training.n_critic)


STARGAN = Method(
    config=StarGanConfig,
    needs=NEEDS,
    batches=batches,
    build=StarGanLearner,
    sampler=InputSampler,
)
