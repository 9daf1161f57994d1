"""How good generated images are: named functions of an EvalContext."""

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError, lookup
from spaces.protocol import METRICS, RECORD, Protocol
from trainables.images.domains import Domain, Split
from trainables.images.samples import Samples
from trainables.metrics.by_class import MOST as MOST_LABELLED
from trainables.metrics.by_class import Labelled, chance, classes_compared, mean_kernel_distance
from trainables.metrics.by_class import class_accuracy as accuracy_of
from trainables.metrics.copies import copy_rate as rate_of_copies
from trainables.metrics.distances import (
    KERNEL_SUBSET_SIZE,
    KERNEL_SUBSETS,
    Moments,
    carry_of,
    frechet_distance,
    frechet_distance_at,
    kernel_distance,
    kernel_within,
)
from trainables.metrics.features import Extractor
from trainables.metrics.iw import MIN_IMAGES, Estimate, independent_wasserstein
from trainables.metrics.reference import Reference, extract, features_of, once, reference, remembered


@dataclass(frozen=True, eq=False)
class EvalContext:
    """What is measured, against what, and how. The metrics share features, extracted at first use."""

    samples: Samples
    """What is scored."""
    domain: Domain
    domain_folder: Path
    """Where moments and floors are kept, in its `moments`."""
    protocol: Protocol
    extractor: Extractor | None
    """None if no metric needs features."""
    trained_on: NDArray[np.int64] | None = None
    """Rows of the domain that the samples' trial trained on; None for its whole training split."""

    @cached_property
    def generated(self) -> NDArray[np.uint8]:
        """The generated images, (n, 3, R, R): n_fake, or fewer at a rung."""
        return self.samples.images.numpy()

    @cached_property
    def reference(self) -> Reference:
        """The real images that generated ones are compared with."""
        protocol = self.protocol
        return reference(
            self.domain, self.domain_folder, self._extractor, protocol.split, protocol.n_real, protocol.seed
        )

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Of the generated images, (n, d)."""
        return self._extractor(self.generated)

    @cached_property
    def floor_features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of real images in the place of generated ones, `floor_n` of them, and of the real images they compare with.

        They are of the split that the reference is not of. Where it has fewer than were generated, the last of the
        reference make up for it, at most half, and are left out there: distances fall with the count, so a floor of
        fewer images would lie above what a generator can reach.
        """
        held_out, real = self.rows(self.other_split)[: self.floor_n], self.reference.features
        stay = len(real) - (self.floor_n - len(held_out))
        return np.concatenate([extract(self._extractor, self.domain, held_out), real[stay:]]), real[:stay]

    @property
    def n_scored(self) -> int:
        """Of how many generated images the scores are: all, or at a rung what distances are carried on to."""
        return len(self.generated) if self.protocol.n_rung is None else self.protocol.n_fake

    @property
    def floor_n(self) -> int:
        """As many real images as were generated, or as near as the domain allows."""
        return min(self.n_scored, len(self.rows(self.other_split)) + len(self.reference.features) // 2)

    @property
    def manifold_n(self) -> int:
        """Images of each side for neighbourhoods, whose measures grow with the count of either: of the reference, generated,
        and held out. Where the other split has too few to hold out, the reference gives half of what is missing.
        """
        real = len(self.reference.features)
        return min(len(self.generated), real, (real + len(self.rows(self.other_split))) // 2)

    @property
    def manifold_floor_features(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of the reference, and of real images in the place of generated ones, `manifold_n` of each and none in both."""
        n, real = self.manifold_n, self.reference.features
        held_out = extract(self._extractor, self.domain, self.rows(self.other_split)[:n])
        return real[:n], np.concatenate([held_out, real[len(real) - (n - len(held_out)) :]])

    @cached_property
    def held_out_rows(self) -> NDArray[np.int64]:
        """Of images that the trial never saw, `protocol.iw.held_out` at most: validation images first, then training images
        beyond those that it trained on.
        """
        return self._unseen_rows[: self.protocol.iw.held_out]

    @property
    def _unseen_rows(self) -> NDArray[np.int64]:
        train = self.rows("train")
        unseen = train[:0] if self.trained_on is None else train[~np.isin(train, self.trained_on)]
        return np.concatenate([self.rows("val"), unseen])

    @cached_property
    def held_out_features(self) -> NDArray[np.float32]:
        """Of these images, (len(held_out_rows), d)."""
        return self.features_of(self.held_out_rows)

    @cached_property
    def labelled(self) -> Labelled | None:
        """The generated images by class; None of a generator without classes."""
        asked = self.samples.labels
        return None if asked is None else Labelled(self.features, asked.numpy())

    @cached_property
    def labelled_reference(self) -> Labelled:
        """The real images that generated ones are compared with, by class."""
        rows = self.rows(self.protocol.split)[: self.protocol.n_real]
        return Labelled(self.reference.features, self.domain.labels[rows])

    @cached_property
    def labelled_held_out(self) -> Labelled:
        """Images that the trial never saw, by class: more of them than are held out for IW."""
        rows = self._unseen_rows[:MOST_LABELLED]
        return Labelled(self.features_of(rows), self.domain.labels[rows])

    @cached_property
    def trained_rows(self) -> NDArray[np.int64]:
        """Of images that the trial trained on, `protocol.n_real` at most."""
        rows = self.rows("train") if self.trained_on is None else self.trained_on
        return rows[: self.protocol.n_real]

    @cached_property
    def spare_rows(self) -> NDArray[np.int64]:
        """Of real images that stand in the place of generated ones where others are held out: as many, or as there are."""
        rows = self.rows("train")
        return rows[~np.isin(rows, self.held_out_rows)][: len(self.generated)]

    def features_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Of the domain's images at `rows`, (len(rows), d); those that earlier evaluations needed are kept."""
        protocol = self.protocol
        return features_of(self.domain, self.domain_folder, self._extractor, rows, protocol.n_real, protocol.seed)

    def rows(self, split: Split) -> NDArray[np.int64]:
        """The rows of a split, in the order that the protocol's seed gives."""
        return self.domain.subset(None, self.protocol.seed, split)

    def once(self, name: str, compute: Callable[[], float], *depends_on: object) -> float:
        """`compute()`, a number that no trial changes: kept beside the domain for all to come."""
        return once(self.domain_folder, name, [self.domain.facts.digest, self.protocol.seed, *depends_on], compute)

    def estimated_once(self, name: str, compute: Callable[[], Estimate], *depends_on: object) -> Estimate:
        """As `once`, for a number with its standard error, of the images held out from this trial."""
        extractor, rows = self._extractor, [part.tolist() for part in (self.held_out_rows, self.spare_rows)]
        about = [self.domain.facts.digest, extractor.digest, extractor.input_size, extractor.resizer, rows, *depends_on]
        found = remembered(
            self.domain_folder, name, about, lambda: list(astuple(compute())), lambda kept: [float(x) for x in kept]
        )
        return Estimate(*found)

    @property
    def feature_space(self) -> tuple[object, ...]:
        """What a distance between this domain's own images depends on, apart from their choice."""
        extractor = self._extractor
        size = extractor.input_size
        return extractor.digest, size, extractor.resizer, self.protocol.split, len(self.reference.features)

    @property
    def _extractor(self) -> Extractor:
        assert self.extractor is not None, f"{self.protocol.metrics=} need an extractor"
        return self.extractor

    @property
    def other_split(self) -> Split:
        """The split that the reference is not of."""
        return "val" if self.protocol.split == "train" else "train"


MetricFunction = Callable[[EvalContext], dict[str, float]]
"""Gives a metric, and its floor, by name."""


def fd(context: EvalContext) -> dict[str, float]:
    """Frechet distance of generated images to the domain's, in features that are not FID's, and its floor."""
    return _with_floor(context, "fd", _frechet)


def fid(context: EvalContext) -> dict[str, float]:
    """Frechet distance of generated images to the domain's in the 2015 Inception features, and its floor."""
    return _with_floor(context, "fid", _frechet)


def kd(context: EvalContext) -> dict[str, float]:
    """Kernel distance of generated images to the domain's, in features that are not KID's, and its floor."""
    return _with_floor(context, "kd", _kernel)


def kid(context: EvalContext) -> dict[str, float]:
    """Kernel distance of generated images to the domain's in the 2015 Inception features, and its floor."""
    return _with_floor(context, "kid", _kernel)


def iw(context: EvalContext) -> dict[str, float]:
    """How well independent critics tell generated images from real ones that the trial never saw; for the floor, real ones.

    It does not see memorising: copies of many different training images look like real images to any critic that hasn't
    seen these. See `copy_rate`.
    """
    protocol, most = context.protocol.iw, 2 * context.protocol.iw.held_out
    held_out = context.held_out_features

    def floor() -> Estimate:
        rows = context.spare_rows[:most]
        if len(rows) < MIN_IMAGES:
            return Estimate(math.nan, math.nan)
        return independent_wasserstein(held_out, context.features_of(rows), protocol)

    value = independent_wasserstein(held_out, context.features[:most], protocol)
    return _estimated("iw", value, context.estimated_once("iw-floor", floor, protocol.model_dump()))


def copy_rate(context: EvalContext) -> dict[str, float]:
    """The share of generated images that lie nearer to an image trained on than unseen real images do; see `copies`."""
    trained = context.features_of(context.trained_rows)
    value, floor = rate_of_copies(context.features, context.held_out_features, trained, context.protocol.iw)
    return _estimated("copy_rate", value, floor)


def _estimated(name: str, value: Estimate, floor: Estimate) -> dict[str, float]:
    return dict(zip(METRICS[name].columns, (value.value, floor.value, value.se, floor.se), strict=True))


def class_accuracy(context: EvalContext) -> dict[str, float]:
    """The share of generated images that are of the class that they were asked to be; its floor is real images' accuracy."""
    return _estimated("class_accuracy", *accuracy_of(context.labelled, context.labelled_held_out, context.protocol.iw))


def mkd(context: EvalContext) -> dict[str, float]:
    """The mean over classes of the kernel distance of generated images to the domain's of their class, and its floor."""
    seed, real = context.protocol.seed, context.labelled_reference

    def floor() -> float:
        rows = context.rows(context.other_split)
        labelled = Labelled(context.features_of(rows), context.domain.labels[rows])
        return mean_kernel_distance(labelled, real, seed) if len(rows) else math.nan

    value = mean_kernel_distance(context.labelled, real, seed)
    return {"mkd": value, "mkd_floor": context.once("mkd-floor", floor, *context.feature_space)}


Distance = Callable[[EvalContext, NDArray[np.float32], NDArray[np.float32] | None], float]
"""Of features to those of real images; None for the reference, of which parts are stored."""


def _with_floor(context: EvalContext, name: str, distance: Distance) -> dict[str, float]:
    """A distance of generated images, and of the domain's own images in their place. nan of less than 2."""

    def floor() -> float:
        held_out, real = context.floor_features
        return distance(context, held_out, real) if min(len(held_out), len(real)) >= 2 else math.nan

    value = distance(context, context.features, None) if len(context.features) >= 2 else math.nan
    return {name: value, f"{name}_floor": context.once(f"{name}-floor", floor, *context.feature_space, context.floor_n)}


def _frechet(context: EvalContext, features: NDArray[np.float32], real: NDArray[np.float32] | None) -> float:
    if real is not None:
        return frechet_distance(Moments.of(features), Moments.of(real))
    few, many = len(features), context.n_scored
    if few >= many:
        return frechet_distance(Moments.of(features), context.reference.moments)
    carry = context.once(
        "carry", lambda: carry_of(context.reference.features, few, many), *context.feature_space, few, many
    )
    return frechet_distance_at(features, context.reference.moments, carry)


def _kernel(context: EvalContext, features: NDArray[np.float32], real: NDArray[np.float32] | None) -> float:
    seed = context.protocol.seed
    if real is not None:
        return kernel_distance(features, real, seed=seed)
    real = context.reference.features
    size = min(KERNEL_SUBSET_SIZE, len(features), len(real))
    within = context.once(
        "kernel",
        lambda: kernel_within(real, subsets=KERNEL_SUBSETS, size=size, seed=seed),
        *context.feature_space,
        size,
    )
    return kernel_distance(features, real, seed=seed, within_y=within)


@dataclass(frozen=True)
class Measurement:
    """Metrics by name, and what they were measured with: without it they compare with nothing."""

    values: Mapping[str, float]
    """Each metric, its floor and what standard errors it has, as in `Metric.columns`; nan for what is not finite."""
    record: Mapping[str, Any]
    """Extractor, counts and seeds; None for what no metric of the protocol used."""


def measure(context: EvalContext) -> Measurement:
    """Run the metrics of the context's protocol. UserError if the domain has too few images for one of them."""
    values: dict[str, float] = {}
    for name in context.protocol.metrics:
        if METRICS[name].by_class and not context.domain.is_labelled:
            raise UserError(
                f"metric {name!r}: domain {context.domain.facts.name!r} has images without a class; leave it out of "
                "protocol/metrics"
            )
        values |= lookup(METRIC_FUNCTIONS, "metric", name)(context)
    return Measurement(
        {name: value if math.isfinite(value) else math.nan for name, value in values.items()}, _record(context)
    )


def _record(context: EvalContext) -> dict[str, Any]:
    protocol, extractor, drawn = context.protocol, context.extractor, len(context.generated)
    record: dict[str, Any] = {"n_fake": context.n_scored, "metric_seed": protocol.seed}
    if protocol.n_rung is not None:
        record["n_drawn"] = drawn
    if extractor is not None:
        n_real = len(context.reference.features)
        record |= {"extractor": extractor.name, "input_size": extractor.input_size, "resizer": extractor.resizer}
        record |= {"split": protocol.split, "n_real": n_real, "floor_n": context.floor_n}
        if {"kd", "kid"} & set(protocol.metrics):
            record["kd_subset"] = min(KERNEL_SUBSET_SIZE, n_real, drawn)
    if "iw" in protocol.metrics:
        record["iw_protocol"] = protocol.iw.name
    if any(METRICS[name].held_out for name in protocol.metrics):
        record["iw_n"] = len(context.held_out_rows)
    if "class_accuracy" in protocol.metrics:
        labels = context.labelled_held_out.labels
        record |= {"class_n": len(labels), "class_chance": chance(labels)}
    if "mkd" in protocol.metrics:
        record["mkd_classes"] = len(classes_compared(context.labelled, context.labelled_reference))
    if "copy_rate" in protocol.metrics:
        record["copy_n"] = len(context.trained_rows)
    return dict.fromkeys(RECORD) | record


METRIC_FUNCTIONS: Mapping[str, MetricFunction] = {
    "fid": fid,
    "fd": fd,
    "kid": kid,
    "kd": kd,
    "iw": iw,
    "copy_rate": copy_rate,
    "class_accuracy": class_accuracy,
    "mkd": mkd,
}
