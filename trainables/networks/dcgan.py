"""The plain DCGAN generator and critic (Radford et al. 2016), with the tensor names of PyTorch's tutorial.

From 4 pixels up, each transposed convolution doubles the side and halves the channels; the channels at side r are
width * resolution / (2 r), so 512 at 4 pixels for 64 pixels and width 64. The tutorial's generator of 64 pixels is
`main.0`, `main.3`, ... `main.12`, its critic `main.0`, `main.2`, ... `main.11`; here one layer more or less doubles or
halves the resolution. The critic gives logits: the tutorial's sigmoid belongs to the loss.
"""

import math
import re
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.networks import Dcgan
from trainables.networks.family import Family

_KERNEL = 4


class DcganGenerator(nn.Module):
    """z (N, z_dim), standard normal -> images (N, 3, R, R) in [-1, 1]; one of classes takes labels, int64 (N,), too.

    Its first convolution has a row an input: behind those of z, one a class. Its buffer `prior` has the classes' shares.
    """

    def __init__(self, network: Dcgan) -> None:
        super().__init__()
        self.z_dim = network.z_dim
        if network.classes is not None:
            self.register_buffer("prior", torch.full((network.classes,), 1 / network.classes))
        widths = _channels(network)[::-1]  # at 4, 8, ..., R / 2 pixels
        layers: list[nn.Module] = []
        for before, after in pairwise([network.z_dim + (network.classes or 0), *widths]):
            stride, padding = (2, 1) if layers else (1, 0)  # the first one makes 4 pixels of one
            layers += [nn.ConvTranspose2d(before, after, _KERNEL, stride, padding, bias=False), nn.BatchNorm2d(after)]
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.ConvTranspose2d(widths[-1], 3, _KERNEL, 2, 1, bias=False))
        self.main = nn.Sequential(*layers, nn.Tanh())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if hasattr(self, "prior"):
            assert labels is not None, "a conditional generator takes labels"
            z = torch.cat([z, F.one_hot(labels, len(self.get_buffer("prior"))).to(z.dtype)], dim=1)
        images: Tensor = self.main(z[:, :, None, None])  # (N, inputs, 1, 1) -> (N, 3, R, R)
        return images


class DcganDiscriminator(nn.Module):
    """Images (N, 3, R, R) -> logits (N,). In training an image is judged beside the others of its batch (batch norm)."""

    def __init__(self, network: Dcgan) -> None:
        super().__init__()
        widths = _channels(network)  # at R / 2, ..., 4 pixels
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], _KERNEL, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, _KERNEL, 2, 1, bias=False), nn.BatchNorm2d(after)]
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.main = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, _KERNEL, 1, 0, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.main(images)  # (N, 1, 1, 1)
        return logits.flatten()


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the paper's first weights: N(0, 0.02) for convolutions, N(1, 0.02) for the scales of norms, shifts 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0.0, 0.02, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
            layer.weight.normal_(1.0, 0.02, generator=generator)
        elif isinstance(layer, DcganGenerator) and hasattr(layer, "prior"):
            prior = layer.get_buffer("prior")
            prior.fill_(1 / len(prior))


def stages(discriminator: nn.Module) -> list[list[nn.Module]]:
    """The critic's convolutions from the image side, each with the norm behind it; the last one is in none."""
    assert isinstance(discriminator, DcganDiscriminator), f"{type(discriminator)=}"
    found: list[list[nn.Module]] = []
    for layer in discriminator.main:
        if isinstance(layer, nn.Conv2d):
            found.append([])
        found[-1].append(layer)
    return found[:-1]


def fields(state: Mapping[str, Tensor]) -> dict[str, int]:
    """The fields of the config that the shapes of a generator's or a critic's convolutions give away."""
    shapes = {
        int(match[1]): tuple(tensor.shape)
        for name, tensor in state.items()
        if tensor.ndim == 4 and (match := re.search(r"\bmain\.(\d+)\.weight$", name))
    }
    if not shapes:
        return {}
    first, last = shapes[min(shapes)], shapes[max(shapes)]
    resolution = _KERNEL * 2 ** (len(shapes) - 1)
    if last[0] == 1:  # a critic ends in one channel
        return {"width": first[0], "resolution": resolution}
    classes = next((len(tensor) for name, tensor in state.items() if name.endswith("prior")), 0)
    told = {"classes": classes} if classes else {}
    return {"z_dim": first[0] - classes, "width": last[0], "resolution": resolution, **told}


def _channels(network: Dcgan) -> list[int]:
    """Channels at each side, from half the resolution down to 4 pixels."""
    halvings = int(math.log2(network.resolution / _KERNEL))
    return [network.width * 2**place for place in range(halvings)]


DCGAN = Family(
    networks={"generator": DcganGenerator, "discriminator": DcganDiscriminator},
    initialise=initialise,
    stages=stages,
    fields=fields,
    critic_sees_batch=True,
    settings=lambda network: {
        "loss/name": "nonsaturating",
        "loss/penalty": 0.0,
        "loss/n_critic": 1,
        "optim/beta1": 0.5,
        "optim/beta2": 0.999,
    },
)
"""Trained as in the paper: one step of each network, no penalty, Adam with momentum 0.5."""
