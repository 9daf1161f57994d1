"""Images as files hold them, uint8 in [0, 255], and as networks see them, float32 in [-1, 1]."""

import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 (N, 3, R, R) -> float32 in [-1, 1], channels last, on the same device."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """float (N, 3, R, R) in [-1, 1] -> uint8, rounded to the nearest."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
