"""One encoder-decoder for DAGAN, MatchingGAN and F2GAN, and the critics that they have: K images of a class to one more of it.

Blocks are the WGAN-GP ResNet's. Norms are of each image alone, in the generator too: nothing depends on the batch, in training
as in sampling. The papers have batch norm there, with statistics of the sampled batch.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.networks import Fusion, Resnet
from trainables.networks import mimicry, resnet
from trainables.networks.family import Family
from trainables.networks.resnet import CHANNELS, SMALLEST, Discriminator, DownBlock, UpBlock, channels_of
from trainables.networks.spectral import spectral_norm

PLANES = (8, 4, 2)
"""Planes of noise beside the maps of the decoder's first stages (DAGAN's)."""
Drop = Callable[[Tensor], Tensor]
"""Puts some numbers of a map to 0 in training."""


class Fused(NamedTuple):
    """What a generator makes of sets of K images."""

    images: Tensor
    """(N, 3, R, R) in [-1, 1]."""
    weights: Tensor
    """(N, K), on the simplex: how much of each went in."""
    code: Tensor
    """(N, c, 4, 4): the weighted sum of what the encoder made of each."""


def weighted(maps: Tensor, weights: Tensor) -> Tensor:
    """Sums of K maps each, (N, K, ...), by weights (N, K): (N, ...)."""
    return torch.einsum("nk...,nk->n...", maps, weights)


class Encoder(nn.Module):
    """Images (N, 3, R, R) -> maps at R / 2, R / 4, ..., 4 pixels, the finest first."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.from_rgb = nn.Conv2d(CHANNELS, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(channels))

    def forward(self, images: Tensor, drop: Drop | None = None) -> list[Tensor]:
        x, maps = self.from_rgb(images), list[Tensor]()
        for block in self.blocks:
            x = block(x) if drop is None else drop(block(x))
            maps.append(x)
        return maps


class NonLocalFilling(nn.Module):
    """Each place of the decoder attends to all places of each image's map in the encoder; F2GAN's, with K free.

    Queries are the decoder's, keys and values the encoder's; what is read of image k weighs as k does. It starts at 0, is
    added to the weighted sum of the maps where these are `kept`, and put beside the decoder's map: (N, c, h, w),
    (N, K, e, h, w), (N, K) -> (N, c + e, h, w). The paper's code asks from the encoder, with networks of its own for each k.
    """

    def __init__(self, channels: int, encoded: int, kept: bool) -> None:
        super().__init__()
        self.kept = kept
        inner = max(1, encoded // 8)
        self.query, self.key = nn.Conv2d(channels, inner, 1), nn.Conv2d(encoded, inner, 1)
        self.value = nn.Conv2d(encoded, encoded, 1)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, maps: Tensor, weights: Tensor) -> Tensor:
        n, shots = maps.shape[:2]
        flat = maps.flatten(0, 1)
        queries = self.query(x).flatten(2).transpose(1, 2)[:, None]  # (N, 1, places, inner)
        keys = self.key(flat).flatten(2).unflatten(0, (n, shots))  # (N, K, inner, places')
        values = self.value(flat).flatten(2).unflatten(0, (n, shots)).transpose(2, 3)  # (N, K, places', e)
        read = weighted((queries @ keys).softmax(-1) @ values, weights)  # (N, places, e)
        filled = self.strength * read.transpose(1, 2).unflatten(2, x.shape[2:])
        if self.kept:
            filled = filled + weighted(maps, weights)
        return torch.cat([x, filled], 1)


class FusionGenerator(nn.Module):
    """Sets of K images (N, K, 3, R, R), their weights (N, K) and noise z (N, z_dim) -> what is `Fused`.

    Weights are None where the network finds them by matching, and z where it takes none. K is free.
    """

    def __init__(self, network: Fusion) -> None:
        super().__init__()
        self.network = network
        channels = channels_of(network)  # from the image side
        up = channels[::-1]
        finds = network.weights == "matching"
        planes = PLANES if network.z_dim and not finds else ()
        self.encoder = Encoder(channels)
        self.matching = nn.Linear(network.z_dim, channels[-1] * SMALLEST**2) if finds else None
        self.planes = nn.ModuleList(
            nn.Linear(network.z_dim, count * (SMALLEST << stage) ** 2)
            for stage, count in enumerate(planes[: len(up) - 1])
        )
        self.fillings = nn.ModuleList(
            NonLocalFilling(up[stage], up[stage], network.kept) for stage in ((1, 2) if network.attention else ())
        )
        self.blocks = nn.ModuleList()
        for stage, (before, after) in enumerate(pairwise(up)):
            beside = planes[stage] if stage < len(planes) else 0
            beside += before * (stage > 0) * network.skips + before * (stage in (1, 2)) * network.attention
            self.blocks.append(UpBlock(before + beside, after, partial(nn.GroupNorm, 1)))
        self.norm = nn.GroupNorm(1, channels[0])
        self.to_rgb = nn.Conv2d(channels[0], CHANNELS, 3, padding=1)

    def forward(self, shots: Tensor, weights: Tensor | None, z: Tensor | None, drop: Drop | None = None) -> Fused:
        n, k = shots.shape[:2]
        maps = [each.unflatten(0, (n, k)) for each in self.encoder(shots.flatten(0, 1), drop)][::-1]
        if self.matching is not None:
            weights = self._matched(maps[0], z)
        assert weights is not None, f"{self.network.weights=} are drawn, and none are given"
        x = code = weighted(maps[0], weights)
        for stage, block in enumerate(self.blocks):
            parts = [x]
            if stage and self.network.skips:
                parts.append(weighted(maps[stage], weights))
            if stage < len(self.planes):
                side = SMALLEST << stage
                parts.append(self.planes[stage](z).unflatten(1, (-1, side, side)))
            if stage in (1, 2) and self.network.attention:
                parts[0] = self.fillings[stage - 1](x, maps[stage], weights)
            x = block(torch.cat(parts, 1))
        images = torch.tanh(self.to_rgb(F.relu(self.norm(x))))
        return Fused(images, weights, code)

    def _matched(self, codes: Tensor, z: Tensor | None) -> Tensor:
        """softmax over k of <v, e_k> / |e_k|, v of the noise, e_k the codes (N, K, c, 4, 4)."""
        assert self.matching is not None and z is not None, "weights by matching take noise"
        flat = F.normalize(codes.flatten(2), dim=2)
        return torch.einsum("nkd,nd->nk", flat, self.matching(z)).softmax(1)


class PairCritic(Discriminator):
    """Images beside another one of their class, (N, 6, R, R) -> logits (N,); DAGAN's, whose real pairs are two images."""

    def __init__(self, network: Fusion) -> None:
        super().__init__(Resnet(resolution=network.resolution, width=network.width))
        self.from_rgb = nn.Conv2d(2 * CHANNELS, network.width, 3, padding=1)


class SetCritic(nn.Module):
    """Images (N, 3, R, R) -> maps of features (N, c, 4, 4), of which it judges by heads; with spectral norm.

    `regressor` says of features which weights an image was made with.
    """

    def __init__(self, network: Fusion) -> None:
        super().__init__()
        channels = channels_of(network)
        self.block1 = mimicry.FirstBlock(channels[1], spectral_norm)
        for number, (before, after) in enumerate(pairwise(channels[1:]), 2):
            self.add_module(f"block{number}", mimicry.DownBlock(before, after, halves=True, wrap=spectral_norm))
        self._blocks = len(channels) - 1
        self.to_logit = spectral_norm(nn.Linear(channels[-1], 1))
        self.to_class = spectral_norm(nn.Linear(channels[-1], network.seen or 1))
        self.regressor = WeightRegressor(channels[-1])

    def features(self, images: Tensor) -> Tensor:
        """(N, c, 4, 4)."""
        x = images
        for number in range(1, self._blocks + 1):
            x = self.get_submodule(f"block{number}")(x)
        return x

    def logits(self, features: Tensor) -> Tensor:
        """How real, (N,)."""
        logits: Tensor = self.to_logit(pooled(features))
        return logits.squeeze(1)

    def classes(self, features: Tensor) -> Tensor:
        """Logits of the seen classes, (N, seen)."""
        logits: Tensor = self.to_class(pooled(features))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.features(images))


class WeightRegressor(nn.Module):
    """Features of K images (N, K, c, 4, 4) and of what they were fused to (N, c, 4, 4) -> weights (N, K), on the simplex."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden, self.score = nn.Linear(2 * channels, channels), nn.Linear(channels, 1, bias=False)

    def forward(self, shots: Tensor, fused: Tensor) -> Tensor:
        n, k = shots.shape[:2]
        both = torch.cat(
            [pooled(shots.flatten(0, 1)).unflatten(0, (n, k)), pooled(fused)[:, None].expand(-1, k, -1)], 2
        )
        scores: Tensor = self.score(F.relu(self.hidden(both)))
        return scores.squeeze(2).softmax(1)


def pooled(features: Tensor) -> Tensor:
    """Means of rectified maps, (N, c, h, w) -> (N, c)."""
    return F.relu(features).mean((2, 3))


def _critic(network: Fusion) -> nn.Module:
    return PairCritic(network) if network.seen is None else SetCritic(network)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """As the networks whose blocks they are made of; what is filled in starts at 0."""
    (mimicry if isinstance(module, SetCritic) else resnet).initialise(module, generator)
    for layer in module.modules():
        if isinstance(layer, NonLocalFilling):
            layer.strength.zero_()


FUSION = Family(
    networks={"generator": FusionGenerator, "discriminator": _critic},
    initialise=initialise,
)
"""Nothing is grafted from it, and no file of others is read as one."""
