"""What StyleGAN2 is trained with, by resolution: the published settings, in one place.

Source: NVIDIA's StyleGAN2-ADA (Karras et al., NeurIPS 2020), its configuration "auto" on one GPU.
"""

from collections.abc import Mapping
from typing import Any

from spaces.networks import StyleGAN2Config

PENALTY_EVERY = 16
"""Iterations between two steps of R1 (Karras et al. 2020, "lazy regularisation")."""

ADA_IMAGES = 500_000
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


Parts = Mapping[str, Mapping[str, Any]]


def _published(batch: int, gamma: float, halflife: int, group: int, rate: float = 0.0025) -> Parts:
    return {
        "network": {"mapping_layers": 8, "minibatch_group": group},
        "loss": {"penalty": gamma},
        "optim": {"batch": batch, "lr_g": rate, "lr_d": rate, "ema_halflife_images": halflife},
    }


PUBLISHED: Mapping[int, Parts] = {
    32: {
        "network": {"width": 512, "critic_architecture": "orig", "minibatch_group": 32},
        "loss": {"penalty": 0.01},
        "optim": {"batch": 64, "ema_halflife_images": 500_000},
        "style": {"mixing": 0.0, "path_length": 0.0},
    },
    256: _published(64, 1.0, 20_000, 8),
    512: _published(64, 0.5, 20_000, 8),
    1024: _published(32, 2.0, 10_000, 4, rate=0.002),
}
"""What differs from "auto" in the published networks: cifar10's, paper256, paper512 and paper1024, by their pixels."""
