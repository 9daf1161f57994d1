"""Complete configurations to train a source model with. A preset is a function; a variant calls it and changes fields."""

from collections.abc import Callable, Mapping

from spaces.config import SCRATCH, Budget
from spaces.methods.finetune import FinetuneConfig, Optim
from spaces.networks import Resnet
from spaces.protocol import Protocol


def small(target: str, resolution: int) -> FinetuneConfig:
    """Width 16: a GAN that one core trains in minutes at 32 pixels, in hours at 64."""
    return FinetuneConfig(
        target=target,
        source=SCRATCH,
        network=Resnet(resolution=resolution, width=16),
        optim=Optim(lr_g=1e-3, lr_d=1e-3, batch=32, ema_halflife_images=2_000),
        budget=Budget(images=160_000, eval_every_images=40_000),
        protocol=Protocol(metrics=("fd", "kd")),
    )


def paper(target: str, resolution: int) -> FinetuneConfig:
    """The paper's source models: width 64, batch 128, Adam at 1e-4, 50,000 iterations of 5 critic steps. Wants a GPU."""
    return FinetuneConfig(
        target=target,
        source=SCRATCH,
        network=Resnet(resolution=resolution, width=64),
        optim=Optim(lr_g=1e-4, lr_d=1e-4, batch=128),
        budget=Budget(images=32_000_000, eval_every_images=1_280_000),
        protocol=Protocol(metrics=("fd", "kd"), n_fake=5_000),
    )


PRESETS: Mapping[str, Callable[[str, int], FinetuneConfig]] = {"small": small, "paper": paper}
