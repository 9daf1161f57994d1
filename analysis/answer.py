"""A study's answer in a few lines of text, for the end of a search."""

import pyarrow as pa

from analysis.tables import Score, settings, summary
from analysis.tables import evaluations as evaluations_frame
from search.study import StudySpec
from spaces.config import SCRATCH


def lines(table: pa.Table, spec: StudySpec) -> list[str]:
    """The best source and settings, its score beside scratch's at the same budget, and what became of the trials."""
    answer = summary(table, spec)
    counts = ", ".join(f"{n} {status}" for status, n in answer.statuses.items())
    said = [
        f"study {spec.name}: {sum(answer.statuses.values())} trials ({counts}), {answer.seconds / 60:.1f} min of training"
    ]
    if answer.best is None:
        return [*said, "no trial has a score yet"]
    rows = evaluations_frame(table)
    last = rows[rows["trial"] == answer.best.trial].iloc[-1]
    varied = ", ".join(f"{name} {_short(last[name])}" for name in settings(rows, spec))
    floor = "" if answer.best.floor is None else f", floor {answer.best.floor:.4g}"
    said.append(f"best: trial {answer.best.trial}, {_origin(answer.best)}; {varied}")
    said.append(
        f"  {answer.metric.label} {answer.best.value:.4g} after {answer.best.images_seen:,} images ({answer.metric.goal}{floor})"
    )
    if answer.transfer is None or answer.scratch is None or answer.gain is None:
        return [*said, "no trial of the other kind (scratch or transfer) to compare it with"]
    won = "transfer wins" if answer.gain > 0 else "scratch wins"
    said.append(
        f"at equal budget ({answer.transfer.images_seen:,} images): best transfer {answer.transfer.value:.4g}, "
        f"best scratch {answer.scratch.value:.4g}: {won} by {abs(answer.gain):.4g}"
    )
    return said


def _origin(score: Score) -> str:
    return SCRATCH if score.source == SCRATCH else f"source {score.source}, {score.parts} transferred"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
