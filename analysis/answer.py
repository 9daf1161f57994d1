"""A study's answer in a few lines of text, for the end of a search and for `understock status`."""

from typing import Any

import pandas as pd
import pyarrow as pa

from analysis.findings.gains import gain_of_training
from analysis.findings.trends import trends
from analysis.tables import NO_SOURCE, UNTRAINED, Answer, Score, metric_of, settings, summary_of
from analysis.tables import evaluations as evaluations_frame
from analysis.words import FINETUNED, after, by_the_curves, origin, over_the_source, used
from search.fronts import exchanges, front_of, labelled, scored
from search.records.standing import State
from search.records.study import StudySpec
from spaces.config import SCRATCH
from spaces.counts import plural


def lines(table: pa.Table, spec: StudySpec, state: State = "completed") -> list[str]:
    """The best source and settings, its score, transfer beside scratch at equal budget, and what became of the trials.

    The first line says how the study stands.

    Where a source was sampled as it is, a line says what training gains over it. The last says what the curves do at their end.
    """
    rows = evaluations_frame(table)
    answer = summary_of(rows, spec)
    counts = ", ".join(f"{n} {status}" for status, n in answer.statuses.items())
    trials = f"{plural(sum(answer.statuses.values()), 'trial')} ({counts or 'none has started'})"
    said = [f"study {spec.name}, {state}: {trials}, {answer.seconds / 60:.1f} min in all"]
    if answer.best is None:
        return [*said, "no trial has a score yet"]
    last = rows[rows["trial"] == answer.best.trial].iloc[-1]
    varied = [f"{name} {_short(last[name])}" for name in settings(rows) if not pd.isna(last[name])]
    floor = "" if answer.best.floor is None else f", floor {answer.best.floor:.4g}"
    error = "" if answer.best.se is None else f" ± {answer.best.se:.2g}"
    said.append(f"best: trial {answer.best.trial}, {'; '.join([_origin(answer.best), *varied])}")
    said.append(
        f"  {answer.metric.label} {answer.best.value:.4g}{error} {after(answer.best)} ({answer.metric.goal}{floor})"
    )
    said.append(_against_scratch(answer))
    said += front_lines(table, spec)
    over = gain_of_training(rows, answer.metric, spec.ranking)
    curves = by_the_curves(trends(rows, answer.metric), answer.best, answer.metric)
    return [*said, *([] if over is None else [over_the_source(over)]), curves]


def front_lines(table: pa.Table, spec: StudySpec) -> list[str]:
    """The front of a search for one, a line a trial, and what one pays from each to the next."""
    if not spec.front:
        return []
    goals = labelled(spec.front, spec.base.protocol.extractor)
    through = scored(table.to_pylist(), spec.front)
    front = front_of(through, spec.front)
    head = f"front of {' and '.join(goal.label for goal in goals)}: {len(front)} of {plural(len(through), 'trial')} to the end"
    return [head, *(f"  {each.said(goals)}" for each in front), *(f"  {each}" for each in exchanges(front, goals))]


def curves_of(table: pa.Table, spec: StudySpec) -> list[dict[str, Any]]:
    """What the curve of each arm does at its end, for programs."""
    metric = metric_of(spec.metric, spec)
    return [trend.as_dict(metric) for trend in trends(evaluations_frame(table), metric)]


def _against_scratch(answer: Answer) -> str:
    if answer.transfer is None or answer.scratch is None or answer.gain is None:
        sides = (("scratch", answer.scratch), ("transfer", answer.transfer))
        return f"no {' or '.join(name for name, side in sides if side is None)} trial has a score to compare with"
    transfer = "transfer" if answer.transfer.way not in UNTRAINED else f"{origin(answer.transfer)}, untrained,"
    won = f"{transfer if answer.gain > 0 else 'scratch'} wins by {abs(answer.gain):.4g}" if answer.gain else "a tie"
    return (
        f"at equal budget ({answer.budget:,} images): {_best_of(answer.transfer_trials, 'transfer')} "
        f"{answer.transfer.value:.4g}, {_best_of(answer.scratch_trials, 'scratch')} {answer.scratch.value:.4g}: {won}"
    )


def _best_of(trials: int, side: str) -> str:
    return f"best of {trials} {side} trials" if trials > 1 else f"the one {side} trial"


def _origin(score: Score) -> str:
    if score.source == SCRATCH:
        return SCRATCH
    if score.source == NO_SOURCE:
        return used(score.way)
    return f"source {score.source}, {f'{score.way} transferred' if score.way in FINETUNED else used(score.way)}"


def _short(value: object) -> str:
    """A setting as it stands in a line; whole numbers are whole again, which pandas made floats of."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.3g}"
    return str(value)
