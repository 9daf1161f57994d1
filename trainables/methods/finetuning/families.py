"""Fine-tuning as a method: what it takes, and which learner trains networks of which family."""

from collections.abc import Iterator, Mapping

import torch

from spaces.config import SCRATCH
from spaces.errors import UserError
from spaces.methods.finetune import FinetuneConfig
from trainables.images.batches import Batch, batches
from trainables.methods.finetuning.classes import Classes
from trainables.methods.finetuning.finetune import Finetune
from trainables.methods.finetuning.stylegan2 import FinetuneStyleGAN2
from trainables.methods.method import Given, Method, Needs
from trainables.networks.sampling import ZSampler
from trainables.training.parallel import Group


def build(config: FinetuneConfig, given: Given, device: torch.device, group: Group) -> Finetune:
    """The learner of a config; there is no source exactly if config.source is "scratch"."""
    assert (given.source is None) == (config.source == SCRATCH), f"{config.source=}, {given.source=}"
    if given.target.facts.resolution != config.network.resolution:
        facts = given.target.facts
        raise UserError(
            f"domain {facts.name!r} has {facts.resolution} pixels, the network {config.network.resolution}; add the domain "
            "again with the network's --resolution"
        )
    rows = given.target.chosen(config.data)
    learner = LEARNERS[config.network.family]
    return learner(config, given.source, device, group, Classes.of(config.network, given.target, rows))


def real_batches(config: FinetuneConfig, given: Given, first: int, device: torch.device) -> Iterator[Batch]:
    """Batches of the target's images: n_critic * batch in each, in an order that follows from config.seed."""
    rows = given.target.chosen(config.data)
    size = config.optim.batch * config.loss.n_critic
    return batches(given.target, rows, size, seed=config.seed, first=first, device=device)


LEARNERS: Mapping[str, type[Finetune]] = {
    **dict.fromkeys(("resnet", "dcgan", "mimicry"), Finetune),
    "stylegan2": FinetuneStyleGAN2,
}
"""By family, what trains its networks: a family that brings regularisers of its own has a learner of its own."""

FINETUNE = Method(
    config=FinetuneConfig,
    needs=Needs(families=tuple(LEARNERS)),
    batches=real_batches,
    build=build,
    sampler=ZSampler,
)
