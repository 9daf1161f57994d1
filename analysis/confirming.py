"""A winner beside itself: the score that it was chosen by, and what fresh seeds came to."""

from collections.abc import Sequence

import pyarrow as pa

from analysis.page import text
from analysis.tables import choices, config_columns, evaluations, last_rows, metric_of
from search.records.results import NO_SCORE
from search.records.study import StudySpec
from spaces.counts import plural


def lines(table: pa.Table, spec: StudySpec, trial: int, confirmed: Sequence[pa.Table]) -> list[str]:
    """What trial `trial` of a study was chosen by, and the scores of its confirmations, which no choice was made from."""
    metric, rows = metric_of(spec.metric, spec), evaluations(table)
    last = last_rows(rows)
    own = last[last["trial"] == trial].iloc[0]
    same = [name for name in choices(rows) if name in config_columns([own["method"]])]
    arm = ["source", "way", *same]
    twins = last[(last[arm].astype(str) == own[arm].astype(str)).all(axis=1) & ~last["status"].isin(NO_SCORE)]
    means = "" if len(twins) < 2 else f", {text(twins[metric.name].mean())} in the mean of {len(twins)} seeds"
    said = [f"chosen: trial {trial} of {spec.name} with {metric.label} {text(own[metric.name])}{means}"]
    ends = [last_rows(evaluations(found)).iloc[0] for found in confirmed]
    scores = [float(end[metric.name]) for end in ends if end["status"] == "completed"]
    lost = f"; {len(ends) - len(scores)} came to no score" if len(scores) < len(ends) else ""
    if not scores:
        return [*said, f"confirmed: none of {plural(len(ends), 'fresh seed')} came to a score"]
    mean, listed = sum(scores) / len(scores), ", ".join(map(text, scores))
    worse = metric.sign * (mean - float(own[metric.name])) / abs(float(own[metric.name]) or 1.0)
    how = "worse" if worse > 0 else "better"
    confirmation = (
        f"{text(mean)} in the mean of {plural(len(scores), 'fresh seed')}, scored on fresh z ({listed}){lost}"
    )
    return [*said, f"confirmed: {metric.label} {confirmation}: {abs(worse):.0%} {how} than it was chosen by"]
