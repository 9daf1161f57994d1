"""FUNIT: images of seen classes are translated into an unseen one, which K images show (Liu et al., ICCV 2019).

The penalty is R1 of each image's mean logit. The authors' code takes the gradient of the mean over batch and patches, so that its
weight of 10 is another with every size of batch (METHODS 2.8).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.funit import FunitConfig, FunitWeights
from spaces.networks import Funit
from trainables.images.batches import Batch
from trainables.images.pixels import to_float, to_uint8
from trainables.images.samples import Inputs, Samples
from trainables.methods.fewshot.episodes import SeenClasses, episodes
from trainables.methods.fewshot.sampling import SHOTS, shots_of
from trainables.methods.method import Given, Method, Needs, network_of
from trainables.methods.translation.translating import checked, held_out_inputs
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network
from trainables.networks.funit import FunitCritic, FunitGenerator
from trainables.networks.models import Model
from trainables.networks.sampling import device_of
from trainables.networks.shots import ShotImages
from trainables.training.average import averaging, follow
from trainables.training.descent import minimise
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.losses import LOSSES, r1
from trainables.training.parallel import Group
from trainables.training.state import Stateful

NEEDS = Needs(labels=True, domains=True, source_labels=True)
LOSS = LOSSES["hinge"]
AT_ONCE = 64
"""Images that are made at once for samples."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """A worker's rows: content images and class images, (n, 3, R, R) in [-1, 1], with the numbers of their classes, (n,)."""

    content: Tensor
    content_class: Tensor
    shown: Tensor
    shown_class: Tensor


def critic_losses(
    weights: FunitWeights, generator: FunitGenerator, critic: FunitCritic, pairs: Pairs
) -> dict[str, Tensor]:
    """The critic tells real images of a class from translations into it, each by the class's own map."""
    with torch.no_grad():
        made = generator(pairs.content, pairs.shown[:, None])
    classes = pairs.shown_class
    losses = {"loss_d": LOSS.discriminator(critic(pairs.shown, classes), critic(made, classes))}
    if weights.penalty:
        losses["loss_penalty"] = weights.penalty * r1(lambda images: critic(images, classes).mean((1, 2)), pairs.shown)
    return losses


def generator_losses(
    weights: FunitWeights, generator: FunitGenerator, critic: FunitCritic, pairs: Pairs
) -> dict[str, Tensor]:
    """Translations, and images made of their own content and class, look real; the latter are the images again."""
    made = generator(pairs.content, pairs.shown[:, None])
    same = generator(pairs.content, pairs.content[:, None])
    of_made, features_made = critic.judge(made, pairs.shown_class)
    of_same, features_same = critic.judge(same, pairs.content_class)
    losses = {"loss_g": (LOSS.generator(of_made) + LOSS.generator(of_same)) / 2}
    if weights.reconstruction:
        losses["loss_reconstruction"] = weights.reconstruction * F.l1_loss(same, pairs.content)
    if weights.features:
        wanted_made, wanted_same = (
            critic.judge(images, classes)[1].detach()
            for images, classes in ((pairs.shown, pairs.shown_class), (pairs.content, pairs.content_class))
        )
        losses["loss_features"] = weights.features * (
            F.l1_loss(features_made, wanted_made) + F.l1_loss(features_same, wanted_same)
        )
    return losses


@torch.no_grad()
def translated(generator: nn.Module, shots: ShotImages, inputs: Inputs) -> Samples:
    """Each of the inputs in one of the shots' classes, in turn, on the CPU."""
    assert isinstance(generator, FunitGenerator), f"{type(generator)=}"
    device, training, classes = (
        device_of(generator),
        generator.training,
        torch.arange(len(inputs.images)) % len(shots.images),
    )
    generator.eval()
    images = []
    for content, chosen in zip(inputs.images.split(AT_ONCE), classes.split(AT_ONCE), strict=True):
        of_class = shots.images[chosen]
        shown = to_float(of_class.flatten(0, 1).to(device)).unflatten(0, of_class.shape[:2])
        images.append(to_uint8(generator(to_float(content.to(device)), shown)).cpu())
    generator.train(training)
    return Samples(torch.cat(images), shots.labels[classes], inputs=inputs.images, pictures=inputs.names)


class FunitSampler:
    """Translates what it is given into the classes of the images in its files."""

    def __init__(self, model: Model) -> None:
        shots = model.network(SHOTS)
        assert isinstance(shots, ShotImages), f"{type(shots)=}"
        self.shots, self._generator = shots, model.network(GENERATOR).to(memory_format=torch.channels_last)

    def __call__(self, n: int, seed: int, inputs: Inputs | None = None) -> Samples:
        """The translations of `inputs`, into the classes in turn; the seed changes nothing."""
        return translated(self._generator, self.shots, checked(inputs, n))

    def drawn_of(self, images: Tensor, inputs: Inputs) -> Samples:
        """`inputs` in the class that these images show, in the place of the model's own: uint8 (K, 3, R, R), K free."""
        return translated(self._generator, ShotImages.of(images[None], torch.tensor([-1])), inputs)


class FunitLearner(Stateful):
    """The generator and the critic in training, each with RMSprop, and the generator's moving average."""

    def __init__(self, config: FunitConfig, given: Given, device: torch.device, group: Group) -> None:
        self.config, self.device, self.group = config, device, group.of_batch(config.training.batch)
        self._source, self._shots = given.domains[0], shots_of(config, given.target)
        self._class_names = given.target.facts.class_names
        seen = len(SeenClasses.of(self._source, 1).rows)
        self.iterations = 0
        self.origin = f"random weights, {seen} classes of {config.source}"
        settings = {"width": config.width, "latent": config.latent, "seen": seen}
        self._network = network_of(Funit, config, given.target.facts, settings)
        layout = {"device": device, "memory_format": torch.channels_last}
        generator, critic = (build_network(name, self._network, config.seed) for name in (GENERATOR, DISCRIMINATOR))
        self.generator, self.critic = (network.to(**layout) for network in (generator, critic))  # type: ignore[call-overload]
        self.average = averaging(self.generator)
        self.rms_g, self.rms_d = self._rms(self.generator), self._rms(self.critic)

    def _rms(self, network: nn.Module) -> torch.optim.RMSprop:
        training = self.config.training
        return torch.optim.RMSprop(network.parameters(), lr=training.lr, weight_decay=training.weight_decay)

    @property
    def images_per_iteration(self) -> int:
        """Class images that the critic is shown in an iteration; there are as many content images."""
        return self.config.training.batch

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the critic, then one of the generator, on the same pairs.

        `batch` has 2 * batch images of seen classes and their numbers among these, content images first, the same on every
        worker. Returns all terms.
        """
        draws, weights = Draws(self.config.seed, self.iterations), self.config.weights
        pairs = self._pairs(batch, draws)
        losses = critic_losses(weights, self.generator, self.critic, pairs)
        minimise(self.group, losses.values(), self.rms_d)
        with held_fixed(trained(self.critic)):
            of_generator = generator_losses(weights, self.generator, self.critic, pairs)
            minimise(self.group, of_generator.values(), self.rms_g)
        losses |= of_generator
        self.iterations += 1
        follow(
            self.average,
            self.generator,
            images=self.images_per_iteration,
            images_seen=self.iterations * self.images_per_iteration,
            halflife=self.config.training.ema_halflife_images,
        )
        return self.group.means(losses)

    def _pairs(self, batch: Batch, draws: Draws) -> Pairs:
        assert batch.labels is not None, "the source domain's images have classes"
        images = to_float(batch.images.to(self.device, non_blocking=True))
        images = draws.mirrored(images) if self.config.training.flip else images
        (content, shown), (own, asked) = images.chunk(2), batch.labels.to(self.device).chunk(2)
        return Pairs(*(self.group.share(each) for each in (content, own, shown, asked)))

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the source, held-out ones first, in the target's classes in turn, by the averaged generator."""
        return translated(self.average, self._shots, held_out_inputs(self._source, n, seed))

    def model(self) -> Model:
        """The averaged generator, and the shots that show the classes."""
        weights = {GENERATOR: self.average.state_dict(), SHOTS: self._shots.state_dict()}
        return Model({GENERATOR: self._network, SHOTS: self._shots.network}, weights, self._class_names)

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {GENERATOR: self.generator, DISCRIMINATOR: self.critic, "average": self.average}

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"rms_g": self.rms_g, "rms_d": self.rms_d}


def pair_batches(config: FunitConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """Batches of 2 * batch training images of the source's classes: the first half for their content, the second for their class.

    Each is drawn apart from all others: a class, all alike, and then an image of it. So a pair may be of one class.
    """
    seen, sets = SeenClasses.of(given.domains[0], 1), 2 * config.training.batch
    for batch in episodes(seen, 1, sets, seed=config.seed, first=first, device=device):
        yield replace(batch, images=batch.images[:, 0])


FUNIT = Method(
    config=FunitConfig,
    needs=NEEDS,
    batches=pair_batches,
    build=FunitLearner,
    sampler=FunitSampler,
)
