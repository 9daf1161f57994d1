"""How many samples are copies: nearer to an image that was trained on than real images that were not."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spaces.counts import plural
from spaces.errors import UserError
from spaces.protocol import IwProtocol
from trainables.metrics.iw import MIN_IMAGES, Estimate, folds, jackknife_error
from trainables.metrics.manifolds import squared_distances

NEAR = 0.01
"""The share of unseen real images that lie nearer to a training image than what counts as a copy."""


def copy_rate(
    samples: NDArray[np.floating],
    held_out: NDArray[np.floating],
    trained: NDArray[np.floating],
    protocol: IwProtocol,
) -> tuple[Estimate, Estimate]:
    """The share of `samples` (m, d) nearer to one of `trained` (k, d) than 1 % of `held_out` (n, d) are; and its floor.

    All are features. For each fold, a sample or held-out image counts if it lies nearer to its nearest training image than
    the 1st percentile of the held-out images of all other folds: the floor is the share of held-out images themselves,
    about 0.01, and more where they are few (about 1 / n). Copies alone give 1. Distances are Euclidean, in float64. For a
    trial that mirrors images `trained` must have their mirror images too: features tell many photos from their own.

    The standard errors are the delete-a-fold jackknife's over folds of both: of draws of samples and held-out images, the
    training images as they are. UserError for fewer than 4 samples or held-out images, or for no training image.
    """
    if min(len(samples), len(held_out)) < MIN_IMAGES or not len(trained):
        raise UserError(
            f"copy_rate: {plural(len(samples), 'sample')}, {len(held_out)} held-out and "
            f"{plural(len(trained), 'training image')}; it needs {MIN_IMAGES}, {MIN_IMAGES} and 1 at least"
        )
    count = min(protocol.folds, len(samples), len(held_out))
    near = _nearest(samples, trained), _nearest(held_out, trained)
    fold = folds(len(samples), count, protocol.seed), folds(len(held_out), count, protocol.seed)
    shares = np.array([_shares(near, fold, [k for k in range(count) if k != left_out]) for left_out in range(count)])
    value, floor = _shares(near, fold, range(count))
    return Estimate(value, jackknife_error(shares[:, 0])), Estimate(floor, jackknife_error(shares[:, 1]))


def _nearest(features: NDArray[np.floating], trained: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared distance of each of `features` to its nearest of `trained`, (n,)."""
    nearest: NDArray[np.float64] = squared_distances(features, trained).min(axis=1)
    return nearest


def _shares(
    near: tuple[NDArray[np.float64], NDArray[np.float64]],
    fold: tuple[NDArray[np.int64], NDArray[np.int64]],
    kept: Sequence[int],
) -> tuple[float, float]:
    """The shares of samples and of held-out images that count as copies, each fold judged by the others of those kept."""
    held_out, counts = near[1], np.zeros((2, 2))
    for own in kept:
        others = np.isin(fold[1], [k for k in kept if k != own])
        limit = np.quantile(held_out[others], NEAR)
        counts += [[(part[of == own] < limit).sum(), (of == own).sum()] for part, of in zip(near, fold, strict=True)]
    sample_share, held_out_share = counts[:, 0] / counts[:, 1]
    return float(sample_share), float(held_out_share)
