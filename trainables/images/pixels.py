"""The two forms of images, each made of the other: uint8 in [0, 255] in files, float32 in [-1, 1] in networks."""

import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 images (N, 3, R, R) to float32 in [-1, 1] of the same shape and device, channels last in memory."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Convert float images (N, 3, R, R) in [-1, 1] to uint8 of the same shape and device, rounded to the nearest."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
