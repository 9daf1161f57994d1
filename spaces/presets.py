"""Complete configurations to train a source model with. A preset is a function; a variant calls it and changes fields."""

from collections.abc import Callable, Mapping
from typing import Any

from spaces.config import SCRATCH, Budget
from spaces.errors import UserError
from spaces.methods.finetune import Augment, FinetuneConfig, Loss, Optim
from spaces.networks import Resnet, StyleGAN2Config
from spaces.protocol import Protocol
from spaces.stylegan2 import ADA_IMAGES, PUBLISHED, halflife_of, narrow_network, network_of, rate_of, settings


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


def stylegan2_small(target: str, resolution: int) -> FinetuneConfig:
    """A StyleGAN2 with a sixteenth of the channels: one core trains it at 32 pixels."""
    return _stylegan2(
        target,
        narrow_network(resolution),
        Budget(images=160_000, eval_every_images=40_000),
        Protocol(metrics=("fd", "kd")),
    )


def stylegan2_auto(target: str, resolution: int) -> FinetuneConfig:
    """StyleGAN2-ADA as its "auto" trains it on one GPU, with ADA: 25 million images."""
    config = _stylegan2(
        target,
        network_of(resolution),
        Budget(images=25_000_000, eval_every_images=1_000_000),
        Protocol(metrics=("fd", "kd"), n_fake=5_000),
    )
    return config.model_copy(update={"augment": Augment(ada_target=0.6, ada_images=ADA_IMAGES)})


def _stylegan2(target: str, network: StyleGAN2Config, budget: Budget, protocol: Protocol) -> FinetuneConfig:
    given, rate = settings(network), rate_of(network.resolution)
    optim = _below("optim/", given)
    return FinetuneConfig(
        target=target,
        source=SCRATCH,
        network=network,
        loss=Loss(**_below("loss/", given)),
        optim=Optim(**optim, lr_g=rate, lr_d=rate, ema_halflife_images=halflife_of(optim["batch"])),
        budget=budget,
        protocol=protocol,
    )


def _below(group: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one group of fields, by the fields' names."""
    return {path.removeprefix(group): value for path, value in settings.items() if path.startswith(group)}


def stylegan2_paper(target: str, resolution: int) -> FinetuneConfig:
    """The settings that the published networks of that resolution were trained with; UserError where there are none."""
    auto = stylegan2_auto(target, resolution)
    if resolution not in PUBLISHED:
        raise UserError(
            f"no published StyleGAN2 settings are known for {resolution} pixels, but for "
            f"{', '.join(map(str, PUBLISHED))}; take --preset auto"
        )
    values = auto.model_dump()
    for part, fields in PUBLISHED[resolution].items():
        values[part].update(fields)
    return FinetuneConfig.parse(values, "preset 'paper'")


PRESETS: Mapping[str, Callable[[str, int], FinetuneConfig]] = {"small": small, "paper": paper}

FAMILY_PRESETS: Mapping[str, Mapping[str, Callable[[str, int], FinetuneConfig]]] = {
    "resnet": PRESETS,
    "stylegan2": {"small": stylegan2_small, "auto": stylegan2_auto, "paper": stylegan2_paper},
}
"""The presets of every family that source models are trained of; "small" is for a CPU, the one behind it for a GPU."""
