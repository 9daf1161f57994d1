"""ADA (Karras et al., NeurIPS 2020): augmentation of a strength p that follows how sure the critic is of real images.

The pipe is the paper's "bgc": flips, quarter turns and shifts by whole pixels; scale, rotation, anisotropic scale and
shifts; brightness, contrast, luma flips, hue and saturation. Each acts on each image with probability p. The published
code resamples with wavelets on an enlarged image; here it is one affine warp with bicubic interpolation, which leaves
flips, turns and whole shifts exact, and mirrors the image at its border.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.training.augmentation.transform import Numbers
from trainables.training.parallel import Group

BATCHES = 4
"""Critic batches between two changes of p."""


class Strength(nn.Module):
    """p, and the signs of the critic's logits of real images since it last changed: state of a training."""

    p: Tensor
    signs: Tensor
    batches: Tensor

    def __init__(self, target: float, images: float, rows: int, group: Group) -> None:
        """p rises by one over `images` real images of a critic that is surer than `target`; a batch has `rows` of them."""
        super().__init__()
        self._target, self._group = target, group
        self._step = BATCHES * rows / images
        for name in ("p", "signs", "batches"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def learn(self, real_logits: Tensor) -> None:
        """Take in the logits (N,) of augmented real images of one critic batch, and move p after every BATCHES of them.

        p has no upper limit, as in the published code: above 1 it takes as long to come back as it took to rise.
        """
        self.signs += real_logits.sign().double().mean().cpu()
        self.batches += 1
        if self.batches < BATCHES:
            return
        mean = (self.signs / BATCHES).to(real_logits.device)  # workers on GPUs reach each other from there alone
        self._group.average_([mean])
        self.p.add_(torch.sign(mean.cpu() - self._target) * self._step).clamp_(min=0)
        self.signs.zero_()
        self.batches.zero_()


def draw(p: float, n: int, resolution: int, random: torch.Generator) -> Numbers:
    """What `Bgc` needs for `n` images: which are warped, from where their pixels come, and what becomes of their colours."""
    warp, moved = _warps(p, n, resolution, random)
    colour = _colours(p, n, random)
    return {"moved": moved, "warp": warp, "colour": colour[:, :3, :3], "offset": colour[:, :3, 3, None, None]}


@dataclass(frozen=True)
class Bgc:
    """T for the rows of a batch."""

    numbers: Numbers

    def __call__(self, images: Tensor) -> Tensor:
        """T(x), (N, 3, R, R)."""
        return self.linear(images) + self.numbers["offset"]

    def linear(self, images: Tensor) -> Tensor:
        """T(x) without the brightness that it adds; all else is linear in x."""
        moved, x = self.numbers["moved"], images
        with torch.autocast(x.device.type, enabled=False):  # places need more than bfloat16's three digits
            if moved.any():
                grid = F.affine_grid(self.numbers["warp"][moved], [int(moved.sum()), *x.shape[1:]], align_corners=False)
                warped = F.grid_sample(x[moved], grid, "bicubic", "reflection", align_corners=False)
                x = x.index_put((moved,), warped)
            return torch.einsum("nij,njhw->nihw", self.numbers["colour"], x)


def _warps(p: float, n: int, resolution: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """From each place in the result, in [-1, 1], to where its pixel comes from: (n, 2, 3); and which images move, (n,)."""

    def uniform() -> Tensor:
        return torch.rand(n, generator=random)

    def normal() -> Tensor:
        return torch.randn(n, generator=random)

    def chosen(probability: float = p) -> Tensor:
        return (uniform() < probability).float()

    # a shift by a share of the side is twice as much of [-1, 1]
    mirrored, quarters = 1 - 2 * chosen() * (uniform() < 0.5), chosen() * (4 * uniform()).floor()
    moves = chosen()  # along both axes, or not at all
    whole = [moves * (0.25 * resolution * uniform() - 0.125 * resolution).round() for _ in range(2)]
    scale = torch.exp2(chosen() * 0.2 * normal())
    turned = 1 - math.sqrt(max(0.0, 1 - min(p, 1)))  # before and after the anisotropic scale: p together
    before, stretch = chosen(turned) * (2 * uniform() - 1) * math.pi, torch.exp2(chosen() * 0.2 * normal())
    after, shifted = chosen(turned) * (2 * uniform() - 1) * math.pi, chosen()
    fractions = [shifted * 0.125 * normal() for _ in range(2)]

    one, zero = torch.ones(n), torch.zeros(n)
    warp = _matrix([[mirrored, zero, zero], [zero, one, zero], [zero, zero, one]])
    warp = warp @ _rotation(quarters * math.pi / 2) @ _translation(*(2 * w / resolution for w in whole))
    warp = warp @ _matrix([[1 / scale, zero, zero], [zero, 1 / scale, zero], [zero, zero, one]]) @ _rotation(before)
    warp = warp @ _matrix([[1 / stretch, zero, zero], [zero, stretch, zero], [zero, zero, one]]) @ _rotation(after)
    warp = warp @ _translation(*(2 * f for f in fractions))
    return warp[:, :2], ~torch.isclose(warp, torch.eye(3), atol=1e-6).flatten(1).all(1)


def _colours(p: float, n: int, random: torch.Generator) -> Tensor:
    """What becomes of (red, green, blue, 1) of each image: (n, 4, 4)."""

    def chosen() -> Tensor:
        return (torch.rand(n, generator=random) < p).float()

    def normal() -> Tensor:
        return torch.randn(n, generator=random)

    grey = torch.full((3, 3), 1 / 3)  # onto the axis of greys
    brightness, contrast = chosen() * 0.2 * normal(), torch.exp2(chosen() * 0.5 * normal())
    luma = chosen() * (torch.rand(n, generator=random) < 0.5)
    hue = chosen() * (2 * torch.rand(n, generator=random) - 1) * math.pi
    saturation = torch.exp2(chosen() * normal())

    around = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)  # the cross product with that axis
    cos, sin, luma, saturation = (each[:, None, None] for each in (hue.cos(), hue.sin(), luma, saturation))
    turned = cos * torch.eye(3) + sin * around + (1 - cos) * grey
    of_grey = torch.eye(3) - 2 * luma * grey
    colour = (grey + saturation * (torch.eye(3) - grey)) @ turned @ of_grey * contrast[:, None, None]
    whole = torch.eye(4).repeat(n, 1, 1)
    whole[:, :3, :3] = colour
    whole[:, :3, 3] = (colour @ brightness[:, None].expand(n, 3)[..., None]).squeeze(-1)
    return whole


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _matrix([[cos, -sin, zero], [sin, cos, zero], [zero, zero, zero + 1]])


def _translation(x: Tensor, y: Tensor) -> Tensor:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrix([[one, zero, x], [zero, one, y], [zero, zero, one]])
