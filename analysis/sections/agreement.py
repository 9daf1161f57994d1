"""3. FID or FD against IW: the Pareto front, how far the two agree, and on which trials they don't."""

from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.commands import short_command
from analysis.figures.scatter import trade_off
from analysis.findings.agreement import agreement, disagreements
from analysis.page import Block, Plot, Section, sheet, text
from analysis.study_data import StudyData, of_each
from analysis.tables import WAY
from spaces.counts import plural
from spaces.protocol import Metric

DISPUTED = 3


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study; over several studies it gives the range of rank correlations."""
    title = f"{studies[0].metric.name.upper()} against {(_second(studies[0]) or studies[0].metric).name.upper()}"
    return of_each("agreement", title if _second(studies[0]) else "Two metrics", studies, _block, _overview)


def _second(study: StudyData) -> Metric | None:
    others = [metric for metric in study.metrics[1:] if metric.name == "iw"] or study.metrics[1:]
    return others[0] if others else None


def _overview(studies: Sequence[StudyData]) -> str:
    pairs = [(study, _second(study)) for study in studies]
    found = [
        rho for study, second in pairs if second and (rho := agreement(study.ranked, study.metric, second)) is not None
    ]
    if not found:
        return "No study has enough trials with two metrics for a rank correlation."
    return (
        f"Spearman's rank correlation of the two metrics over trials is {min(found):.2f} to {max(found):.2f} in "
        f"{plural(len(found), 'study', 'studies')}; 1 is full agreement."
    )


def _block(study: StudyData) -> Block:
    second = _second(study)
    if second is None:
        name = f"{study.spec.name[:90]}-two-metrics"
        return Block(
            f"Not enough data: the study measured {study.metric.label} alone; run `{short_command(study.spec, name=name)}`, "
            "which measures the others too."
        )
    both = study.ranked.dropna(subset=[second.name])
    if both.empty:
        return Block(f"Not enough data: no trial with a score has {second.label} too; {study.cure}.")
    on_front = tables.front(both, study.metric, second)
    apart = disagreements(both, study.metric, second)
    disputed = apart[apart["apart"] > 0].head(DISPUTED) if len(apart) >= DISPUTED else apart.iloc[:0]
    plot = Plot(
        "Last evaluation of each trial",
        trade_off(
            both,
            study.metric,
            second,
            study.looks,
            hovers=study.hovers,
            on_front=on_front,
            named={trial: f"trial {trial}" for trial in disputed["trial"].tolist()[:1]},
        ),
        f"Scatter plot of {second.label} against {study.metric.label}, a point a trial, the Pareto front ringed.",
    )
    errors = [name for metric in (study.metric, second) if (name := f"{metric.name}_se") in apart]
    shown = apart[
        ["trial", "source", WAY, study.metric.name, second.name, *errors, "first_rank", "second_rank"]
    ].assign(front=on_front.map({True: "yes", False: ""}))
    names = study.names | {
        study.metric.name: study.metric.label,
        second.name: second.label,
        **{f"{metric.name}_se": f"standard error of {metric.label}" for metric in (study.metric, second)},
        "front": "on the front",
        "first_rank": f"rank by {study.metric.name.upper()}",
        "second_rank": f"rank by {second.name.upper()}",
    }
    notes = [
        "Ringed, on the dotted line: the Pareto front, trials that no other trial beats in both metrics. Named: the trial "
        "that the two rank furthest apart. FD and FID see the mean and spread of features; IW's critics are fitted to images "
        "that no trial saw. Copies of many training images please both: see the copy rate under Samples. Bars are one standard "
        "error over draws of the images measured on; trials nearer than about three are not told apart by it.",
    ]
    lead = _agreement(study, both, second, int(on_front.sum())) + _disputed(disputed, study.metric, second)
    return Block(lead, notes=notes, plots=[plot], sheets=[sheet("Every trial with both metrics", shown, names)])


def _agreement(study: StudyData, both: pd.DataFrame, second: Metric, on_front: int) -> str:
    front = f"{on_front} of {plural(len(both), 'trial')} on the Pareto front"
    rho = agreement(both, study.metric, second)
    if rho is None:
        return f"{front}; not enough data for a rank correlation, which takes 3 trials that differ: {study.cure}."
    degrees = [(0.7, "agree"), (0.3, "agree in part"), (-0.3, "hardly agree"), (-1.1, "contradict each other")]
    how = next(words for least, words in degrees if rho > least)
    return (
        f"{front}; the two metrics {how} on which trial is better (Spearman's rank correlation {rho:.2f}, where 1 is "
        "full agreement)."
    )


def _disputed(disputed: pd.DataFrame, first: Metric, second: Metric) -> str:
    if disputed.empty:
        return ""
    row = disputed.iloc[0]
    return (
        f" They are furthest apart on trial {row['trial']} ({row['source']}): number {text(row['first_rank'])} by "
        f"{first.name.upper()}, {text(row['second_rank'])} by {second.name.upper()}."
    )
