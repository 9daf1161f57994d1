"""Independent critics' score of samples: closed-form critics in a feature space, cross-fitted, with a standard error."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import inv, solve
from threadpoolctl import threadpool_limits

from spaces.config import Data
from spaces.errors import UserError
from spaces.protocol import METRICS, IwProtocol, Protocol
from trainables.images.domains import CLASS_FOLDERS, Domain, DomainFacts
from trainables.machine.randomness import random_numbers
from trainables.metrics.manifolds import squared_distances
from trainables.metrics.reference import check_compared

MIN_IMAGES = 4
"""Fewest images of either side, real and generated: they make as many folds, and a critic leaves two folds out."""


@dataclass(frozen=True)
class Estimate:
    """A number, and how far it would scatter over draws of the images that it was measured on."""

    value: float
    se: float
    """Standard error."""


def measurable(protocol: Protocol, opened: Domain, data: Data) -> tuple[Protocol, str | None]:
    """The protocol without the metrics that a domain has too few held-out images for, and why; else the protocol as it is.

    UserError if one of them is what the protocol goes by, or if beside the images that `data` gives to trials there are too
    few for any distance.
    """
    check_compared(opened, protocol, data)
    domain = opened.facts
    protocol, unlabelled = _without_classes(protocol, domain)
    lacking = [name for name in protocol.metrics if METRICS[name].held_out]
    if not lacking or min(domain.train, domain.val) >= MIN_IMAGES:
        return protocol, unlabelled
    many = len(lacking) > 1
    why = (
        f"domain {domain.name!r} has {domain.train} train and {domain.val} val images, and metric{'s' * many} "
        f"{' and '.join(lacking)} need{'s' * (not many)} {MIN_IMAGES} of each at least"
    )
    if protocol.metrics[0] in lacking:
        raise UserError(f"{why}; import it again with another --val-fraction, or go by another metric")
    metrics = tuple(name for name in protocol.metrics if name not in lacking)
    left_out = f"{' and '.join(lacking)} {'are' if many else 'is'} left out: {why}"
    return protocol.model_copy(update={"metrics": metrics}), left_out


def _without_classes(protocol: Protocol, domain: DomainFacts) -> tuple[Protocol, str | None]:
    without = protocol.without_classes()
    if domain.classes > 1 or without == protocol:
        return protocol, None
    by_class = [name for name in protocol.metrics if name not in without.metrics]
    why = f"{' and '.join(by_class)} left out: domain {domain.name!r} has no classes; {CLASS_FOLDERS}"
    return without, why


def independent_wasserstein(real: NDArray[np.floating], fake: NDArray[np.floating], protocol: IwProtocol) -> Estimate:
    """Mean f(fake) - mean f(real) of critics f that are new to both, and its standard error; `real` was held out.

    `real` (n, d) and `fake` (m, d) are features. Both are parted into `protocol.folds` folds. For each two folds a critic
    is fitted to all others and scored on these two, so no image is scored by a critic that has seen it, and each is scored
    by folds - 1 critics. A critic is the kernel ridge regression, with a Gaussian kernel, of 1 for real and -1 for
    generated, divided by its norm: it is then 1-Lipschitz (|f(x) - f(y)| <= |f| |x - y| / h) in distances measured in h,
    the kernel's width, which is the held-out images' root mean squared distance from their mean. So the value is minus a
    lower bound of the Wasserstein distance between features in that unit; zero in expectation for real images.

    All that is done for `protocol.partitions` partitions into folds, and averaged. The standard error is the
    delete-a-fold jackknife's over both sides' folds, its variance averaged too: of the value over new draws of the held-out
    images and of the samples, critics fitted anew included. It says nothing of other trainings of the generator.

    All is float64 on one core of the CPU, the same to the last bit however many there are. Raises UserError for fewer
    than 4 images of either.
    Source: Danihelka et al. 2017, arXiv:1705.05263, with sign as in Wang et al., "Transferring GANs", ECCV 2018; the
    critic's class is that of Gretton et al., JMLR 2012.
    """
    for words, images in (("held-out real images", real), ("generated images", fake)):
        if len(images) < MIN_IMAGES:
            raise UserError(
                f"iw: {len(images)} {words}; it needs {MIN_IMAGES} at least, to fit critics and to score them"
            )
    x = np.concatenate([real, fake]).astype(np.float64)
    is_real = np.arange(len(x)) < len(real)
    width = 2 * real.astype(np.float64).var(0).sum() or 1.0  # twice h squared
    count = min(protocol.folds, len(real), len(fake))
    seeds = range(protocol.seed, protocol.seed + protocol.partitions)
    parts = [np.concatenate([folds(len(side), count, seed) for side in (real, fake)]) for seed in seeds]
    with threadpool_limits(1, user_api="blas"):  # the last bits of a product depend on how many threads share it
        regression = _Regression.of(np.exp(-squared_distances(x, x) / width), is_real, protocol.ridge)
        without = np.array([_cross_fitted(regression, fold) for fold in parts])
    return Estimate(float(without.mean()), float(np.sqrt(np.mean([jackknife_error(one) ** 2 for one in without]))))


class _Regression(NamedTuple):
    """Kernel ridge regression of 1 for real and -1 for generated images, both sides of equal weight, on all images at once.

    What it would be without some of them follows from its inverse alone, so nothing is fitted anew.
    """

    signs: NDArray[np.float64]
    """(n,)"""
    noise: NDArray[np.float64]
    """What is added to the kernel's diagonal, (n,)."""
    inverse: NDArray[np.float64]
    """Of kernel and noise, (n, n)."""
    weights: NDArray[np.float64]
    """Of the kernel's functions at the images, (n,)."""

    @classmethod
    def of(cls, kernel: NDArray[np.float64], is_real: NDArray[np.bool_], ridge: float) -> "_Regression":
        signs = np.where(is_real, 1.0, -1.0)
        noise = 2 * ridge * np.where(is_real, is_real.mean(), (~is_real).mean())
        inverse = np.asarray(inv(kernel + np.diag(noise), check_finite=False))
        return cls(signs, noise, inverse, inverse @ signs)

    def without(self, out: NDArray[np.bool_]) -> NDArray[np.float64]:
        """What the critic that is fitted without the images `out`, (n,), says of them, divided by its norm.

        With P the inverse and a the weights of all, the critic errs by e = P_oo^-1 a_o on what is left out, and its weights
        are a_i - P_io e: block inversion, exact.
        """
        errors = solve(self.inverse[np.ix_(out, out)], self.weights[out], assume_a="pos", check_finite=False)
        weights = self.weights[~out] - self.inverse[np.ix_(~out, out)] @ errors
        squared_norm = weights @ self.signs[~out] - self.noise[~out] @ weights**2  # w K w, as (K + noise) w = signs
        logits: NDArray[np.float64] = (self.signs[out] - errors) / max(float(np.sqrt(max(squared_norm, 0.0))), 1e-12)
        return logits


def _cross_fitted(regression: _Regression, fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """The value where each fold is left out, (folds,), by critics that leave out that one and the one they are scored on."""
    count, is_real = int(fold.max()) + 1, regression.signs > 0
    scores = np.full((count, count), np.nan)  # of a row's fold by the critic that left out the row's and the column's
    for pair in combinations(range(count), 2):
        out = np.isin(fold, pair)
        logits, real, here = regression.without(out), is_real[out], fold[out]
        for own, other in (pair, pair[::-1]):
            mine = here == own
            scores[own, other] = logits[mine & ~real].mean() - logits[mine & real].mean()
    left_out: NDArray[np.float64] = np.nanmean(scores, axis=0)
    return left_out


def folds(n: int, count: int, seed: int) -> NDArray[np.int64]:
    """The fold of each of `n` images, (n,), at random; they differ by one image at most."""
    order = torch.randperm(n, generator=random_numbers("folds", seed)).numpy()
    fold: NDArray[np.int64] = (order % count).astype(np.int64)
    return fold


def jackknife_error(without: Sequence[float] | NDArray[np.float64]) -> float:
    """The standard error of an estimate that is `without[k]` where fold k is left out, of folds of equal size."""
    values = np.asarray(without, dtype=np.float64)
    return float(np.sqrt((len(values) - 1) * values.var()))
