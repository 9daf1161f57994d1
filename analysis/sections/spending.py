"""8. Search: the best so far against cost, the rungs, and what was stopped when."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures.lines import best_so_far as best_plot
from analysis.figures.lines import fates
from analysis.findings.spending import believed, best_so_far, device_hours, rungs, whole_cost
from analysis.page import Block, Plot, Section, sheet, text
from analysis.study_data import StudyData, of_each
from search.records.study import rung_images
from spaces.counts import plural


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study; over several studies it adds up their trials and hours."""
    return of_each("search", "Search", studies, _block, _overview)


def _overview(studies: Sequence[StudyData]) -> str:
    trials = sum(len(study.trials) for study in studies)
    hours = dict.fromkeys((device_hours(study.spec)[0] for study in studies), 0.0)
    for study in studies:
        hours[study.unit] += float(best_so_far(study.rows, study.spec, study.metric)["hours"].max() or 0.0)
    said = " and ".join(f"{text(spent)} {unit}" for unit, spent in hours.items())
    return f"{plural(trials, 'trial')} in {plural(len(studies), 'study', 'studies')} took {said}."


def _block(study: StudyData) -> Block:
    spent = best_so_far(study.rows, study.spec, study.metric)
    if spent.empty:
        return Block(f"Not enough data: no trial has started; {study.cure}.")
    marks = rung_images(study.spec)
    plots = []
    if spent["value"].notna().any():
        what = (
            f"Step chart of the best {study.metric.label} so far against {study.unit} of all trials, a point a trial."
        )
        figure = best_plot(spent, study.unit, study.metric, study.looks, study.hovers)
        plots.append(Plot("Best so far", figure, what))
    plots.append(
        Plot(
            "How far each trial went",
            fates(spent, marks, study.hovers),
            "Scatter plot of images seen by trial number and how it ended.",
        )
    )
    names = study.names | {
        "hours": f"{study.unit} until then",
        "value": study.metric.label,
        "best": "best so far",
        "diverged_or_failed": "diverged or failed before the next",
    }
    notes = [
        f"{study.unit[0].upper()}{study.unit[1:]} are of wall time, evaluation included, added up in the order of the trials' "
        "numbers, as if one had run after another."
    ]
    if study.spec.stopping == "curves":
        notes.append(
            "At each evaluation a trial's curve was carried on to its budget, by the curves of earlier trials and of these. It "
            "was stopped where the improvement over the best so far that this promised, for what it still cost, was less than a "
            "new trial's for the whole of its cost. The first trial from scratch always goes on."
        )
    elif study.spec.early_stopping and not study.spec.front:
        notes.append(
            f"ASHA looks at a trial at each rung, and lets it go on while it is among the best 1/{study.spec.reduction_factor} "
            "that came so far; the first trial from scratch always goes on, as what transfer is compared with."
        )
    if study.drawn and (spent["status"] == "stopped").any():
        notes.append(f"A stopped trial's score is that of its last rung. {study.drawn}")
    sheets = [
        sheet("Rungs", rungs(study.rows, study.spec), names, folded=False),
        study.whole_or_head("Every trial, in order", spent, names),
    ]
    beliefs = believed(study.paths, spent)
    if not beliefs.empty:
        sheets.append(study.whole_or_head("What was believed at each decision, and what came of it", beliefs, _BELIEFS))
        notes.append(_held(beliefs))
    return Block(_said(study, spent), notes=notes, plots=plots, sheets=sheets)


_BELIEFS = {
    "images": "images seen",
    "expected": "expected at the budget",
    "low": "90 %: from",
    "high": "to",
    "chance": "chance to beat the best",
    "worth": "worth, beside a new trial",
    "then": "it",
    "came": "it came to",
}


def _held(beliefs: pd.DataFrame) -> str:
    known = beliefs.dropna(subset=["came"])
    if known.empty:
        return "No trial of which something was believed has come to its end yet."
    held = int(known["came"].between(known["low"], known["high"]).sum())
    return (
        f"Of {plural(len(known), 'belief')} on trials that came to their end, the 90 % interval held that score in {held}; "
        "what a stopped trial would have come to nobody knows."
    )


def _said(study: StudyData, spent: pd.DataFrame) -> str:
    hours = float(spent["hours"].iloc[-1])
    said = f"{plural(len(spent), 'trial')} took {text(hours)} {study.unit}"
    if study.spec.early_stopping:
        stopped = int((spent["status"] == "stopped").sum())
        said += f"; early stopping ended {stopped} of them"
        if stopped and hours:
            share = hours / whole_cost(study.rows, study.spec)
            said += f", so the search cost {share:.0%} of what all trials to the end would have"
    led = spent.dropna(subset=["best"])
    if led.empty:
        return f"{said}; not enough data for a best so far: no trial has a score yet, {study.cure}."
    found = led[led["best"] == led["best"].iloc[-1]].iloc[0]
    share = found["hours"] / hours if hours else 1.0
    return f"{said}; the best one was found by trial {found['trial']}, after {share:.0%} of the cost."
