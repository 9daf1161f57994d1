"""CoGAN: a GAN each of two domains, which share all but the layers next to the image (Liu and Tuzel, NeurIPS 2016).

Both generators are given the same z, so that what is shared makes of it what the two images have in common. The networks are
the project's, trained by WGAN-GP; each domain's images are normalised in batches of their own. What is kept is the target's
generator, of noise: to translate an image, its z would have to be searched for in the source's, which is not done here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.methods.cogan import CoganConfig
from spaces.networks import Resnet
from trainables.images.batches import Batch
from trainables.images.pixels import to_float
from trainables.images.samples import Samples
from trainables.methods.method import Given, Method, network_of
from trainables.methods.translation.learner import BACK
from trainables.methods.translation.translating import NEEDS, only_domain, unpaired_batches
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network
from trainables.networks.models import Model
from trainables.networks.resnet import Discriminator, Generator
from trainables.networks.sampling import ZSampler, draw, set_standing_statistics
from trainables.training.average import averaging, follow
from trainables.training.descent import adam, minimise
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.losses import LOSSES
from trainables.training.parallel import Group
from trainables.training.state import Stateful, in_memory_of_their_own

LOSS = LOSSES["wgan_gp"]


@dataclass(frozen=True, eq=False)
class Gan:
    """A domain's generator and critic."""

    generator: Generator
    critic: Discriminator

    @classmethod
    def of(cls, network: Resnet, seed: int) -> "Gan":
        """A fresh one."""
        generator, critic = (build_network(name, network, seed) for name in (GENERATOR, DISCRIMINATOR))
        assert isinstance(generator, Generator) and isinstance(critic, Discriminator), f"{network=}"
        return cls(generator, critic)


def coupled(network: Resnet, own_blocks: int, seed: int) -> dict[str, Gan]:
    """Fresh GANs "target" and "source" that share all but so many blocks next to the image, and the layers beside it.

    UserError if there are not as many blocks.
    """
    gans = {"target": Gan.of(network, seed), "source": Gan.of(network, seed + BACK)}
    one, other = gans.values()
    blocks = len(one.generator.blocks)
    if own_blocks > blocks:
        raise UserError(f"own_blocks={own_blocks} is more than the {blocks} blocks of {network.resolution} pixels")
    other.generator.from_z, other.critic.to_logit = one.generator.from_z, one.critic.to_logit
    for place in range(blocks - own_blocks):
        other.generator.blocks[place] = one.generator.blocks[place]
        other.critic.blocks[-1 - place] = one.critic.blocks[-1 - place]
    return gans


class CoganLearner(Stateful):
    """Both GANs in training, with one Adam for generators and one for critics, and the average of the target's generator."""

    def __init__(self, config: CoganConfig, given: Given, device: torch.device, group: Group) -> None:
        self.config, self.device, self.group = config, device, group.of_batch(config.training.batch)
        self.iterations = 0
        self.origin = f"random weights, images of {only_domain(config, given).facts.name}"
        settings = {"width": config.width, "z_dim": config.z_dim}
        self.network = network_of(Resnet, config, given.target.facts, settings)
        self.gans = coupled(self.network, config.own_blocks, config.seed)
        for gan in self.gans.values():
            for network in (gan.generator, gan.critic):
                network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = averaging(self.gans["target"].generator)
        for gan in self.gans.values():  # not the average: the first worker samples from it alone
            self.group.agree_on_statistics(gan.generator)
        self.adam_g = self._adam([gan.generator for gan in self.gans.values()])
        self.adam_d = self._adam([gan.critic for gan in self.gans.values()])

    def _adam(self, networks: list[nn.Module]) -> torch.optim.Adam:
        weights = dict.fromkeys(p for network in networks for p in network.parameters())  # shared ones once
        return adam([*weights], self.config.training)

    @property
    def images_per_iteration(self) -> int:
        """Target images that a critic is shown in an iteration; there are as many of the source."""
        return self.config.training.batch * self.config.training.n_critic

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """n_critic steps of the critics, each on images of its own, then one of the generators.

        `batch` has images of both domains for all of them, the same on every worker. Returns sums over domains, the critics' as
        means of their steps.
        """
        draws, training = Draws(self.config.seed, self.iterations), self.config.training
        parts = [self._real(images, draws).split(training.batch) for images in (batch.images, batch.sources[0])]
        of_critics = []
        for target, source in zip(*parts, strict=True):
            loss = self._critics_loss({"target": self._here(target), "source": self._here(source)}, draws)
            minimise(self.group, [loss], self.adam_d)
            of_critics.append(loss.detach())
        with held_fixed([p for gan in self.gans.values() for p in trained(gan.critic)]):
            made = self._made(draws)
            loss = torch.stack([LOSS.generator(self.gans[name].critic(images)) for name, images in made.items()]).sum()
            minimise(self.group, [loss], self.adam_g)
        self.iterations += 1
        follow(
            self.average,
            self.gans["target"].generator,
            images=self.images_per_iteration,
            images_seen=self.iterations * self.images_per_iteration,
            halflife=training.ema_halflife_images,
        )
        return self.group.means({"loss_d": torch.stack(of_critics).mean(), "loss_g": loss})

    def _critics_loss(self, reals: Mapping[str, Tensor], draws: Draws) -> Tensor:
        """What both critics minimise, each on its own domain's images and on those made for it."""
        with torch.no_grad():
            made = self._made(draws)
        mix, losses = self._here(draws.uniform(self.config.training.batch, 1, 1, 1)), []
        for name, real in reals.items():
            critic, fake = self.gans[name].critic, made[name]
            losses.append(LOSS.discriminator(critic(real), critic(fake)))
            if self.config.training.penalty:
                losses.append(self.config.training.penalty * LOSS.penalty(critic, real, fake, mix))
        return torch.stack(losses).sum()

    def _made(self, draws: Draws) -> dict[str, Tensor]:
        """An image of each domain of the same z; batch norm is of one domain's images at a time."""
        z = self._here(draws.normal(self.config.training.batch, self.config.z_dim))
        return {name: gan.generator(z) for name, gan in self.gans.items()}

    def _real(self, images: Tensor, draws: Draws) -> Tensor:
        real = to_float(images.to(self.device, non_blocking=True))
        return draws.mirrored(real) if self.config.training.flip else real

    def _here(self, whole: Tensor) -> Tensor:
        return self.group.share(whole).to(self.device, non_blocking=True)

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the target's averaged generator with its standing statistics; equal seeds take equal z."""
        set_standing_statistics(self.average)
        return draw(self.average, n, seed)

    def model(self) -> Model:
        """The target's averaged generator with its standing statistics."""
        set_standing_statistics(self.average)
        return Model({GENERATOR: self.network}, {GENERATOR: self.average.state_dict()})

    @property
    def _networks(self) -> Mapping[str, nn.Module]:
        gans = self.gans.items()
        return {
            **{f"generator_of_{name}": gan.generator for name, gan in gans},
            **{f"critic_of_{name}": gan.critic for name, gan in gans},
            "average": self.average,
        }

    @property
    def _optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return {"adam_g": self.adam_g, "adam_d": self.adam_d}

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, by name; what both GANs share is there under either's."""
        return in_memory_of_their_own(super().state_dict())


def batches(config: CoganConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """Of either domain as many images as all steps of an iteration take."""
    return unpaired_batches(config, given, first, device, config.training.batch * config.training.n_critic)


COGAN = Method(
    config=CoganConfig,
    needs=NEEDS,
    batches=batches,
    build=CoganLearner,
    sampler=ZSampler,
)
