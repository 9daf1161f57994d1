"""What StyleGAN2's networks are made of: layers with equalised rates, convolutions by style, and resampling without aliases.

Weights are stored as about N(0, 1) and scaled when they are used, so that Adam moves all of them alike (Karras et al. 2018).
All padding is with zeros. The filter of all resampling is [1, 3, 3, 1] along both sides.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-8
SLOPE = 0.2


class Dense(nn.Module):
    """(N, in) -> (N, out), linear, in float32 whatever autocast says; `rate` is how fast it learns beside other layers."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0) -> None:
        """`bias` is what all biases start at."""
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.rate, self.bias_start = rate, bias

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            bias = self.bias if self.rate == 1 else self.bias * self.rate
            return F.linear(x.float(), self.weight * (self.rate / math.sqrt(self.weight.shape[1])), bias)


class Convolution(nn.Module):
    """A convolution of the critic, or a skip of the generator: (N, in, r, r) -> (N, out, r, r), or r / 2 with `down`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, down: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.down = down
        self.bias_start = 0.0

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """What comes out, the bias included, and all of it times `gain`."""
        kernel = self.weight.shape[-1]
        weight = self.weight * (gain / math.sqrt(self.weight[0].numel()))
        bias = self.bias if self.bias is None or gain == 1 else self.bias * gain
        if not self.down:
            return F.conv2d(x, weight, bias, padding=kernel // 2)
        if kernel == 1:  # every second pixel of what is filtered
            return F.conv2d(smooth(x, padding=1, stride=2), weight, bias)
        return F.conv2d(smooth(x, padding=kernel // 2 + 1), weight, bias, stride=2)


def activated(x: Tensor, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """Leaky ReLU of x, times sqrt(2) and `gain`, held to `clamp` times the gain."""
    x = F.leaky_relu(x, SLOPE) * (math.sqrt(2) * gain)
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def modulated(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool = True, up: bool = False) -> Tensor:
    """Convolve x (N, in, r, r) with the kernel that each sample's style (N, in) makes of `weight` (out, in, k, k).

    That kernel is the weight with its inputs scaled by the style, and with `demodulate` scaled again to an output of unit
    variance. Both scales are taken out of the kernel: x is scaled before one convolution that all samples share, and its
    output behind it. So no convolution has groups, whose derivatives are slow. With `up` the side is doubled.
    """
    x = x * style.to(x.dtype)[:, :, None, None]
    if up:
        # the kernel as it is stored, not turned about
        x = smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), padding=1, gain=4)
    else:
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    if not demodulate:
        return x
    with torch.autocast(x.device.type, enabled=False):
        power = style.float().square() @ weight.square().sum((2, 3)).T  # (N, out)
        scale = (power + EPS).rsqrt()
    return x * scale.to(x.dtype)[:, :, None, None]


def smooth(x: Tensor, *, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
    """Filter every channel of x (N, C, r, r), padded on all sides, and take every `stride`-th pixel; times `gain`."""
    channels = x.shape[1]
    return F.conv2d(x, _filter(channels, gain, x.device, x.dtype), padding=padding, stride=stride, groups=channels)


def double(x: Tensor) -> Tensor:
    """(N, C, r, r) -> (N, C, 2r, 2r): zeros between the pixels, and the filter; a constant stays itself inside."""
    channels = x.shape[1]
    kernel = _filter(channels, 4.0, x.device, x.dtype)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


def _filter(channels: int, gain: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(C, 1, 4, 4), of sum `gain` each; symmetric, so it is the same forwards and backwards."""
    side = 4 - 2 * (torch.arange(4, device=device) - 1.5).abs()  # 1, 3, 3, 1, made where it is used: a copy would wait
    return (torch.outer(side, side) * (gain / 64)).to(dtype).expand(channels, 1, 4, 4)


def normalised(x: Tensor) -> Tensor:
    """Each row of x (N, c) at a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + EPS).rsqrt()


class Mapping(nn.Module):
    """z (N, z_dim), and labels, int64 (N,), of a conditional network -> w (N, w_dim); without z of labels alone.

    Its buffer `w_avg`, where it has one, is the mean of the w of a training.
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, classes: int | None, w_dim: int, layers: int, *, average: bool) -> None:
        super().__init__()
        width = z_dim
        if classes is not None:
            self.embed = Dense(classes, w_dim)
            width += w_dim
        self.layers = layers
        for place in range(layers):
            self.add_module(f"fc{place}", Dense(width if place == 0 else w_dim, w_dim, rate=0.01))
        if average:
            self.register_buffer("w_avg", torch.empty(w_dim))

    def forward(self, z: Tensor | None, labels: Tensor | None = None) -> Tensor:
        parts = [] if z is None else [normalised(z.float())]
        if hasattr(self, "embed"):
            assert labels is not None, "a conditional network takes labels"
            parts.append(normalised(self.embed(F.one_hot(labels, self.embed.weight.shape[1]).float())))
        x = torch.cat(parts, 1)
        for place in range(self.layers):
            x = activated(self.get_submodule(f"fc{place}")(x))
        return x
