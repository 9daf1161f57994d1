"""What every translation method is made of: unpaired batches, held-out inputs, and a sampler that takes inputs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.methods.stargan import StarTraining
from spaces.methods.translation import DomainConfig, Training
from trainables.images.batches import Batch, batches
from trainables.images.domains import Domain
from trainables.images.pairs import Rows, without_pictures_of
from trainables.images.pixels import to_float, to_uint8
from trainables.images.samples import Inputs, Samples
from trainables.methods.method import Given, Needs
from trainables.networks.families import GENERATOR
from trainables.networks.models import Model
from trainables.networks.sampling import device_of

NEEDS = Needs(domains=True)
"""The images of source domains, and no source model."""


def unpaired_batches(
    config: DomainConfig, given: Given, first: int, device: torch.device, size: int | None = None
) -> Iterator[Batch]:
    """Batches of the target's images, and as many of each source domain, each domain drawn independently of the others.

    They have `size` images of each, or as many as a step takes. A picture that the target's images train on is in no batch of
    a source, so that no image of a source is ever the pair of a target image. Two sources of the same pictures may both have
    one: StarGAN and ComboGAN, which train between their sources too, may see pairs of these.
    """
    target, size = given.target, size or config.batch
    rows = target.chosen(config.data)
    assert size, f"method {config.method!r} trains on no batches"
    of_target = batches(target, rows, size, seed=config.seed, first=first, device=device)
    of_sources = [
        batches(
            domain, source_rows(domain, target, rows), size, seed=_seed(config.seed, place), first=first, device=device
        )
        for place, domain in enumerate(given.domains)
    ]
    for batch, *sources in zip(of_target, *of_sources, strict=True):
        yield replace(batch, sources=tuple(source.images for source in sources))


def _seed(seed: int, place: int) -> int:
    """Another than the target's and those of the other sources, or domains of one size would be shuffled alike."""
    return int(np.random.SeedSequence([seed, place + 1]).generate_state(1)[0])


def source_rows(domain: Domain, target: Domain, target_rows: Rows) -> Rows:
    """The training rows of a source domain whose pictures the target does not train on; UserError if there are none."""
    rows = without_pictures_of(domain, domain.indices("train"), target, target_rows)
    if not len(rows):
        raise UserError(
            f"domain {domain.facts.name!r} has no training image of a picture that domain {target.facts.name!r} does not train "
            f"on; leave it some with --target-images, fewer than {len(target_rows):,}"
        )
    return rows


def held_out_inputs(domain: Domain, n: int, seed: int) -> Inputs:
    """`n` images of a domain to translate: those held out first, then training images, each once before one comes again.

    The first of them are those of any smaller `n`.
    """
    random = np.random.default_rng([seed, 1])
    order = np.concatenate([random.permutation(domain.indices("val")), random.permutation(domain.indices("train"))])
    rows = np.resize(order, n)
    names = tuple(domain.names[row] for row in rows) if domain.names else ()
    return Inputs(torch.from_numpy(domain.images[rows]), names)


@torch.no_grad()
def translated(translator: nn.Module, inputs: Inputs, batch: int = 128) -> Samples:
    """Each of the inputs by the translator, on the CPU; image i does not depend on `batch`."""
    device, training = device_of(translator), translator.training
    translator.eval()
    images = [to_uint8(translator(to_float(part.to(device)))).cpu() for part in torch.split(inputs.images, batch)]
    translator.train(training)
    return Samples(torch.cat(images), inputs=inputs.images, pictures=inputs.names)


class InputSampler:
    """Translates what it is given: needs inputs, and n of them."""

    def __init__(self, model: Model) -> None:
        translator = model.network(GENERATOR)
        self.translator = translator.to(memory_format=torch.channels_last)  # sums as in training

    def __call__(self, n: int, seed: int, inputs: Inputs | None = None) -> Samples:
        """The translations of `inputs`; the seed changes nothing."""
        return translated(self.translator, checked(inputs, n))


def checked(inputs: Inputs | None, n: int) -> Inputs:
    """The inputs of a sampler that needs some; UserError if there are none."""
    if inputs is None:
        raise UserError("this model translates images, and was given none; give inputs")
    assert len(inputs.images) == n, f"{len(inputs.images)=}, {n=}"
    return inputs


def decay(optimisers: Iterable[torch.optim.Optimizer], training: Training | StarTraining, seen: float) -> None:
    """Let all their rates be what they are after a share `seen` of the budget."""
    for optimiser in optimisers:
        for parameters in optimiser.param_groups:
            parameters["lr"] = falling(training.lr, training.constant, seen)


def falling(lr: float, constant: float, seen: float) -> float:
    """The learning rate after a share `seen` of the budget: `lr` for the share `constant`, and then falling to 0 at its end."""
    return lr * (min(1.0, (1 - seen) / (1 - constant)) if constant < 1 else 1.0)


def least_squares(logits: Tensor, value: float) -> Tensor:
    """mean((logits - value)^2) over images and patches: a scalar (Mao et al. 2017)."""
    return (logits - value).square().mean()


def only_domain(config: DomainConfig, given: Given) -> Domain:
    """The one source domain of a method that takes one."""
    assert len(given.domains) == 1, f"{config.domains=}, {len(given.domains)=}"
    return given.domains[0]
