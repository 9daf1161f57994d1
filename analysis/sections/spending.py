"""8. Search: the best so far against cost, the rungs, and what was stopped when."""

from collections.abc import Sequence

import pandas as pd

from analysis.evidence import Evidence, of_each
from analysis.figures.lines import best_so_far as best_plot
from analysis.figures.lines import fates
from analysis.findings.spending import best_so_far, device_hours, rung_images, rungs, whole_cost
from analysis.page import Block, Plot, Section, plural, sheet, text


def section(studies: Sequence[Evidence]) -> Section:
    """A block a study; of several, all trials and hours together."""
    return of_each("search", "Search", studies, _block, _overview)


def _overview(studies: Sequence[Evidence]) -> str:
    trials = sum(len(e.trials) for e in studies)
    hours = dict.fromkeys((device_hours(e.spec)[0] for e in studies), 0.0)
    for e in studies:
        hours[e.unit] += float(best_so_far(e.rows, e.spec, e.metric)["hours"].max() or 0.0)
    said = " and ".join(f"{text(spent)} {unit}" for unit, spent in hours.items())
    return f"{plural(trials, 'trial')} in {plural(len(studies), 'study', 'studies')} took {said}."


def _block(e: Evidence) -> Block:
    spent = best_so_far(e.rows, e.spec, e.metric)
    if spent.empty:
        return Block(f"Not enough data: no trial has started; {e.cure}.")
    marks = rung_images(e.spec)
    plots = [
        Plot(
            "Best so far",
            best_plot(spent, e.unit, e.metric, e.looks, e.hovers),
            f"Step chart of the best {e.metric.label} so far against {e.unit} of all trials, a point a trial.",
        )
    ] if spent["value"].notna().any() else []  # fmt: skip
    plots.append(
        Plot(
            "How far each trial went",
            fates(spent, marks, e.hovers),
            "Scatter plot of images seen by trial number and how it ended.",
        )
    )
    names = {
        "images_seen": "images seen", "hours": f"{e.unit} until then", "value": e.metric.label, "best": "best so far",
        "diverged_or_failed": "diverged or failed before the next",
    }  # fmt: skip
    notes = [
        f"{e.unit[0].upper()}{e.unit[1:]} are of wall time, evaluation included, added up in the order of the trials' "
        "numbers, as if one had run after another."
    ]
    if e.spec.early_stopping:
        notes.append(
            f"ASHA looks at a trial at each rung, and lets it go on while it is among the best 1/{e.spec.reduction_factor} "
            "that came so far; the first trial from scratch always goes on, as what transfer is compared with."
        )
    sheets = [
        sheet("Rungs", rungs(e.rows, e.spec), names, folded=False),
        e.whole_or_head("Every trial, in order", spent, names),
    ]
    return Block(_said(e, spent), notes=notes, plots=plots, sheets=sheets)


def _said(e: Evidence, spent: pd.DataFrame) -> str:
    hours = float(spent["hours"].iloc[-1])
    said = f"{plural(len(spent), 'trial')} took {text(hours)} {e.unit}"
    if e.spec.early_stopping:
        stopped = int((spent["status"] == "stopped").sum())
        said += f"; early stopping ended {stopped} of them"
        if stopped and hours:
            said += f", so the search cost {hours / whole_cost(e.rows, e.spec):.0%} of what all trials to the end would have"
    led = spent.dropna(subset=["best"])
    if led.empty:
        return f"{said}; not enough data for a best so far: no trial has a score yet, {e.cure}."
    found = led[led["best"] == led["best"].iloc[-1]].iloc[0]
    share = found["hours"] / hours if hours else 1.0
    return f"{said}; the best one was found by trial {found['trial']}, after {share:.0%} of the cost."
