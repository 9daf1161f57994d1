"""What the rest of the code needs to know of a family of networks; `families.FAMILIES` has them all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Family:
    """A kind of network with a config of its own.

    A generator has `z_dim` and maps z, float (N, z_dim), to images, float (N, 3, R, R) in [-1, 1]. A critic maps such images
    to logits, float (N,), higher for more real; it may bring an `input_gradient` of its own (see `training.losses`). Where
    the config has `classes`, the generator takes labels beside z and has their `prior`, and the critic has `judge`. A
    generator that maps z to w takes `truncation`, a number or a tensor of none, by name (see `networks.truncation`).
    """

    networks: Mapping[str, Callable[[Any], nn.Module]]
    """By name, what makes the network out of its config: "generator" and "discriminator"."""
    initialise: Callable[[nn.Module, torch.Generator], None]
    """Give every layer of a network on the CPU its first weights, drawn from the generator of numbers alone."""
    stages: Callable[[nn.Module], Sequence[Sequence[nn.Module]]] = lambda critic: ()
    """A critic's stages from the image side, as FreezeD counts them; the last layer is in none, as it always trains. None of
    networks that no source brings."""
    fields: Callable[[Mapping[str, Tensor]], Mapping[str, int | str]] = lambda state: {}
    """The fields of the config that names and shapes of a network's tensors give away; none where no file of others is read."""
    critic_sees_batch: bool = False
    """Whether the critic normalises over its batch: then it is shown real and generated images apart, and has no
    gradient of one image that a penalty could be of."""
    penalised_together: bool = False
    """Whether such a critic is penalised all the same, by the gradient of its batch's logits together."""
    layers: Callable[[nn.Module], Sequence[nn.Module]] | None = None
    """A critic's layers one by one, as NVIDIA's `--freezed` counts them; the last one is not among them."""
    bounded: bool = True
    """Whether images end in [-1, 1], as by a tanh; others may leave it, and are cut off there when they are drawn."""
    settings: Callable[[Any], Mapping[str, Any]] = lambda network: {}
    """Of a config, what training takes for such networks unless it is told otherwise: config fields by path."""
