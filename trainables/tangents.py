"""Layer norm and ReLU with their tangent: how the output moves when the input does, itself open to backpropagation.

That is what a gradient penalty needs. Backpropagating through a backward pass gives the same numbers, but PyTorch takes
both the norm's and the convolutions' second derivatives apart into many slow steps.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

_norm_backward = torch.ops.aten.native_group_norm_backward
_mask = torch.ops.aten.threshold_backward


class NormState(NamedTuple):
    """What a norm left behind for its tangent."""

    x: Tensor
    """Its input, (N, C, H, W), in the graph of the images."""
    scale: Tensor
    """(C,), the norm's weight."""
    y: Tensor
    """Its output after ReLU: which entries are on."""
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
    n, c, h, w = x.shape
    y, mean, rstd = torch.native_group_norm(x, scale, shift, n, c, h * w, 1, norm.eps)
    y = y.relu_()
    if trace is not None:
        trace.append(NormState(x, scale, y.detach(), mean.detach(), rstd.detach(), norm.eps))
    return y


def norm_relu_tangent(tangent: Tensor, state: NormState) -> Tensor:
    """d relu(norm(x)) / dx . tangent, (N, C, H, W), differentiable in the tangent, in x and in the norm's scale."""
    result: Tensor = _NormReluTangent.apply(tangent.to(state.x.dtype), *state)
    return result


class _NormReluTangent(Function):
    """s = on * scale * J t with J = rstd (1 - mean_k - x_ mean_k(x_ .)), where x_ = (x - mean) rstd, means over k = CHW.

    J is symmetric: so the kernel of the norm's own backward pass computes J t. With w = on * scale * ds, a = J t and
    b = J w, the derivative in x is -rstd (mean(w x_) a + mean(t x_) b + mean(t b) x_), and the one in t is b.
    """

    @staticmethod
    def forward(
        ctx: Any, t: Tensor, x: Tensor, scale: Tensor, y: Tensor, mean: Tensor, rstd: Tensor, eps: float
    ) -> Tensor:
        ctx.eps = eps
        a = _through_norm(t, x, mean, rstd, None)
        ctx.save_for_backward(t, x, scale, y, mean, rstd, a)
        tangent: Tensor = _mask(a * _over_channels(scale).to(a.dtype), y, 0)
        return tangent

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, ds: Tensor) -> tuple[Tensor | None, ...]:
        t, x, scale, y, mean, rstd, a = ctx.saved_tensors
        on = _mask(ds, y, 0)
        b = _through_norm(on, x, mean, rstd, scale)
        d_scale = (on * a).sum((0, 2, 3)).to(scale.dtype) if ctx.needs_input_grad[2] else None
        if not ctx.needs_input_grad[1]:
            return b, None, d_scale, None, None, None, None
        n, c, h, w = x.shape
        x_ = torch.native_group_norm(x, None, None, n, c, h * w, 1, ctx.eps)[0]
        minus_r = -rstd.float().view(-1, 1, 1, 1) / (c * h * w)
        w_x = (_over_channels(scale) * (on * x_).sum((2, 3), keepdim=True)).sum(1, keepdim=True)
        t_x, t_b = ((t * other).sum((1, 2, 3), keepdim=True) for other in (x_, b))
        dx = a * (minus_r * w_x).to(x.dtype)
        dx += b * (minus_r * t_x).to(x.dtype)
        dx += x_.mul_((minus_r * t_b).to(x.dtype))
        return b, dx, d_scale, None, None, None, None


def _through_norm(tangent: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor | None) -> Tensor:
    """J (scale * tangent)."""
    n, c, h, w = x.shape
    result: Tensor = _norm_backward(tangent, x, mean, rstd, scale, n, c, h * w, 1, [True, False, False])[0]
    return result


def _over_channels(scale: Tensor) -> Tensor:
    return scale.view(1, -1, 1, 1)
