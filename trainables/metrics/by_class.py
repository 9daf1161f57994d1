"""How good samples are class by class: whether each is of the class that it was asked to be, and how like that class."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from threadpoolctl import threadpool_limits

from spaces.counts import plural
from spaces.errors import UserError
from spaces.protocol import IwProtocol
from trainables.metrics.distances import kernel_distance
from trainables.metrics.iw import MIN_IMAGES, Estimate, folds, jackknife_error
from trainables.metrics.manifolds import squared_distances

RIDGE = 0.1
"""Of the classifier: of 0.01 to 10 it told MNIST's digits apart best, at 250 images as well as at 900."""

MOST = 2000
"""Real images that the classifier is trained on at most; it takes time by the cube of them."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Features of images, (n, d), and their labels, (n,)."""

    features: NDArray[np.floating]
    labels: NDArray[np.int64]

    def of(self, label: int) -> NDArray[np.float32]:
        """The features of a class."""
        chosen: NDArray[np.float32] = self.features[self.labels == label].astype(np.float32)
        return chosen


def class_accuracy(samples: Labelled | None, held_out: Labelled, protocol: IwProtocol) -> tuple[Estimate, Estimate]:
    """The share of samples that are taken for the class that they were asked to be; and of real images, the ceiling.

    The classifier is the kernel ridge regression of classes on features, with the Gaussian kernel of IW, trained on real
    images that no generator saw. It is fitted to all folds of them but one: real images are judged by the one that has not
    seen them, samples by each. Samples of classes that no held-out image is of can't be judged and don't count. Standard errors
    are the jackknife's over folds of both. nan without samples. UserError for fewer than 4 held-out images.
    """
    n = len(held_out.labels)
    if n < MIN_IMAGES:
        raise UserError(
            f"class_accuracy: {plural(n, 'held-out image')}; it needs {MIN_IMAGES} at least, to train a classifier"
        )
    count = min(protocol.folds, n)
    fold = folds(n, count, protocol.seed)
    classes, samples = np.unique(held_out.labels), judged(samples, held_out)
    targets = (held_out.labels[:, None] == classes).astype(np.float64)
    width = 2 * held_out.features.astype(np.float64).var(0).sum() or 1.0  # twice h squared
    with threadpool_limits(1, user_api="blas"):  # the last bits of a product depend on how many threads share it
        kernel = np.exp(-squared_distances(held_out.features, held_out.features) / width)
        beside = None if samples is None else np.exp(-squared_distances(samples.features, held_out.features) / width)
        real, generated = np.empty(n, bool), []
        for k in range(count):
            rest, mean = fold != k, targets[fold != k].mean(0)
            ridge = RIDGE * np.eye(int(rest.sum()))
            weights = solve(kernel[np.ix_(rest, rest)] + ridge, targets[rest] - mean, assume_a="pos")
            verdicts = classes[(kernel[np.ix_(~rest, rest)] @ weights + mean).argmax(1)]
            real[~rest] = verdicts == held_out.labels[~rest]
            if samples is not None and beside is not None:
                generated.append(classes[(beside[:, rest] @ weights + mean).argmax(1)] == samples.labels)
    ceiling = Estimate(float(real.mean()), jackknife_error([real[fold != k].mean() for k in range(count)]))
    return _of_samples(np.array(generated), count, protocol.seed), ceiling


def judged(samples: Labelled | None, held_out: Labelled) -> Labelled | None:
    """The samples of classes that held-out images are of too; None without samples, or where none is of such a class."""
    known = np.isin(samples.labels, held_out.labels) if samples is not None else np.zeros(0, bool)
    return Labelled(samples.features[known], samples.labels[known]) if samples is not None and known.any() else None


def _of_samples(right: NDArray[np.bool_], count: int, seed: int) -> Estimate:
    """The mean of whether each classifier's verdict on each sample is right, (classifiers, samples)."""
    if right.size == 0:
        return Estimate(np.nan, np.nan)
    each = right.mean(0)
    fold = folds(len(each), min(count, len(each)), seed)
    without = [each[fold != k].mean() for k in range(int(fold.max()) + 1) if (fold != k).any()]
    return Estimate(float(each.mean()), jackknife_error(without))


def mean_kernel_distance(
    images: Labelled | None, real: Labelled, seed: int, among: Collection[int] | None = None
) -> float:
    """The mean over classes of the unbiased kernel distance of images to real ones of their class.

    Every class weighs the same, however many images it has; see `classes_compared`. Those that are not `among` the given are
    left out. nan of none.
    """
    if images is None:
        return np.nan
    classes = [x for x in classes_compared(images.labels, real.labels) if among is None or x in among]
    if not classes:
        return np.nan
    return float(np.mean([kernel_distance(images.of(label), real.of(label), seed=seed) for label in classes]))


def classes_compared(*sides: NDArray[np.int64]) -> list[int]:
    """The classes with 2 images or more on every side, ascending, where these are the images' labels."""
    counted = [np.unique(labels, return_counts=True) for labels in sides]
    return sorted(set.intersection(*({int(x) for x in labels[counts >= 2]} for labels, counts in counted)))


def chance(labels: NDArray[np.int64]) -> float:
    """The accuracy of guessing by these labels' own shares."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float((shares**2).sum())
