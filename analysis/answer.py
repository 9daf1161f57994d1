"""A study's answer in a few lines of text, for the end of a search."""

import pandas as pd
import pyarrow as pa

from analysis.tables import Score, settings, summary
from analysis.tables import evaluations as evaluations_frame
from search.records.study import StudySpec
from spaces.config import SCRATCH


def lines(table: pa.Table, spec: StudySpec) -> list[str]:
    """The best source and settings, its score, transfer beside scratch at equal budget, and what became of the trials."""
    answer = summary(table, spec)
    counts = ", ".join(f"{n} {status}" for status, n in answer.statuses.items())
    said = [
        f"study {spec.name}: {sum(answer.statuses.values())} trials ({counts}), {answer.seconds / 60:.1f} min in all"
    ]
    if answer.best is None:
        return [*said, "no trial has a score yet"]
    rows = evaluations_frame(table)
    last = rows[rows["trial"] == answer.best.trial].iloc[-1]
    varied = [f"{name} {_short(last[name])}" for name in settings(rows, spec) if not pd.isna(last[name])]
    floor = "" if answer.best.floor is None else f", floor {answer.best.floor:.4g}"
    said.append(f"best: trial {answer.best.trial}, {'; '.join([_origin(answer.best), *varied])}")
    said.append(
        f"  {answer.metric.label} {answer.best.value:.4g} after {answer.best.images_seen:,} images ({answer.metric.goal}{floor})"
    )
    if answer.transfer is None or answer.scratch is None or answer.gain is None:
        return [*said, "no trial of the other kind (scratch or transfer) has a score to compare it with"]
    won = f"{'transfer' if answer.gain > 0 else 'scratch'} wins by {abs(answer.gain):.4g}" if answer.gain else "a tie"
    said.append(
        f"at equal budget ({answer.budget:,} images): {_best_of(answer.transfer_trials, 'transfer')} "
        f"{answer.transfer.value:.4g}, {_best_of(answer.scratch_trials, 'scratch')} {answer.scratch.value:.4g}: {won}"
    )
    return said


def _best_of(trials: int, side: str) -> str:
    return f"best of {trials} {side} trials" if trials > 1 else f"the one {side} trial"


def _origin(score: Score) -> str:
    return SCRATCH if score.source == SCRATCH else f"source {score.source}, {score.parts} transferred"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
