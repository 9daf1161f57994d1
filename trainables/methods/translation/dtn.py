"""DTN: a fixed encoder, and a decoder whose images are the target's and have their input's code (Taigman et al., ICLR 2017).

The paper's encoder is a classifier that was trained with labels. There are none here: it learns to give back images of both
domains in the first part of the budget, and is held from then on, as in the paper; public code trains it on the constancy of
codes, which bends it until that holds. Codes are compared without the mean and spread of their channels, which are style.
Networks are CycleGAN's halves and its critic, with three logits a patch; the decoder goes on from the autoencoder's. There is
no term for smoothness.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.dtn import DtnConfig, DtnWeights
from trainables.images.batches import Batch
from trainables.machine.randomness import random_numbers
from trainables.methods.method import Given, Method
from trainables.methods.translation.averaged import AveragedTranslator
from trainables.methods.translation.feature_consistency import difference
from trainables.methods.translation.learner import check_critic
from trainables.methods.translation.translating import (
    NEEDS,
    InputSampler,
    decay,
    only_domain,
    unpaired_batches,
)
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network
from trainables.networks.translators import ImageTranslator, PatchCritic, initialise
from trainables.training.descent import adam, minimise
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.parallel import Group

TRANSLATED, GIVEN_BACK, REAL = range(3)
"""What a patch can be of, for the critic: a translation, a target image that was decoded again, a target image."""


def is_of(critic: nn.Module, images: Tensor, kind: int) -> Tensor:
    """The mean cross entropy of the critic's logits, (n, 3, h, w), if all patches of `images` are of that kind."""
    logits: Tensor = critic(images)
    return F.cross_entropy(logits, logits.new_full((len(logits), *logits.shape[2:]), kind, dtype=torch.long))


def decoder_losses(
    weights: DtnWeights, translator: ImageTranslator, critic: nn.Module, target: Tensor, source: Tensor
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The terms that the decoder minimises, translations of `source`, and what becomes of `target`; the encoder is held.

    A term of weight 0 is not computed.
    """
    with torch.no_grad():
        codes, own_codes = translator.encoder(source), translator.encoder(target)
    made, own = translator.decoder(codes), translator.decoder(own_codes)
    losses = {"loss_g": is_of(critic, made, REAL) + is_of(critic, own, REAL)}
    if weights.constancy:
        losses["loss_constancy"] = weights.constancy * difference([codes], [translator.encoder(made)])
    if weights.identity:
        losses["loss_identity"] = weights.identity * F.mse_loss(own, target)
    return losses, made.detach(), own.detach()


class DtnLearner(AveragedTranslator[DtnConfig]):
    """Encoder, decoder and critic in training, each step by the Adam of its part, and the translator's moving average."""

    def __init__(self, config: DtnConfig, given: Given, device: torch.device, group: Group) -> None:
        self._first = round(config.pretraining * config.budget.images / config.training.batch)
        """Iterations before the encoder is held."""
        check_critic(config.translator, given.target.facts.resolution)
        layout = {"device": device, "memory_format": torch.channels_last}
        translator, critic = (
            build_network(name, config.translator, config.seed) for name in (GENERATOR, DISCRIMINATOR)
        )
        assert isinstance(translator, ImageTranslator) and isinstance(critic, PatchCritic), f"{config.translator=}"
        self.translator = translator.to(**layout)  # type: ignore[call-overload]
        self.critic = ternary(critic, config.seed).to(**layout)  # type: ignore[call-overload]
        super().__init__(config, only_domain(config, given), self.translator, device, group)
        parts = {"adam_f": self.translator, "adam_g": self.translator.decoder, "adam_d": self.critic}
        self._adams = {name: adam(part.parameters(), config.training) for name, part in parts.items()}

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the autoencoder, or once the encoder is held one of the decoder and then one of the critic.

        `batch` has as many images of the target as of the source, the same on every worker. Returns all terms; those of the
        other part of the budget are 0.
        """
        draws = Draws(self.config.seed, self.iterations)
        target, source = (self._real(images, draws) for images in (batch.images, batch.sources[0]))
        decay(self._adams.values(), self.config.training, self._spent)
        if self.iterations < self._first:
            found = self._learn_codes(torch.cat([target, source]))
        else:
            found = self._translate(target, source)
        self._count(self.translator)
        none = next(iter(found.values())).new_zeros(())
        return self.group.means({name: found.get(name, none) for name in self._terms})

    @property
    def _terms(self) -> list[str]:
        weights = self.config.weights
        asked = {"loss_constancy": weights.constancy, "loss_identity": weights.identity}
        return ["loss_f", "loss_g", *(name for name, weight in asked.items() if weight), "loss_d"]

    def _learn_codes(self, images: Tensor) -> dict[str, Tensor]:
        """Encoder and decoder give back images of both domains."""
        losses = {"loss_f": F.l1_loss(self.translator(images), images)}
        minimise(self.group, losses.values(), self._adams["adam_f"])
        return losses

    def _translate(self, target: Tensor, source: Tensor) -> dict[str, Tensor]:
        """A step of the decoder, the critic held, and one of the critic on what it made."""
        with held_fixed(trained(self.critic)):
            losses, made, own = decoder_losses(self.config.weights, self.translator, self.critic, target, source)
            minimise(self.group, losses.values(), self._adams["adam_g"])
        kinds = {TRANSLATED: made, GIVEN_BACK: own, REAL: target}
        losses["loss_d"] = torch.stack([is_of(self.critic, images, kind) for kind, images in kinds.items()]).sum()
        minimise(self.group, [losses["loss_d"]], self._adams["adam_d"])
        return losses

    @property
    def _networks(self) -> Mapping[str, nn.Module]:
        return {"translator": self.translator, "critic": self.critic, "average": self.average}

    @property
    def _optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        return self._adams


def ternary(critic: PatchCritic, seed: int) -> nn.Sequential:
    """A critic of patches with three logits for each in the place of one, (n, 3, h, w); the new layer is freshly initialised."""
    *layers, last = critic.main
    assert isinstance(last, nn.Conv2d), f"{last=}"
    three = nn.Conv2d(last.in_channels, 3, 4, 1, 1)
    initialise(three, random_numbers("weights of a ternary critic", seed))
    return nn.Sequential(*layers, three)


DTN = Method(
    config=DtnConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=DtnLearner,
    sampler=InputSampler,
)
