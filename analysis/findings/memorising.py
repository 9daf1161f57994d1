"""Whether a generator copies its training images, from distances to the nearest of them."""

from collections.abc import Sequence

import numpy as np


def share_nearer(samples: Sequence[float], held_out: Sequence[float]) -> float:
    """The share of all pairs in which the sample lies nearer to a training image than the held-out image does to any.

    The Mann-Whitney statistic over the number of pairs; ties count half. About 0.5 where samples are like unseen real
    images, near 1 where they are copies (Meehan, Chaudhuri and Dasgupta, AISTATS 2020, arXiv:2004.05675, section 3).
    """
    ours, theirs = np.asarray(samples, float)[:, None], np.asarray(held_out, float)[None]
    return float(((ours < theirs) + 0.5 * (ours == theirs)).mean())
