"""Which values of a few positive scales are weighed against each other: close where their weight lies, and nowhere else.

A sum over a grid stands for the integral over the scales. Where the grid is wide beside the weight, one value gets all of
it, and that one can be off by half the grid's step: intervals come out as much too wide or too narrow. So the grid is laid
closer, axis by axis, until several values of each have weight.
"""

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Axes = tuple[tuple[float, ...], ...]
"""Of each scale the values, even in logs, from low to high; all combinations are weighed."""

_WEIGHT = 0.005
"""The share of the whole from which on a value has weight."""
_WANTED = 5
"""Values of an axis with weight."""
_CLOSEST = 1.05
"""The ratio of neighbours from which on an axis is close enough, however few have weight."""
_BOUNDS = (0.05, 0.95)


def combinations(axes: Axes) -> Floats:
    """(all, scales), the last axis fastest."""
    return np.array(list(product(*axes)))


def closer(axes: Axes, weights: Floats) -> Axes | None:
    """The axes, cut to where `weights` (all,) lie, with a value between any two where too few have weight; None where no axis
    needs that.
    """
    found = tuple(_closer(np.array(axis), share) for axis, share in zip(axes, _marginals(axes, weights), strict=True))
    grew = any(
        len(new) > 1 and new[1] / new[0] < 0.999 * axis[1] / axis[0] for new, axis in zip(found, axes, strict=True)
    )
    return found if grew else None


def _closer(axis: Floats, share: Floats) -> tuple[float, ...]:
    there = np.flatnonzero(share >= _WEIGHT)
    low, high = max(there[0] - 1, 0), min(there[-1] + 1, len(axis) - 1)  # the weight may reach towards its neighbours
    cut = axis[low : high + 1]
    if len(there) >= _WANTED or len(cut) == 1 or cut[1] / cut[0] <= _CLOSEST:
        return tuple(cut.tolist())
    return tuple(np.geomspace(cut[0], cut[-1], 2 * len(cut) - 1).tolist())


def few(axes: Axes, weights: Floats) -> Axes:
    """Three values of each axis, even in logs, between the bounds that hold 90 % of its weight; for one who asks often."""
    found = []
    for axis, share in zip(axes, _marginals(axes, weights), strict=True):
        low, high = np.interp(_BOUNDS, share.cumsum() - share / 2, np.log(axis))
        found.append(tuple(np.exp(np.linspace(low, high, 3 if high - low > 1e-6 else 1)).tolist()))
    return tuple(found)


def _marginals(axes: Axes, weights: Floats) -> Sequence[Floats]:
    """Of each axis the share of the whole weight at each value."""
    sizes = [len(axis) for axis in axes]
    assert len(weights) == prod(sizes), f"{sizes=} {len(weights)=}"
    cube = weights.reshape(sizes) / weights.sum()
    return [cube.sum(tuple(other for other in range(len(sizes)) if other != own)) for own in range(len(sizes))]
