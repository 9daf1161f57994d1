"""Whether a generator copies its training images, from distances to the nearest of them."""

import math
from collections.abc import Sequence

import numpy as np


def share_nearer(samples: Sequence[float], held_out: Sequence[float]) -> float:
    """The share of all pairs in which the sample lies nearer to a training image than the held-out image does to any.

    The Mann-Whitney statistic over the number of pairs; ties count half. About 0.5 where samples are like unseen real
    images, near 1 where they are copies (Meehan, Chaudhuri and Dasgupta, AISTATS 2020, arXiv:2004.05675, section 3).
    """
    ours, theirs = np.asarray(samples, float)[:, None], np.asarray(held_out, float)[None]
    return float(((ours < theirs) + 0.5 * (ours == theirs)).mean())


def copies_in_words(rate: float, floor: float, rate_error: float, floor_error: float) -> str:
    """What a copy rate says beside that of held-out images, its floor: each with its interval of two standard errors."""
    shown = [
        f"{value:.1%} ({max(0.0, value - 2 * error):.1%} to {min(1.0, value + 2 * error):.1%})"
        for value, error in ((rate, rate_error), (floor, floor_error))
    ]
    more = rate - floor > 2 * math.hypot(rate_error, floor_error)
    verdict = "more than chance: look at them" if more else "no more than chance gives"
    return f"Copy rate: {shown[0]} of its samples count as copies, {shown[1]} of held-out real images do; {verdict}."
