"""A walk through z: from one image to the next and back to the first, by images between.

Between two z lies the arc of a great circle, with the lengths between theirs (slerp; White, arXiv:1609.04468). Standard normal
z of d numbers are nearly all about sqrt(d) long. On the straight line the middle is shorter by a factor of about 0.7, where a
generator was hardly ever trained: a walk would be truncated in the middle of each step.
"""

from pathlib import Path

import torch
from torch import Tensor

from spaces.errors import UserError
from trainables.images.samples import Samples
from trainables.methods.registry import class_number, open_z_sampler
from trainables.networks.sampling import SAMPLES, draw_inputs, images_of
from trainables.networks.truncation import check_truncation

STOPS = 8
"""How many z a walk leads by, unless the user says."""
MOST_IMAGES = 10_000


def walk(
    path: Path, stops: int | None, steps: int, seed: int, label: str | None = None, truncation: float = 1.0
) -> Samples:
    """Images of a closed walk by the first `stops` z that `seed` draws: each, then `steps` - 1 on the way to the next.

    All are of the class `label`, or of the first class that the seed draws where none is given. UserError if the model at
    `path` has no z, or not that class, or if the images would be more than MOST_IMAGES.
    """
    stops = stops or STOPS
    if stops * steps > MOST_IMAGES:
        raise UserError(
            f"{stops:,} images and {steps:,} steps are a walk of {stops * steps:,}; at most {MOST_IMAGES:,}"
        )
    check_truncation(truncation)
    sampler = open_z_sampler(path)
    number = class_number(sampler, label)
    z, *labels = draw_inputs(sampler.generator, stops, SAMPLES, seed)
    z = way_through(z, steps)
    same = labels[0][:1] if number is None and labels else torch.tensor([number or 0], device=z.device)
    return images_of(sampler.generator, z, same.expand(len(z)) if labels else None, truncation)


def way_through(z: Tensor, steps: int) -> Tensor:
    """z (N, d) with `steps` - 1 between each and the next, the first again after the last: (N * steps, d)."""
    shares = torch.arange(steps, dtype=z.dtype, device=z.device) / steps
    return torch.cat([slerp(one, other, shares) for one, other in zip(z, z.roll(-1, 0), strict=True)])


def slerp(one: Tensor, other: Tensor, shares: Tensor) -> Tensor:
    """Vectors (n, d) on the way from `one` (d,) to `other` (d,), at `shares` (n,) in [0, 1] of the angle and the length."""
    lengths = one.norm(), other.norm()
    start, end = one / lengths[0], other / lengths[1]
    angle = torch.arccos((start @ end).clamp(-1, 1))
    shares = shares[:, None]
    length = torch.lerp(lengths[0].expand_as(shares), lengths[1].expand_as(shares), shares)
    way: Tensor = ((1 - shares) * angle).sin() * start + (shares * angle).sin() * end  # (n, d)
    if angle.sin() < 1e-4:  # one direction, or two opposite ones, between which no great circle is the shortest
        return (1 - shares) * one + shares * other
    return way * (length / angle.sin())
