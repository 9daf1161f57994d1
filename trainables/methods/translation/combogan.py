"""ComboGAN: an encoder and a decoder for each domain, any two of which make a translator (Anoosheh et al. 2018).

Halves and critics are CycleGAN's. A step draws one pair of domains for all rows of the batch (the reference code draws one a row,
and then trains row 0's), and moves these two alone.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.combogan import ComboGanConfig, ComboWeights
from trainables.images.batches import Batch
from trainables.methods.method import Given, Method
from trainables.methods.translation.averaged import AveragedTranslator
from trainables.methods.translation.codes import all_fooled, differences
from trainables.methods.translation.learner import BACK, Side
from trainables.methods.translation.translating import (
    NEEDS,
    InputSampler,
    decay,
    unpaired_batches,
)
from trainables.networks.families import GENERATOR, build_network
from trainables.networks.translators import ImageTranslator
from trainables.training.descent import adam, minimise
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.parallel import Group

Autoencoders = Mapping[str, ImageTranslator]
"""The encoder and the decoder of each of two domains."""


def translations(of: Autoencoders, images: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Images of two domains, each by its own encoder and the other's decoder: by the domain that they are translated into."""
    one, other = of
    return {
        other: of[other].decoder(of[one].encoder(images[one])),
        one: of[one].decoder(of[other].encoder(images[other])),
    }


def objective(
    weights: ComboWeights, sides: Mapping[str, Side], of: Autoencoders, reals: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The terms that two domains' autoencoders minimise, and the translations into each: they fool critics and lead home.

    Both directions' terms are added up. A term of weight 0 is not computed.
    """
    made = translations(of, reals)
    losses = {"loss_g": all_fooled(sides, made)}
    if weights.cycle:
        losses["loss_cycle"] = weights.cycle * differences(translations(of, made), reals)
    if weights.cycle and weights.autoencoding:
        own = {domain: F.avg_pool2d(of[domain](images), 2) for domain, images in reals.items()}
        halved = {domain: F.avg_pool2d(images, 2) for domain, images in reals.items()}
        losses["loss_autoencoding"] = weights.cycle * weights.autoencoding * differences(own, halved)
    return losses, made


class ComboGanLearner(AveragedTranslator[ComboGanConfig]):
    """All domains' networks in training, each with an Adam of its own, and the average of the ones from source to target."""

    def __init__(self, config: ComboGanConfig, given: Given, device: torch.device, group: Group) -> None:
        names = ["target", "source", *(f"beside_{place}" for place in range(len(config.beside)))]
        self._sides = {
            name: Side.of(config, given.target.facts.resolution, device, config.seed + place * BACK)
            for place, name in enumerate(names)
        }
        self._scored = self._from_source_to_target(config)
        super().__init__(config, given.domains[0], self._scored, device, group)
        self._adams = {
            f"adam_{kind}_of_{name}": adam(network.parameters(), config.training)
            for name, side in self._sides.items()
            for kind, network in (("g", side.translator), ("d", side.critic))
        }

    def _autoencoder(self, domain: str) -> ImageTranslator:
        network = self._sides[domain].translator
        assert isinstance(network, ImageTranslator), f"{network=}"
        return network

    def _from_source_to_target(self, config: ComboGanConfig) -> ImageTranslator:
        """The translator that is scored; it shares its weights with the two of them."""
        translator = build_network(GENERATOR, config.translator, config.seed)
        assert isinstance(translator, ImageTranslator), f"{translator=}"
        translator.encoder, translator.decoder = (
            self._autoencoder("source").encoder,
            self._autoencoder("target").decoder,
        )
        return translator

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of two domains' autoencoders, their critics held fixed, then one of these critics on pooled translations.

        `batch` has as many images of each source domain as of the target, the same on every worker. Returns what the
        autoencoders minimised, term by term, and the critics' loss, "loss_d".
        """
        draws = Draws(self.config.seed, self.iterations)
        names = self._pair(draws)
        pair = {name: self._sides[name] for name in names}
        images = dict(zip(self._sides, (batch.images, *batch.sources), strict=True))
        reals = {name: self._real(images[name], draws) for name in names}
        decay(self._adams.values(), self.config.training, self._spent)
        with held_fixed([p for side in pair.values() for p in trained(side.critic)]):
            autoencoders = {name: self._autoencoder(name) for name in names}
            losses, made = objective(self.config.weights, pair, autoencoders, reals)
            minimise(self.group, losses.values(), *(self._adams[f"adam_g_of_{name}"] for name in names))
        wholes = {name: self.group.whole(each.detach(), self.images_per_iteration) for name, each in made.items()}
        pooled = {name: self.group.share(pair[name].pool.exchange(whole, draws)) for name, whole in wholes.items()}
        of_critics = {name: side.critic_loss(reals[name], pooled[name]) for name, side in pair.items()}
        minimise(self.group, of_critics.values(), *(self._adams[f"adam_d_of_{name}"] for name in names))
        losses["loss_d"] = torch.stack([*of_critics.values()]).sum()
        self._count(self._scored)
        return self.group.means(losses)

    def _pair(self, draws: Draws) -> list[str]:
        """Two of the domains, every pair as often as any other."""
        order = draws.uniform(len(self._sides)).argsort()[:2]
        return [list(self._sides)[place] for place in order.tolist()]

    @property
    def _networks(self) -> dict[str, nn.Module]:
        sides = self._sides.items()
        return {
            **{f"autoencoder_of_{name}": side.translator for name, side in sides},
            **{f"critic_of_{name}": side.critic for name, side in sides},
            **{f"pool_of_{name}": side.pool for name, side in sides},
            "average": self.average,
        }

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return dict(self._adams)


COMBOGAN = Method(
    config=ComboGanConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=ComboGanLearner,
    sampler=InputSampler,
)
