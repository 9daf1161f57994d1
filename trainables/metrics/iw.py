"""A fresh critic's score of samples: it sees memorising, for its weights and real images are new to the generator."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.networks import RESOLUTIONS, Resnet
from spaces.protocol import IwProtocol, Protocol
from trainables.images.domains import DomainFacts
from trainables.images.pixels import to_float
from trainables.machine.randomness import random_numbers
from trainables.networks.families import build_discriminator
from trainables.networks.sampling import critic_logits
from trainables.training.losses import LOSSES

MIN_IMAGES = 4
"""Fewest images of either side, real and generated: half of them train the critic, half are scored."""


def measurable(protocol: Protocol, domain: DomainFacts) -> tuple[Protocol, str | None]:
    """The protocol without IW, and why, where a domain has too few images for it; else the protocol as it is.

    UserError if IW is what the protocol goes by.
    """
    if "iw" not in protocol.metrics or min(domain.train, domain.val) >= MIN_IMAGES:
        return protocol, None
    why = (
        f"domain {domain.name!r} has {domain.train} train and {domain.val} val images, and metric iw needs {MIN_IMAGES} of "
        "each at least"
    )
    if protocol.metrics[0] == "iw":
        raise UserError(f"{why}; import it again with another --val-fraction, or go by another metric")
    metrics = tuple(name for name in protocol.metrics if name != "iw")
    return protocol.model_copy(update={"metrics": metrics}), f"iw is left out: {why}"


def independent_wasserstein(real: np.ndarray, fake: np.ndarray, protocol: IwProtocol, device: torch.device) -> float:
    """Train a fresh WGAN-GP critic D on real and generated images, and give mean D(fake) - mean D(real).

    The value is negative, and better the nearer it is to zero; nan if the critic diverged. D trains on half of each set
    and is scored on the other half, so that its own overfitting doesn't count. `real` are images that the generator
    hasn't seen. Both are uint8 (N, 3, R, R), R one of 32, 64, 128; at most `protocol.images` of each are used. It is
    computed in float32, and comes out the same always on one CPU.

    Raises UserError for fewer than 4 images of either, and for other resolutions.
    Source: Danihelka et al. 2017, arXiv:1705.05263; critic and sign as in Wang et al., "Transferring GANs", ECCV 2018.
    """
    _check(real, fake, protocol)
    rng = random_numbers("independent critic", protocol.seed)
    train_real, held_real = _halves(real, protocol.images, rng, device)
    train_fake, held_fake = _halves(fake, protocol.images, rng, device)
    network = Resnet.model_validate({"resolution": real.shape[2], "width": protocol.width})
    critic = build_discriminator(network, protocol.seed).to(device).to(memory_format=torch.channels_last)
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        _train(critic, train_real, train_fake, protocol, rng)
        fake_mean, real_mean = (float(critic_logits(critic, held).mean()) for held in (held_fake, held_real))
    score = fake_mean - real_mean
    return score if math.isfinite(score) else math.nan


def _train(critic: nn.Module, real: Tensor, fake: Tensor, protocol: IwProtocol, rng: torch.Generator) -> None:
    loss = LOSSES["wgan_gp"]
    optimiser = torch.optim.Adam(critic.parameters(), protocol.lr, betas=(0.0, 0.9))
    batch = min(protocol.batch, len(real), len(fake))
    for _ in range(protocol.steps):
        x_real, x_fake = _draw(real, batch, rng), _draw(fake, batch, rng)
        mix = torch.rand(batch, 1, 1, 1, generator=rng).to(x_real.device)
        logits = critic(torch.cat([x_real, x_fake]))
        total = loss.discriminator(logits[:batch], logits[batch:])
        total = total + protocol.penalty * loss.penalty(critic, x_real, x_fake, mix)
        optimiser.zero_grad()
        torch.autograd.backward(total)
        optimiser.step()


def _halves(images: np.ndarray, most: int, rng: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    """Choose at most `most` images and part them in two halves on `device`; of an odd number the first is smaller."""
    chosen = torch.randperm(len(images), generator=rng)[:most].numpy()
    picked = torch.from_numpy(images[chosen]).to(device)  # a copy: fancy indexing
    return picked[: len(picked) // 2], picked[len(picked) // 2 :]


def _draw(images: Tensor, batch: int, rng: torch.Generator) -> Tensor:
    """Draw a batch with replacement: float32 (batch, 3, R, R) in [-1, 1]."""
    return to_float(images[torch.randint(len(images), (batch,), generator=rng).to(images.device)])


def _check(real: np.ndarray, fake: np.ndarray, protocol: IwProtocol) -> None:
    """Raise UserError for too few images, and for a resolution that the critic does not take."""
    counts = {"real images": len(real), "generated images": len(fake), "as protocol/iw/images": protocol.images}
    for name, count in counts.items():
        if count < MIN_IMAGES:
            raise UserError(f"iw: {count} {name}; it needs {MIN_IMAGES} at least, half of them to train its critic")
    size = real.shape[2]
    if size not in RESOLUTIONS:
        raise UserError(f"iw: images are {size} pixels wide; its critic takes {', '.join(map(str, RESOLUTIONS))}")
    assert real.shape[1:] == fake.shape[1:], f"{real.shape=} {fake.shape=}"
    assert real.dtype == fake.dtype == np.uint8, f"{real.dtype=} {fake.dtype=}"
