"""A winner beside itself: the score that it was chosen by, and what fresh seeds came to."""

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from analysis.page import text
from analysis.tables import choices, config_columns, evaluations, last_rows, metric_of
from search.records.results import NO_SCORE
from search.records.study import StudySpec
from spaces.counts import plural
from spaces.errors import UserError
from spaces.protocol import Metric


def check_scored(table: pa.Table, spec: StudySpec, trial: int) -> None:
    """UserError if trial `trial` of a study has no score that fresh seeds could stand beside."""
    metric, last = metric_of(spec.metric, spec), last_rows(evaluations(table))
    own = last[last["trial"] == trial].iloc[0]
    if own["status"] in NO_SCORE or pd.isna(own[metric.name]):
        why = own["status"] if own["status"] in NO_SCORE else f"{own['status']}, {metric.label} not measured"
        raise UserError(
            f"trial {trial} of study {spec.name!r} has no score to confirm ({why}); give one that has, see "
            f"`understock status {spec.name}`"
        )


def lines(table: pa.Table, spec: StudySpec, trial: int, confirmed: Sequence[pa.Table]) -> list[str]:
    """What trial `trial` of a study was chosen by, and the scores of its confirmations, which no choice was made from.

    The trial has a score (`check_scored`). Beside it stands the mean over the seeds that its settings ran with as far as it.
    """
    metric, rows = metric_of(spec.metric, spec), evaluations(table)
    last = last_rows(rows)
    own = last[last["trial"] == trial].iloc[0]
    same = [name for name in choices(rows) if name in config_columns([own["method"]])]
    arm = ["source", "way", "images_seen", *same]
    scored = last[~last["status"].isin(NO_SCORE) & last[metric.name].notna()]
    twins = scored[(scored[arm].astype(str) == own[arm].astype(str)).all(axis=1)]
    means = "" if len(twins) < 2 else f", {text(twins[metric.name].mean())} in the mean of {len(twins)} seeds"
    said = [f"chosen: trial {trial} of {spec.name} with {metric.label} {text(own[metric.name])}{means}"]
    ends = [last_rows(evaluations(found)).iloc[0] for found in confirmed]
    scores = [float(end[metric.name]) for end in ends if end["status"] == "completed" and not pd.isna(end[metric.name])]
    lost = f"; {len(ends) - len(scores)} came to no score" if len(scores) < len(ends) else ""
    if not scores:
        return [*said, f"confirmed: none of {plural(len(ends), 'fresh seed')} came to a score"]
    mean, listed = sum(scores) / len(scores), ", ".join(map(text, scores))
    confirmation = (
        f"{text(mean)} in the mean of {plural(len(scores), 'fresh seed')}, scored on fresh z ({listed}){lost}"
    )
    return [*said, f"confirmed: {metric.label} {confirmation}: {_beside(mean, float(own[metric.name]), metric)}"]


def _beside(mean: float, own: float, metric: Metric) -> str:
    """How a mean compares with the score that its trial was chosen by, as a share of that."""
    worse = metric.sign * (mean - own)
    if worse == 0:
        return "equal to what it was chosen by"
    how = f"{'worse' if worse > 0 else 'better'} than it was chosen by"
    if own == 0:
        return f"{text(abs(worse))} {how}"
    share = abs(worse / own)
    return f"less than 1% {how}" if share < 0.005 else f"{share:.0%} {how}"
