"""PyTorch's spectral norm, made at once: on the meta device, where networks are built first, its steps take a second a critic."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization


class _AtOnce(_SpectralNorm):
    """Takes no steps towards the singular vectors of a weight that has no numbers."""

    @torch.autograd.no_grad()
    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        if not weight_mat.is_meta:
            super()._power_method(weight_mat, n_power_iterations)


def spectral_norm(layer: nn.Module) -> nn.Module:
    """The layer, its weight divided by the largest singular value, of which each reading in training is a step of finding it."""
    weight = layer.weight
    assert isinstance(weight, Tensor), f"{type(weight)=}"
    register_parametrization(layer, "weight", _AtOnce(weight))
    return layer
