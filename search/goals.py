"""What a search goes by: the metric, or metrics, that a user names."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from spaces.errors import UserError, lookup
from spaces.protocol import GOALS, METRICS, MOST_GOALS, SECONDS, Protocol


def goals_of(metric: str) -> tuple[str, ...]:
    """The goals that a user names with commas between, a metric first; UserError for a name twice, or that is none."""
    names = [name.strip() for name in metric.split(",")]
    for name in names:
        lookup(GOALS, "metric", name)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"--metric {metric}: {twice[0]} is there twice; a front is of different metrics")
    if len(names) > MOST_GOALS:
        raise UserError(
            f"--metric {metric}: a front is of {MOST_GOALS} metrics at most, or nearly every trial is on it"
        )
    measured = sorted(names, key=lambda name: name == SECONDS)
    if measured == [SECONDS]:
        raise UserError("--metric seconds alone is won by what trains least; name a metric beside it, as fd,seconds")
    if len(names) > 1 and (late := [name for name in names if GOALS[name].by_class]):
        raise UserError(f"--metric {metric}: {late[0]} is measured at a trial's end alone, and no goal of a front")
    features = {GOALS[name].features: name for name in names}
    if "inception" in features and "other" in features:
        raise UserError(
            f"--metric {metric}: {features['inception']} is of Inception's features and {features['other']} of others; give "
            "both of one kind, as fid,kid or fd,kd"
        )
    return tuple(measured)


def protocol_for(goals: Sequence[str], protocol: dict[str, Any], extractor: str | None = None) -> dict[str, Any]:
    """Put the goals that are metrics first in a protocol's fields, to be measured at rungs, in the features of `extractor`.

    fid and kid bring the Inception extractor along where none is named, others do not.
    """
    first, there = [name for name in goals if name != SECONDS], list(protocol["metrics"])
    if extractor is None and any(METRICS[name].features == "inception" for name in first):
        extractor = "inception"
    given: dict[str, Any] = {"at_rungs": len(first)} if first else {}
    given |= {"extractor": extractor} if extractor else {}
    if extractor == "inception":
        there = ["fid", "kid", *(name for name in there if METRICS[name].features == "any")]
        given["input_size"] = 299
    return protocol | given | {"metrics": tuple(dict.fromkeys((*first, *there)))}


def check_measured(goals: Sequence[str], protocol: Protocol, left_out: str | None) -> None:
    """UserError if a goal is no metric of what a study will measure; `left_out` says why that may be."""
    if lacking := [name for name in goals if name not in (*protocol.metrics, SECONDS)]:
        raise UserError(f"--metric {','.join(goals)}: {left_out or f'{lacking[0]} is not measured here'}")
