"""StyleGAN2 as a family: its first weights, how its critic is frozen, and what its tensors give away of its config."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from spaces.stylegan2 import settings
from trainables.networks.family import Family
from trainables.networks.stylegan2_critic import StyleGAN2Critic
from trainables.networks.stylegan2_generator import SMALLEST, Block, StyledConvolution, StyleGAN2Generator, ToRgb
from trainables.networks.stylegan2_layers import Convolution, Dense
from trainables.networks.stylegan2_layers import Mapping as MappingNetwork

_CHANNEL_MAX = 512


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw first weights: N(0, 1) over a layer's rate, as its use scales them; biases 0, but 1 in what makes styles of w."""
    for layer in module.modules():
        if isinstance(layer, Dense):
            layer.weight.normal_(0, 1 / layer.rate, generator=generator)
            layer.bias.fill_(layer.bias_start / layer.rate)
        elif isinstance(layer, Convolution | StyledConvolution | ToRgb):
            layer.weight.normal_(generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
        if isinstance(layer, StyledConvolution):
            layer.noise_const.normal_(generator=generator)
            layer.noise_strength.zero_()
        elif isinstance(layer, Block) and hasattr(layer, "const"):
            layer.const.normal_(generator=generator)
        elif isinstance(layer, MappingNetwork) and hasattr(layer, "w_avg"):
            layer.w_avg.zero_()
        elif isinstance(layer, StyleGAN2Generator) and hasattr(layer, "prior"):
            prior = layer.get_buffer("prior")
            prior.fill_(1 / len(prior))


def stages(discriminator: nn.Module) -> list[list[nn.Module]]:
    """The critic's blocks from the image side; that of 4 pixels without its last layer, which always trains."""
    assert isinstance(discriminator, StyleGAN2Critic), f"{type(discriminator)=}"
    *blocks, last = (discriminator.get_submodule(f"b{side}") for side in discriminator.sides)
    return [[block] for block in blocks] + [[layer for name, layer in last.named_children() if name != "out"]]


def layers(discriminator: nn.Module) -> list[nn.Module]:
    """The critic's layers in the order of `--freezed`: in each block fromrgb, conv0, conv1 and skip, as far as it has them."""
    return [
        layer for stage in stages(discriminator) for block in stage for layer in (list(block.children()) or [block])
    ]


def fields(state: Mapping[str, Tensor]) -> dict[str, int | str]:
    """The fields of the config that the names and shapes of a generator's or critic's weights give away."""
    shapes = {_own_name(name): tuple(tensor.shape) for name, tensor in state.items()}
    if "b4.const" in shapes:
        return _of_generator(shapes)
    return _of_critic(shapes) if "b4.out.weight" in shapes and "b4.conv.weight" in shapes else {}


def _own_name(name: str) -> str:
    """A tensor's name from the block or the mapping network on."""
    found = re.search(r"(?:^|\.)((?:b\d+|mapping)\..*)$", name)
    return found[1] if found else name


Shapes = Mapping[str, tuple[int, ...]]


def _of_generator(shapes: Shapes) -> dict[str, int | str]:
    embedded = shapes.get("mapping.embed.weight")
    w_dim = shapes["b4.conv1.affine.weight"][1]
    found = _channels({side: shapes[f"b{side}.conv1.weight"][0] for side in _sides(shapes)})
    found |= {"w_dim": w_dim, "mapping_layers": sum(bool(re.match(r"mapping\.fc\d+\.weight$", n)) for n in shapes)}
    if "mapping.fc0.weight" in shapes:
        found["z_dim"] = shapes["mapping.fc0.weight"][1] - (embedded[0] if embedded else 0)
    if embedded:
        found["classes"] = embedded[1]
    residual = any(name.endswith(".skip.weight") for name in shapes)
    of_image = "skip" if "b4.torgb.weight" in shapes else "resnet" if residual else "orig"
    return {**found, "generator_architecture": of_image}


def _of_critic(shapes: Shapes) -> dict[str, int | str]:
    sides = _sides(shapes)
    channels = {side: shapes[f"b{side}.conv0.weight"][0] for side in sides if side > SMALLEST}
    convolved = shapes["b4.conv.weight"]
    found = _channels({**channels, SMALLEST: convolved[0]})
    if "mapping.embed.weight" in shapes:
        found["classes"] = shapes["mapping.embed.weight"][1]
    residual = any(name.endswith(".skip.weight") for name in shapes)
    of_image = "resnet" if residual else "skip" if "b4.fromrgb.weight" in shapes else "orig"
    return {**found, "critic_architecture": of_image, "minibatch_channels": convolved[1] - convolved[0]}


def _sides(shapes: Shapes) -> Sequence[int]:
    return sorted({int(match[1]) for name in shapes if (match := re.match(r"b(\d+)\.", name))})


def _channels(by_side: Mapping[int, int]) -> dict[str, int | str]:
    """Resolution, width, and what channels are held to where that is not the default."""
    resolution = max(by_side)
    found: dict[str, int | str] = {"resolution": resolution, "width": by_side[resolution]}
    if by_side[SMALLEST] != min(by_side[resolution] * resolution // SMALLEST, _CHANNEL_MAX):
        found["channel_max"] = by_side[SMALLEST]
    return found


STYLEGAN2 = Family(
    networks={"generator": StyleGAN2Generator, "discriminator": StyleGAN2Critic},
    initialise=initialise,
    stages=stages,
    fields=fields,
    layers=layers,
    critic_sees_batch=True,
    penalised_together=True,
    bounded=False,
    settings=settings,
)
"""Trained with the logistic loss and R1; `spaces.stylegan2` has what depends on the resolution."""
