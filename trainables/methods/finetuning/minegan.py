"""MineGAN: miners steer z to what a source model knows of the target (Wang et al., CVPR 2020, arXiv:1912.05270).

It differs from fine-tuning by the generator: one or several, each behind its miner. In the first stage they are fixed, and
miner and critic train; then all of them do. Unlike in the authors' code a step's gradients are its own: there the miner's
add up over the whole run. The miner starts as the identity, and there is no path-length penalty.
"""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from spaces.methods.minegan import MineganConfig
from trainables.images.batches import Batch
from trainables.methods.finetuning.families import real_batches
from trainables.methods.finetuning.finetune import Finetune
from trainables.methods.method import Given, Method, Needs
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_generator
from trainables.networks.miner import MinedGenerator, Miner
from trainables.networks.models import Model
from trainables.networks.sampling import ZSampler
from trainables.sources.graft import graft
from trainables.sources.shelf import SourceModel
from trainables.training.average import averaging
from trainables.training.draws import Draws
from trainables.training.parallel import Group

MINER = "miner"
"""The name of the first generator's miner in a model; a further generator and its miner are "generator-2" and "miner-2"."""


class Minegan(Finetune):
    """Fine-tuning with a mined generator in the generator's place."""

    def __init__(self, config: MineganConfig, given: Given, device: torch.device, group: Group) -> None:
        super().__init__(config.finetuning, given.source, device, group)
        self.mining = config.mining
        others = [_generator_of(source, config) for source in given.beside]
        averages = [self.average, *map(averaging, others)]
        for other in others:
            self.group.agree_on_statistics(other)
        miners = [Miner(config.network.z_dim).initialise(config.seed + place) for place in range(len(averages))]
        self.average: MinedGenerator = MinedGenerator(copy.deepcopy(miners), averages).requires_grad_(False)
        self.generator: MinedGenerator = MinedGenerator(miners, [self.generator, *others])
        for network in (self.average, self.generator):
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adam_g = self._adam(self.generator.parameters(), config.optim.lr_g, self._lazy_g)
        if others:
            self.loss = replace(self.loss, generator=self._expected_loss(self.loss.generator))

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One iteration, as of fine-tuning; the generators are fixed while the miners train alone."""
        self.generator.generators.requires_grad_(self.iterations >= self.mining.steps_alone)
        return super().step(batch)

    def _noise(self, draws: Draws, size: int) -> Tensor:
        return draws.normal(size, self.generator.z_dim)

    def _generator_step(self, *asked: Any) -> Any:
        with self.generator.giving_all():
            return super()._generator_step(*asked)

    def _expected_loss(self, loss: Any) -> Any:
        """Of several generators, the mean of the losses by the probabilities that they are chosen with, which learn by it."""

        def expected(fake_logits: Tensor, *others: Tensor) -> Tensor:
            each = [loss(logits, *others) for logits in fake_logits.chunk(len(self.generator.generators))]
            return torch.stack(each) @ self.generator.probabilities

        return expected

    def model(self) -> Model:
        """The averaged generators with their standing statistics, their miners, and the critic."""
        whole = super().model()
        weights = {}
        for place in range(len(self.average.miners)):
            for kind, owner in ((GENERATOR, "generators"), (MINER, "miners")):
                prefix, mined = f"{owner}.{place}.", whole.weights[GENERATOR].items()
                weights[_numbered(kind, place)] = {
                    name.removeprefix(prefix): tensor for name, tensor in mined if name.startswith(prefix)
                }
        weights[DISCRIMINATOR] = dict(whole.weights[DISCRIMINATOR])
        return replace(whole, networks=dict.fromkeys(weights, self.config.network), weights=weights)


def _generator_of(source: SourceModel, config: MineganConfig) -> nn.Module:
    generator = build_generator(config.network, config.seed)
    where = f"source {source.facts.name!r} of mining/beside does not fit source {config.source!r}"
    graft(generator, source.weights()[GENERATOR], where=where, on_mismatch="error")
    return generator


def _numbered(kind: str, place: int) -> str:
    return f"{kind}-{place + 1}" if place else kind


class MinedSampler(ZSampler):
    """Samples a model of mined generators."""

    def _built(self, model: Model) -> nn.Module:
        places = range(sum(name.startswith(MINER) for name in model.networks))
        miners = [_miner(model, _numbered(MINER, place)) for place in places]
        generators = [_alone(model, _numbered(GENERATOR, place)).network(GENERATOR) for place in places]
        return MinedGenerator(miners, generators).eval()


def _miner(model: Model, name: str) -> Miner:
    weights = dict(model.weights[name])
    miner = Miner(z_dim=len(weights["first.bias"]))
    miner.load_state_dict(weights)
    return miner


def _alone(model: Model, name: str) -> Model:
    """The network of that name as the generator of a model of its own."""
    return Model({GENERATOR: model.networks[name]}, {GENERATOR: model.weights[name]})


def build(config: MineganConfig, given: Given, device: torch.device, group: Group) -> Minegan:
    """The source's networks with a new miner."""
    return Minegan(config, given, device, group)


MINEGAN = Method(
    config=MineganConfig,
    needs=Needs(source=True, networks=(GENERATOR, DISCRIMINATOR), families=("resnet", "dcgan")),
    batches=real_batches,
    build=build,
    sampler=MinedSampler,
)
