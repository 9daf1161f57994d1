"""What StyleGAN2 is trained with, by resolution: the published settings, in one place.

Source: NVIDIA's StyleGAN2-ADA (Karras et al., NeurIPS 2020), its configuration "auto" on one GPU.
"""

from collections.abc import Mapping
from typing import Any

from spaces.networks import StyleGAN2Config

PENALTY_EVERY, PATH_LENGTH_EVERY = 16, 4
"""Iterations between two steps of R1, and of the path length (Karras et al. 2020, "lazy regularisation")."""

_ADA_IMAGES = 500_000
"""Real images in which ADA's probability can rise by 1, from scratch."""


def batch_of(resolution: int) -> int:
    """Images of a batch: 32 up to 128 pixels, 16 at 256, 4 at 1,024."""
    return min(4096 // resolution, 32)


def gamma_of(resolution: int, batch: int) -> float:
    """R1's weight: 0.0064 at 32 pixels and a batch of 32, 0.026 at 64, 0.10 at 128, and 0.82 at 256 with 16."""
    return 0.0002 * resolution**2 / batch


def rate_of(resolution: int) -> float:
    """Adam's rate, of both networks."""
    return 0.002 if resolution >= 1024 else 0.0025


def halflife_of(batch: int) -> int:
    """The half-life of the generator's average, in real images."""
    return batch * 10_000 // 32


def network_of(resolution: int) -> StyleGAN2Config:
    """The networks of "auto": 22 and 23 million weights at 64 pixels."""
    base = 16384 if resolution < 512 else 32768
    width, channel_max = min(base // resolution, 512), 512
    return StyleGAN2Config(resolution=resolution, width=width, channel_max=channel_max, minibatch_group=4)


def narrow_network(resolution: int) -> StyleGAN2Config:
    """A sixteenth of the channels and a small w: what a CPU can train at 32 pixels."""
    width = max(1, 512 // resolution)
    return StyleGAN2Config(resolution=resolution, width=width, channel_max=64, z_dim=64, w_dim=64)


def settings(network: StyleGAN2Config) -> Mapping[str, Any]:
    """What a training takes unless it is told otherwise: config fields by path, the rates apart."""
    batch = batch_of(network.resolution)
    return {
        "loss/name": "nonsaturating",
        "loss/penalty": gamma_of(network.resolution, batch),
        "loss/penalty_every": PENALTY_EVERY,
        "loss/n_critic": 1,
        "optim/batch": batch,
        "optim/beta2": 0.99,
    }
