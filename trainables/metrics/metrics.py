"""How good generated images are: named functions of an EvalContext."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError, lookup
from spaces.protocol import METRICS, RECORD
from trainables.metrics.by_class import Labelled, chance, judged, mean_kernel_distance
from trainables.metrics.by_class import class_accuracy as accuracy_of
from trainables.metrics.context import EvalContext
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
from trainables.metrics.diversity import CENTRES
from trainables.metrics.iw import MIN_IMAGES, Estimate, independent_wasserstein

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
    value, floor = rate_of_copies(
        context.features, context.held_out_features, context.trained_features, context.protocol.iw
    )
    return _estimated("copy_rate", value, floor)


def intra_diversity(context: EvalContext) -> dict[str, float]:
    """How different samples are that lie nearest to the same image trained on; see `diversity`."""
    both = context.diversity.value, context.diversity_floor
    return dict(zip(METRICS["intra_diversity"].columns, both, strict=True))


def feature_diversity(context: EvalContext) -> dict[str, float]:
    """How different samples of one class are from each other, the mean over classes, and real images' own; see `diversity`.

    It rises with noise and garbage, and is no better above real images' own than below it: look at `kd` beside it.
    """
    both = context.class_diversity[0], context.class_diversity_floor
    return dict(zip(METRICS["feature_diversity"].columns, both, strict=True))


def pair_error(context: EvalContext) -> dict[str, float]:
    """How far translations are from their inputs' true pairs, and how far the inputs are; nan without pairs."""
    found = context.pair_error
    return dict(zip(METRICS["pair_error"].columns, (found.value, found.untranslated), strict=True))


def content_shift(context: EvalContext) -> dict[str, float]:
    """How much translations change of what is where in their inputs, and how much unrelated target images differ; nan of
    images made from noise.
    """
    found = context.content_shift
    return dict(zip(METRICS["content_shift"].columns, (found.value, found.unrelated), strict=True))


def _estimated(name: str, value: Estimate, floor: Estimate) -> dict[str, float]:
    return dict(zip(METRICS[name].columns, (value.value, floor.value, value.se, floor.se), strict=True))


def class_accuracy(context: EvalContext) -> dict[str, float]:
    """The share of generated images that are of the class that they were asked to be; its floor is real images' accuracy."""
    return _estimated("class_accuracy", *accuracy_of(context.labelled, context.labelled_held_out, context.protocol.iw))


def mkd(context: EvalContext) -> dict[str, float]:
    """The mean over classes of the kernel distance of generated images to the domain's of their class, and its floor.

    Both are means over the same classes.
    """
    seed, real, classes = context.protocol.seed, context.labelled_reference, context.classes_compared

    def floor() -> float:
        rows = context.rows(context.other_split)
        labelled = Labelled(context.features_of(rows), context.domain.labels[rows])
        return mean_kernel_distance(labelled, real, seed, classes) if len(rows) else math.nan

    value = mean_kernel_distance(context.labelled, real, seed, classes)
    return {"mkd": value, "mkd_floor": context.once("mkd-floor", floor, *context.feature_space, classes)}


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
        if METRICS[name].by_class and (lack := context.domain.unlabelled):
            raise UserError(f"metric {name!r}: {lack}; leave it out of protocol/metrics")
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
        record |= {"split": context.split, "n_real": n_real, "floor_n": context.floor_n}
        if {"kd", "kid"} & set(protocol.metrics):
            record["kd_subset"] = min(KERNEL_SUBSET_SIZE, n_real, drawn)
    if "iw" in protocol.metrics:
        record["iw_protocol"] = protocol.iw.name
    if any(METRICS[name].held_out for name in protocol.metrics):
        record["iw_n"] = len(context.held_out_rows)
    if "class_accuracy" in protocol.metrics:
        labels, asked = context.labelled_held_out.labels, judged(context.labelled, context.labelled_held_out)
        record |= {
            "class_n": len(labels),
            "class_chance": chance(labels),
            "class_judged": len(asked.labels) if asked else 0,
        }
    if "mkd" in protocol.metrics:
        record["mkd_classes"] = 0 if context.labelled is None else len(context.classes_compared)
    if "feature_diversity" in protocol.metrics:
        record["diversity_classes"] = context.class_diversity[1]
    if "pair_error" in protocol.metrics:
        record["pair_n"] = context.pair_error.n
    if "content_shift" in protocol.metrics:
        record["content_n"] = context.content_shift.n
    if "copy_rate" in protocol.metrics:
        record["copy_n"] = len(context.trained_features)
    if "intra_diversity" in protocol.metrics:
        record["intra_n"] = len(context.trained_rows[:CENTRES])
        record["intra_floor_n"] = len(context.diversity_floor_rows)
        record["empty_clusters"] = context.diversity.empty
    return dict.fromkeys(RECORD) | record


METRIC_FUNCTIONS: Mapping[str, MetricFunction] = {
    "fid": fid,
    "fd": fd,
    "kid": kid,
    "kd": kd,
    "iw": iw,
    "copy_rate": copy_rate,
    "intra_diversity": intra_diversity,
    "class_accuracy": class_accuracy,
    "mkd": mkd,
    "feature_diversity": feature_diversity,
    "pair_error": pair_error,
    "content_shift": content_shift,
}
