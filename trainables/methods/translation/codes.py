"""A code that two domains have in common: which networks encode and decode a domain, and what the two share.

A translator is the encoder of one domain and the decoder of the other, so the two of them hold both domains' autoencoders.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.shared_code import SharedCodeConfig
from trainables.methods.translation.learner import BACK, Side, Sides

OTHER: Mapping[str, str] = {"target": "source", "source": "target"}


def code_of(sides: Sides, domain: str, images: Tensor) -> Tensor:
    """What the domain's encoder makes of its images, (n, c, h, w)."""
    code: Tensor = sides[OTHER[domain]].translator.get_submodule("encoder")(images)
    return code


def image_of(sides: Sides, domain: str, codes: Tensor) -> Tensor:
    """What the domain's decoder makes of codes of either domain, (n, 3, R, R)."""
    images: Tensor = sides[domain].translator.get_submodule("decoder")(codes)
    return images


def all_fooled(sides: Sides, made: Mapping[str, Tensor]) -> Tensor:
    """What translations into each domain have left to fool its critic, summed over domains."""
    return torch.stack([sides[domain].fooled(images) for domain, images in made.items()]).sum()


def differences(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """Mean absolute differences of images, summed over domains."""
    return torch.stack([F.l1_loss(images, wanted[domain]) for domain, images in found.items()]).sum()


def both_sides(config: SharedCodeConfig, resolution: int, device: torch.device) -> Sides:
    """Fresh ones, whose translators share the blocks next to the code."""
    sides = {
        "target": Side.of(config, resolution, device, config.seed),
        "source": Side.of(config, resolution, device, config.seed + BACK),
    }
    there, back = (_halves(side.translator) for side in sides.values())
    for place in range(config.shared_blocks):
        back[0][-1 - place] = there[0][-1 - place]
        back[1][place] = there[1][place]
    return sides


def _halves(translator: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    encoder, decoder = (translator.get_submodule(name) for name in ("encoder", "decoder"))
    assert isinstance(encoder, nn.Sequential) and isinstance(decoder, nn.Sequential), f"{translator=}"
    return encoder, decoder
