"""DiffAugment (Zhao et al., NeurIPS 2020): the critic judges real and generated images after the same random changes.

Policies, in the order in which they act on images in [-1, 1]: "color" moves brightness by U(-0.5, 0.5), saturation by
U(0, 2) and contrast by U(0.5, 1.5); "translation" moves by whole pixels, an eighth of the side at most; "cutout" covers a
square of half the side, whose centre lies anywhere.

The published code fills what is moved in or covered with zeros, mid grey. Here it is the mean of the image's own border,
which is white on an icon's sheet, so that the critic is shown no edges that no image has.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.training.augmentation.transform import Numbers

COLOR, TRANSLATION, CUTOUT = "color", "translation", "cutout"


def draw(policies: Collection[str], n: int, resolution: int, random: torch.Generator) -> Numbers:
    """What `DiffAugment` needs for `n` images of so many pixels a side."""
    found: dict[str, Tensor] = {}
    if COLOR in policies:
        brightness, saturation, contrast = torch.rand(3, n, 1, 1, 1, generator=random)
        found |= {"brightness": brightness - 0.5, "saturation": 2 * saturation, "contrast": contrast + 0.5}
    if TRANSLATION in policies:
        most = round(resolution / 8)
        found["shift"] = torch.randint(-most, most + 1, (n, 2), generator=random)
    if CUTOUT in policies:
        found["centre"] = torch.randint(0, resolution + 1, (n, 2), generator=random)
    return found


@dataclass(frozen=True)
class DiffAugment:
    """T for the rows of a batch: it does what `numbers` holds something for."""

    numbers: Numbers

    def __call__(self, images: Tensor) -> Tensor:
        """T(x), (N, 3, R, R)."""
        brightness = self.numbers.get("brightness")
        return self.linear(images if brightness is None else images + brightness)

    def linear(self, images: Tensor) -> Tensor:
        """T(x) without the brightness that it adds; all else is linear in x."""
        x, numbers = images, self.numbers
        if "saturation" in numbers:
            grey = x.mean(1, keepdim=True)
            x = torch.lerp(grey, x, numbers["saturation"])
            x = torch.lerp(x.mean((1, 2, 3), keepdim=True), x, numbers["contrast"])
        if "shift" not in numbers and "centre" not in numbers:
            return x
        fill = _border(x)
        x = x - fill
        if "shift" in numbers:
            x = _shifted(x, numbers["shift"])
        if "centre" in numbers:
            x = x * _outside(numbers["centre"], x.shape[-1])
        return x + fill


def _border(images: Tensor) -> Tensor:
    """The mean of each image's outermost pixels, (N, 3, 1, 1)."""
    edges = [images[..., 0, :], images[..., -1, :], images[..., 1:-1, 0], images[..., 1:-1, -1]]
    return torch.cat(edges, -1).mean(-1)[..., None, None]


def _shifted(images: Tensor, shift: Tensor) -> Tensor:
    """Each image moved by (down, right) pixels, (N, 2), with zeros where nothing comes from."""
    n, channels, side, _ = images.shape
    places = (
        torch.arange(side, device=images.device) - shift[..., None]
    )  # (N, 2, R): where each row and column comes from
    there = ((places >= 0) & (places < side)).to(images.dtype)
    rows, columns = places.clamp(0, side - 1).unbind(1)
    x = images.gather(2, rows[:, None, :, None].expand(n, channels, side, side))
    x = x.gather(3, columns[:, None, None, :].expand(n, channels, side, side))
    return x * (there[:, 0, None, :, None] * there[:, 1, None, None, :])


def _outside(centre: Tensor, side: int) -> Tensor:
    """1 outside of the square of half the side around each centre (row, column), (N, 2), and 0 inside: (N, 1, R, R)."""
    distance = torch.arange(side, device=centre.device) - centre[..., None]  # (N, 2, R)
    inside = (distance >= -side // 4) & (distance < side // 4)
    return 1 - (inside[:, 0, None, :, None] & inside[:, 1, None, None, :]).float()
