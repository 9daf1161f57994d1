"""How a critic's gradient in the images depends on its weights: the second derivative that a gradient penalty needs.

Let g be the logits' gradient in the images and u a direction. sum(u . g) is the logits' derivative along u, and so
c_l . D_l t_l for every layer l: D_l its derivative, the tangent t_l how its input moves when the images move along u, the
cotangent c_l the logits' gradient at its output. With u held fixed, the derivative of sum(u . g) in the weights is the sum
over the layers of that of c_l . D_l t_l, with c_l and t_l held fixed.

The backward pass that gave g has given the cotangents. So one sweep of tangents, in which every layer adds its share, does
it: nothing is backpropagated through a backward pass, of which PyTorch makes many slow steps.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

_norm_backward = torch.ops.aten.native_group_norm_backward
_mask = torch.ops.aten.threshold_backward


class NormState(NamedTuple):
    """What `norm_relu` leaves behind for the sweep."""

    x: Tensor
    """Its input, (N, C, H, W), that nothing else takes: its cotangent is what comes through the norm."""
    normed: GradientEdge
    """Where the graph passes from the norm to ReLU, which overwrites what was there."""
    y: Tensor
    """The output after ReLU: which entries are on."""
    scale: Tensor
    """(C,), the norm's weight."""
    mean: Tensor
    rstd: Tensor
    """(N, 1) each; rstd = 1 / sqrt(variance + eps)."""
    eps: float


def norm_relu(norm: nn.GroupNorm, x: Tensor, trace: list[NormState] | None = None) -> Tensor:
    """relu(norm(x)) for (N, C, H, W), normalised over (C, H, W); its state is appended to `trace`, if one is given."""
    scale: Tensor = norm.weight
    shift: Tensor = norm.bias
    if x.device.type != "cpu":  # there the kernel wants one precision for all
        scale, shift = scale.to(x.dtype), shift.to(x.dtype)
    if trace is not None:
        x = x.view_as(x)
    n, c, h, w = x.shape
    y, mean, rstd = torch.native_group_norm(x, scale, shift, n, c, h * w, 1, norm.eps)
    if trace is None:
        return y.relu_()
    normed = get_gradient_edge(y)
    y = y.relu_()
    trace.append(NormState(x, normed, y.detach(), scale, mean.detach(), rstd.detach(), norm.eps))
    return y


class Sweep:
    """The derivative of sum(u . g), gathered while a tangent passes through the layers: `result` has it.

    Cotangents are of the shape and precision of what they belong to. Runs under `torch.no_grad`.
    """

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._gradients: list[Tensor] = []

    def add(self, tensor: Tensor, gradient: Tensor) -> None:
        """A layer's share: the derivative in a weight, or in an activation that depends on weights."""
        if tensor.requires_grad:
            self._tensors.append(tensor)
            self._gradients.append(gradient)

    def convolve(
        self,
        tangent: Tensor,
        weight: Tensor,
        cotangent: Tensor,
        *,
        factor: float = 1,
        stride: int = 1,
        padding: int = 0,
    ) -> Tensor:
        """The tangent behind a convolution with `factor` * `weight`, given the cotangent there."""
        tangent = tangent.to(cotangent.dtype)
        if weight.requires_grad:
            shape = tuple(weight.shape)
            gradient = conv2d_weight(tangent, shape, cotangent, stride, padding)
            self.add(weight, gradient if factor == 1 else gradient * factor)
        kernel = weight if factor == 1 else weight * factor
        return F.conv2d(tangent, kernel.to(cotangent.dtype), stride=stride, padding=padding)

    def norm_relu(self, tangent: Tensor, state: NormState, before: Tensor, normed: Tensor) -> Tensor:
        """The tangent behind `norm_relu`, given the cotangents before the norm and between norm and ReLU.

        J = rstd (1 - mean_k - x_ mean_k(x_ .)) with x_ = (x - mean) rstd, means over k = CHW, is symmetric: so the kernel of
        the norm's own backward pass computes a = J t, and the tangent is scale * a where y is on. With w = scale * normed, the
        cotangent before is b = J w, and the derivative in x is -rstd (mean(w x_) a + mean(t x_) b + mean(t b) x_).
        """
        x, scale = state.x.detach(), state.scale.detach().view(1, -1, 1, 1)
        n, c, h, w = x.shape
        t = tangent.to(x.dtype)
        a = _norm_backward(t, x, state.mean, state.rstd, None, n, c, h * w, 1, [True, False, False])[0]
        behind: Tensor = _mask(a * scale.to(a.dtype), state.y, 0)
        self.add(state.scale, (normed * a).sum((0, 2, 3)).to(scale.dtype))
        x_ = torch.native_group_norm(x, None, None, n, c, h * w, 1, state.eps)[0]
        minus_r = -state.rstd.float().view(-1, 1, 1, 1) / (c * h * w)
        w_x = (scale * (normed * x_).sum((2, 3), keepdim=True)).sum(1, keepdim=True)
        t_x, t_b = ((t * other).sum((1, 2, 3), keepdim=True) for other in (x_, before))
        factors = ((minus_r * mean).to(x.dtype) for mean in (w_x, t_x, t_b))
        dx = a.mul_(next(factors)).addcmul_(before, next(factors)).addcmul_(x_, next(factors))
        self.add(state.x, dx)
        return behind

    def result(self, value: Tensor) -> Tensor:
        """`value`, a scalar, with the gathered derivative."""
        result: Tensor = _WithGradients.apply(value, self._gradients, *self._tensors)
        return result


class _WithGradients(Function):
    """A scalar whose gradients are known."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor], *tensors: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(upstream.to(gradient.dtype) * gradient for gradient in ctx.gradients)
