"""The ResNets of SNGAN and WGAN-GP (Miyato et al. 2018; Gulrajani et al. 2017) as mimicry has them, with its tensor names.

They differ from the ResNet of `resnet`: the generator interpolates bilinearly, the critic has no layer norm, pools its last
maps over space, and its shortcuts see what the ReLU before a block left. Width counts the critic's channels at the finest
resolution. Source: Lee and Town, "Mimicry", arXiv:2005.02494; written from their networks' description.
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from spaces.networks import Mimicry
from trainables.networks.family import Family
from trainables.networks.spectral import spectral_norm

_UP: Mapping[int, tuple[int, ...]] = {
    32: (2, 2, 2, 2),
    48: (8, 4, 2, 1),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
}
"""The generator's channels over the width, from its smallest side up, by resolution."""
_DOWN: Mapping[int, tuple[int, ...]] = {
    32: (1, 1, 1, 1),
    48: (1, 2, 4, 8, 16),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
}
"""The critic's, behind each of its blocks."""
_WHOLE: Mapping[int, int] = {32: 2, 48: 1, 64: 0, 128: 1}
"""How many of the critic's last blocks do not halve the side."""
_POWER_STEPS = 15
"""Of the power iteration that a fresh spectral norm starts from, as in PyTorch."""

Wrap = Callable[[nn.Module], nn.Module]


class UpBlock(nn.Module):
    """(N, in, r, r) -> (N, out, 2r, 2r)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.b1, self.b2 = nn.BatchNorm2d(before), nn.BatchNorm2d(after)
        self.c1, self.c2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.c_sc = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.c1(_twice(F.relu(self.b1(x))))
        h = self.c2(F.relu(self.b2(h)))
        shortcut: Tensor = self.c_sc(_twice(x))
        total: Tensor = h + shortcut
        return total


class DownBlock(nn.Module):
    """(N, in, r, r) -> (N, out, r, r), or half the side where it halves."""

    def __init__(self, before: int, after: int, *, halves: bool, wrap: Wrap) -> None:
        super().__init__()
        self._halves = halves
        self.c1 = wrap(nn.Conv2d(before, before, 3, padding=1))
        self.c2 = wrap(nn.Conv2d(before, after, 3, padding=1))
        self.c_sc = wrap(nn.Conv2d(before, after, 1)) if halves or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)  # before the shortcut too: the original's ReLU writes over its input
        h: Tensor = self.c2(F.relu(self.c1(x))) + self.c_sc(x)
        return F.avg_pool2d(h, 2) if self._halves else h


class FirstBlock(nn.Module):
    """Images (N, 3, R, R) -> (N, out, R / 2, R / 2)."""

    def __init__(self, after: int, wrap: Wrap) -> None:
        super().__init__()
        self.c1, self.c2 = wrap(nn.Conv2d(3, after, 3, padding=1)), wrap(nn.Conv2d(after, after, 3, padding=1))
        self.c_sc = wrap(nn.Conv2d(3, after, 1))

    def forward(self, images: Tensor) -> Tensor:
        h = F.avg_pool2d(self.c2(F.relu(self.c1(images))), 2)
        shortcut: Tensor = self.c_sc(F.avg_pool2d(images, 2))
        return h + shortcut


class MimicryGenerator(nn.Module):
    """z (N, z_dim), standard normal -> images (N, 3, R, R) in [-1, 1]."""

    def __init__(self, network: Mimicry) -> None:
        super().__init__()
        channels = [factor * network.width for factor in _UP[network.resolution]]
        self.z_dim = network.z_dim
        self._smallest = network.resolution >> (len(channels) - 1)
        self.l1 = nn.Linear(network.z_dim, channels[0] * self._smallest**2)
        for number, (before, after) in enumerate(pairwise(channels), 2):
            self.add_module(f"block{number}", UpBlock(before, after))
        self._last = len(channels) + 1
        self.add_module(f"b{self._last}", nn.BatchNorm2d(channels[-1]))
        self.add_module(f"c{self._last}", nn.Conv2d(channels[-1], 3, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        x = self.l1(z).unflatten(1, (-1, self._smallest, self._smallest))  # (N, c, b, b)
        for number in range(2, self._last):
            x = self.get_submodule(f"block{number}")(x)
        x = F.relu(self.get_submodule(f"b{self._last}")(x))
        return torch.tanh(self.get_submodule(f"c{self._last}")(x))


class MimicryDiscriminator(nn.Module):
    """Images (N, 3, R, R) -> logits (N,). No image sees the others of its batch."""

    def __init__(self, network: Mimicry) -> None:
        super().__init__()
        wrap: Wrap = spectral_norm if network.critic == "sngan" else _as_it_is
        channels = [factor * network.width for factor in _DOWN[network.resolution]]
        self.block1 = FirstBlock(channels[0], wrap)
        halving = len(channels) - _WHOLE[network.resolution]
        for number, (before, after) in enumerate(pairwise(channels), 2):
            self.add_module(f"block{number}", DownBlock(before, after, halves=number <= halving, wrap=wrap))
        self._sums = network.critic == "sngan"
        self._last = len(channels) + 1
        self.add_module(f"l{self._last}", wrap(nn.Linear(channels[-1], 1)))

    @property
    def blocks(self) -> list[nn.Module]:
        """From the image side."""
        return [self.get_submodule(f"block{number}") for number in range(1, self._last)]

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for block in self.blocks:
            x = block(x)
        x = F.relu(x).flatten(2)  # (N, c, pixels)
        logits: Tensor = self.get_submodule(f"l{self._last}")(x.sum(2) if self._sums else x.mean(2))  # (N, 1)
        return logits.squeeze(1)


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Glorot's uniform weights, the 3x3 convolutions' of blocks times sqrt(2), as in the original; biases 0, norms the identity.

    A spectral norm's first singular vectors are drawn, and found by as many steps as PyTorch takes.
    """
    strong = {conv for block in module.children() for name, conv in block.named_children() if name in ("c1", "c2")}
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            normed = parametrize.is_parametrized(layer)
            weight = layer.parametrizations.weight.original if normed else layer.weight  # type: ignore[union-attr]
            nn.init.xavier_uniform_(weight, math.sqrt(2) if layer in strong else 1.0, generator=generator)  # type: ignore[arg-type]
            if layer.bias is not None:
                layer.bias.zero_()
            if normed:
                _find_singular_vectors(layer, generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()


def _find_singular_vectors(layer: nn.Module, generator: torch.Generator) -> None:
    for name, vector in layer.named_buffers():
        if name.endswith(("._u", "._v")):
            vector.normal_(generator=generator)
            F.normalize(vector, dim=0, out=vector)
    layer.train()
    for _ in range(_POWER_STEPS):  # in training, each reading of the weight is a step
        assert layer.weight is not None


def stages(discriminator: nn.Module) -> list[list[nn.Module]]:
    """The critic's blocks from the image side; the last linear layer is in none."""
    assert isinstance(discriminator, MimicryDiscriminator), f"{type(discriminator)=}"
    return [[block] for block in discriminator.blocks]


def fields(state: Mapping[str, Tensor]) -> dict[str, int | str]:
    """The fields of the config that the names and shapes of a generator's or a critic's weights give away.

    A critic of 48 pixels has the tensors of one of 64, which it is taken for.
    """
    blocks = {int(match[1]) for name in state if (match := re.search(r"\bblock(\d+)\.c1\.", name))}
    if not blocks:
        return {}
    shape = partial(_shape, state)
    if first := shape("l1.weight"):
        last = shape(f"c{max(blocks) + 1}.weight")
        width = shape("block2.c1.weight")
        if not (last and width):
            return {}
        side = math.isqrt(first[0] // width[1])
        resolution = side << len(blocks)
        return {"z_dim": first[1], "width": last[1] // _UP.get(resolution, (1,))[-1], "resolution": resolution}
    first = shape("block1.c_sc.weight") or shape("block1.c_sc.parametrizations.weight.original")
    if not first:
        return {}
    found: dict[str, int | str] = {"width": first[0], "resolution": {4: 32, 5: 64, 6: 128}.get(len(blocks), 0)}
    if not shape("block1.c_sc.weight"):
        found["critic"] = "sngan"
    return found


def _shape(state: Mapping[str, Tensor], ending: str) -> tuple[int, ...]:
    """Of the one tensor whose name ends so behind no other word; () if there is none."""
    found = next((t for name, t in state.items() if name == ending or name.endswith(f".{ending}")), None)
    return () if found is None else tuple(found.shape)


MIMICRY = Family(
    networks={"generator": MimicryGenerator, "discriminator": MimicryDiscriminator},
    initialise=initialise,
    stages=stages,
    fields=fields,
)
