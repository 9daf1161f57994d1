"""How a critic's gradient in the images depends on its weights: the second derivative that a gradient penalty needs.

Let g be the gradient of the critic's logits in the images, (N, 3, R, R), and u a direction of that shape, held fixed.
What is wanted is the derivative of the scalar sum(u * g) in the weights. PyTorch would get it by backpropagation
through the backward pass that gave g, which takes many slow steps. Here it takes one more sweep forward:

1. sum(u * g) says how fast the sum of the logits changes when the images move along u.
2. When the images move, so does the input of every layer. How it moves is the *tangent* t of that layer, of its
   input's shape. The layer's derivative D, a linear map, makes of it the tangent of the next layer, D t.
3. The gradient of the sum of the logits at a layer's output is the *cotangent* c of that layer, of its output's shape.
   The backward pass that gave g has computed every cotangent on its way.
4. A change of D by dD changes sum(u * g) by sum(c * dD t). D depends on the layer's weights and, where the layer is not
   linear, on its input. So the derivative of sum(c * D t) in these, with t and c held fixed, is the layer's *share*,
   and all layers' shares together are the derivative of sum(u * g). The usual backward pass takes a share in an input
   on to the weights that made that input.

So a `Sweep` carries the tangent through the layers, from the images on, and gathers a share from each that it passes.
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
    """What `norm_relu` leaves behind of one call, for the sweep."""

    x: Tensor
    """The input, (N, C, H, W): a view that only this norm takes, so its cotangent is what comes through the norm."""
    normed: GradientEdge
    """Where the graph passes from the norm to ReLU, to ask for the cotangent there; ReLU has overwritten the values."""
    y: Tensor
    """The output of ReLU, (N, C, H, W): positive where ReLU lets values through."""
    scale: Tensor
    """The norm's weight, (C,), in the precision that the norm was computed with."""
    mean: Tensor
    """Mean of each image of x over (C, H, W), (N, 1)."""
    rstd: Tensor
    """Reciprocal standard deviation, 1 / sqrt(variance + eps), of each image of x over (C, H, W), (N, 1)."""
    eps: float
    """The norm's own constant, so that no variance is 0."""

    def normalised(self) -> Tensor:
        """x_hat = (x - mean) * rstd, the norm's output without scale and shift, (N, C, H, W)."""
        n, c, h, w = self.x.shape
        normalised: Tensor = torch.native_group_norm(self.x.detach(), None, None, n, c, h * w, 1, self.eps)[0]
        return normalised

    def jacobian(self, tangent: Tensor) -> Tensor:
        """J t: how x_hat, which is `normalised`, moves when x moves along t; both are (N, C, H, W).

        J t = rstd * (t - mean(t) - x_hat * mean(t * x_hat)), with means over each image's (C, H, W).
        J is symmetric, so the norm's own backward pass, which multiplies by the transposed J, computes it.
        """
        n, c, h, w = self.x.shape
        only_x = [True, False, False]
        found = _norm_backward(tangent, self.x.detach(), self.mean, self.rstd, None, n, c, h * w, 1, only_x)
        moved: Tensor = found[0]
        return moved


def norm_relu(norm: nn.GroupNorm, x: Tensor, trace: list[NormState] | None = None) -> Tensor:
    """Compute relu(norm(x)) for x (N, C, H, W), of the same shape; the norm has one group, all of (C, H, W).

    What a sweep needs of it is appended to `trace`, if one is given.
    """
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
    """The derivative of sum(u * g), gathered while a tangent passes through the layers; `result` has it in the end.

    Each method takes the tangent before a layer and gives the one behind it. Cotangents are of the shape and precision
    of what they belong to. A sweep runs under `torch.no_grad`.
    """

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._gradients: list[Tensor] = []

    def add(self, tensor: Tensor, gradient: Tensor) -> None:
        """Add a layer's share: the derivative, of the shape of `tensor`, in a weight or in a layer's input."""
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
        """Pass a convolution with the kernel `factor` * `weight`, (O, C, k, k), of the given stride and padding.

        `tangent` is (N, C, H, W); the result, of the precision of `cotangent`, and `cotangent`, at the convolution's
        output, are (N, O, H', W').
        """
        tangent = tangent.to(cotangent.dtype)
        if weight.requires_grad:
            shape = tuple(weight.shape)
            gradient = conv2d_weight(tangent, shape, cotangent, stride, padding)  # (O, C, k, k)
            self.add(weight, gradient if factor == 1 else gradient * factor)
        kernel = weight if factor == 1 else weight * factor
        return F.conv2d(tangent, kernel.to(cotangent.dtype), stride=stride, padding=padding)

    def norm_relu(self, tangent: Tensor, state: NormState, before: Tensor, normed: Tensor) -> Tensor:
        """Pass a `norm_relu` that left `state` behind; all tensors are (N, C, H, W).

        `before` is the cotangent at the norm's input, `normed` the one between norm and ReLU. The norm's scale and its
        input each have a share; ReLU has none, for its derivative is 0 or 1 whatever the weights are.
        """
        scale = state.scale.detach().view(1, -1, 1, 1)  # (1, C, 1, 1)
        t = tangent.to(state.x.dtype)
        moved = state.jacobian(t)  # how the normalised x moves
        behind: Tensor = _mask(moved * scale.to(moved.dtype), state.y, 0)  # through the scale, and through ReLU
        self.add(state.scale, (normed * moved).sum((0, 2, 3)).to(scale.dtype))  # (C,)
        self.add(state.x, _share_of_input(t, state, before, normed, moved))  # last, for it overwrites `moved`
        return behind

    def result(self, value: Tensor) -> Tensor:
        """Give `value`, a scalar without a graph, the gathered derivative: backward passes find it there."""
        result: Tensor = _WithGradients.apply(value, self._gradients, *self._tensors)
        return result


def _share_of_input(t: Tensor, state: NormState, before: Tensor, normed: Tensor, moved: Tensor) -> Tensor:
    """Compute the derivative of sum(normed * scale * J t) in the norm's input x, (N, C, H, W); all tensors are so.

    J depends on x, through x_hat and rstd. Let w = scale * normed. Then J t is `moved`, which is overwritten, J w is
    `before`, and the derivative, with means over each image's (C, H, W), is

        -rstd * (mean(w * x_hat) * J t + mean(t * x_hat) * J w + mean(t * J w) * x_hat)
    """
    _, c, h, w = state.x.shape
    x_hat = state.normalised()  # (N, C, H, W)
    scale = state.scale.detach().view(1, -1, 1, 1)  # (1, C, 1, 1)

    # each image's sums over (C, H, W), (N, 1, 1, 1); `factor` makes means of them
    normed_x_hat = (normed * x_hat).sum((2, 3), keepdim=True)  # (N, C, 1, 1)
    w_x_hat = (scale * normed_x_hat).sum(1, keepdim=True)
    t_x_hat = (t * x_hat).sum((1, 2, 3), keepdim=True)
    t_before = (t * before).sum((1, 2, 3), keepdim=True)

    factor = -state.rstd.float().view(-1, 1, 1, 1) / (c * h * w)  # (N, 1, 1, 1)
    of_moved, of_before, of_x_hat = ((factor * total).to(x_hat.dtype) for total in (w_x_hat, t_x_hat, t_before))
    return moved.mul_(of_moved).addcmul_(before, of_before).addcmul_(x_hat, of_x_hat)


class _WithGradients(Function):
    """A scalar whose gradients in some tensors are known beforehand."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor], *tensors: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(upstream.to(gradient.dtype) * gradient for gradient in ctx.gradients)
