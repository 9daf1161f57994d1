"""What trains translators against critics: a step of all translators, then one of all critics on pooled translations.

A method says which sides there are, and what its translators minimise; the rest is the same for all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.methods.translation import PooledTranslationConfig
from spaces.networks import Translator
from trainables.images.batches import Batch
from trainables.images.domains import Domain
from trainables.methods.translation.averaged import AveragedTranslator
from trainables.methods.translation.translating import decay, least_squares
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network
from trainables.training.descent import adam, descend
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.parallel import Group
from trainables.training.pool import ImagePool
from trainables.training.state import in_memory_of_their_own

BACK = 2**31
"""Between the seeds of the translator there and of the one back."""


LEAST_SIDE = 4
"""Pixels a side that the critic's halvings have to leave for its last two layers, and for norms over more than one place."""


def check_critic(network: Translator, resolution: int) -> None:
    """UserError if images of that resolution are too small for the critic."""
    if (left := resolution >> network.critic_halvings) < LEAST_SIDE:
        most = (resolution // LEAST_SIDE).bit_length() - 1
        raise UserError(
            f"translator/critic_halvings={network.critic_halvings} leaves {left} of {resolution} pixels a side, and the critic "
            f"needs {LEAST_SIDE}; give {most} at most"
        )


@dataclass(frozen=True, eq=False)
class Side:
    """A translator into a domain, the critic of that domain, and the pool of translations between them."""

    translator: nn.Module
    critic: nn.Module
    pool: ImagePool

    @classmethod
    def of(cls, config: PooledTranslationConfig, resolution: int, device: torch.device, seed: int) -> "Side":
        """A fresh one. `seed` is the trial's, or another for each further side. UserError if the critic does not fit."""
        check_critic(config.translator, resolution)
        networks = (build_network(name, config.translator, seed) for name in (GENERATOR, DISCRIMINATOR))
        layout = {"device": device, "memory_format": torch.channels_last}
        translator, critic = (network.to(**layout) for network in networks)  # type: ignore[call-overload]
        return cls(translator, critic, ImagePool(config.training.pool, resolution, device))

    def fooled(self, translations: Tensor) -> Tensor:
        """How far the critic is from taking translations for real: what their translator minimises."""
        return least_squares(self.critic(translations), 1.0)

    def critic_loss(self, real: Tensor, translations: Tensor) -> Tensor:
        """Half the critic's error on either."""
        return (least_squares(self.critic(real), 1.0) + least_squares(self.critic(translations), 0.0)) / 2


Sides = Mapping[str, Side]
"""By name; "target" is the side that is scored, sampled and exported."""


@dataclass(frozen=True, eq=False)
class Translated:
    """What a method makes of a batch."""

    losses: Mapping[str, Tensor]
    """Scalars that the translators minimise the sum of."""
    translations: Mapping[str, Tensor]
    """What each side's critic is to tell from its domain's images."""


Noise = Callable[[Tensor], Tensor]
"""Standard normal numbers in the shape of what a worker has made of its images, other ones at each call."""

Objective = Callable[[Sides, Mapping[str, Tensor], Noise], Translated]
"""Of the sides, a worker's images of each side's domain, (n, 3, R, R) in [-1, 1], and noise for those that take some."""


class TranslationLearner(AveragedTranslator[PooledTranslationConfig]):
    """Translators and critics in training, with one Adam for each kind, and a moving average of the target's translator."""

    def __init__(
        self,
        config: PooledTranslationConfig,
        source: Domain,
        sides: Sides,
        objective: Objective,
        device: torch.device,
        group: Group,
        beside: Mapping[str, nn.Module] | None = None,
    ) -> None:
        """`beside` are networks by name that `objective` uses and the translators' Adam trains."""
        super().__init__(config, source, sides["target"].translator, device, group)
        self._sides, self._objective, self._beside = sides, objective, dict(beside or {})
        self.adam_g = self._adam([*(side.translator for side in sides.values()), *self._beside.values()])
        self.adam_d = self._adam([side.critic for side in sides.values()])

    def _adam(self, networks: Sequence[nn.Module]) -> torch.optim.Adam:
        weights = dict.fromkeys(p for network in networks for p in network.parameters())  # networks may share some
        return adam([*weights], self.config.training)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the translators, the critics held fixed, then one of the critics on pooled translations.

        `batch` has as many images of the target as of the one source, the same on every worker. Returns what the
        translators minimised, term by term, and the critics' loss, "loss_d".
        """
        draws = Draws(self.config.seed, self.iterations)
        domains = {"target": batch.images, "source": batch.sources[0]}
        reals = {name: self._real(domains[name], draws) for name in domains}
        decay((self.adam_g, self.adam_d), self.config.training, self._spent)
        with held_fixed([p for side in self._sides.values() for p in trained(side.critic)]):
            made = self._objective(self._sides, reals, partial(self._noise, draws))
            self.adam_g.zero_grad()
            torch.stack([*made.losses.values()]).sum().backward()
        descend(self.group, self.adam_g)
        losses = {name: loss.detach() for name, loss in made.losses.items()}
        losses["loss_d"] = self._critic_step(reals, made.translations, draws)
        self._count(self._sides["target"].translator)
        return self.group.means(losses)

    def _critic_step(self, reals: Mapping[str, Tensor], translations: Mapping[str, Tensor], draws: Draws) -> Tensor:
        """The pools are exchanged with the whole batch, so that every worker's are the same."""
        losses = []
        for name, side in self._sides.items():
            whole = self.group.whole(translations[name].detach(), self.images_per_iteration)
            losses.append(side.critic_loss(reals[name], self.group.share(side.pool.exchange(whole, draws))))
        self.adam_d.zero_grad()
        total = torch.stack(losses).sum()
        total.backward()
        descend(self.group, self.adam_d)
        return total.detach()

    def _noise(self, draws: Draws, like: Tensor) -> Tensor:
        whole = draws.normal(self.images_per_iteration, *like.shape[1:])
        return self.group.share(whole).to(like.device)

    @property
    def _networks(self) -> dict[str, nn.Module]:
        sides = self._sides.items()
        return {
            **{f"translator_to_{name}": side.translator for name, side in sides},
            **{f"critic_of_{name}": side.critic for name, side in sides},
            **{f"pool_of_{name}": side.pool for name, side in sides},
            "average": self.average,
            **self._beside,
        }

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adam_g": self.adam_g, "adam_d": self.adam_d}

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, by name; the pools are among them, and what translators share under either's."""
        return in_memory_of_their_own(super().state_dict())
