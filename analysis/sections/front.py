"""The front of a search by several goals: its trials, what one pays from each to the next, and how it grew with cost."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures.lines import covered as covered_plot
from analysis.figures.scatter import trade_off
from analysis.findings.covering import BEYOND, covered
from analysis.page import Block, Plot, Section, sheet, text
from analysis.study_data import StudyData, of_each
from search.fronts import Member, exchanges
from spaces.counts import plural


def applies(studies: Sequence[StudyData]) -> bool:
    """Whether any study searched a front."""
    return any(study.spec.front for study in studies)


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study."""
    return of_each("front", "The front", studies, _block, lambda _: "What each study's front is of, and what it costs.")


def _block(study: StudyData) -> Block:
    if not study.spec.front:
        return Block(f"The study went by {study.metric.label} alone.")
    spent = covered(study.rows, study.spec, study.goals)
    if not spent["front"].any():
        return Block(f"Not enough data: no trial has come to its end with all scores; {study.cure}.")
    first = study.goals[0]
    shown = study.trials.drop(columns=[goal.name for goal in study.goals]).merge(
        spent[["trial", "front", *(goal.name for goal in study.goals)]], on="trial"
    )
    plots = [
        Plot(
            f"{other.label} against {first.label}",
            trade_off(shown, first, other, study.looks, hovers=study.hovers, on_front=shown["front"]),
            f"Scatter plot of {other.label} against {first.label}, a point a trial to its end, the front ringed.",
        )
        for other in study.goals[1:]
    ]
    plots.append(
        Plot(
            "What is covered, against cost",
            covered_plot(spent, study.unit),
            f"Step chart of the share of the goals' space that the front covers against {study.unit} of all trials.",
        )
    )
    front = spent[spent["front"]].sort_values(first.name, ascending=first.sign == 1)
    names = study.names | {goal.name: goal.label for goal in study.goals}
    names |= {"hours": f"{study.unit} until then", "front": "on the front", "covered": "covered until then"}
    columns = ["trial", "source", *(goal.name for goal in study.goals)]
    every = spent.assign(front=spent["front"].map({True: "yes", False: ""}))
    return Block(
        _said(study, spent),
        notes=[*_exchanged(study, front), _protocol(study)],
        plots=plots,
        sheets=[
            sheet("The front", front[columns], names, folded=False),
            study.whole_or_head("All trials", every, names),
        ],
    )


def _said(study: StudyData, spent: pd.DataFrame) -> str:
    labels = [goal.label for goal in study.goals]
    share, through = float(spent["covered"].iloc[-1]), int(spent[study.goals[0].name].notna().sum())
    near = spent[spent["covered"] >= 0.95 * share].iloc[0]
    hours = float(spent["hours"].iloc[-1])
    when = f", 95 % of that after {near['hours'] / hours:.0%} of the cost" if hours else ""
    on_front = f"{int(spent['front'].sum())} of {plural(through, 'trial')} to the end"
    return f"{on_front} are on the front of {' and '.join(labels)}; it covers {share:.0%} of their space{when}."


def _exchanged(study: StudyData, front: pd.DataFrame) -> list[str]:
    members = [
        Member(int(row["trial"]), str(row["source"]), {goal.name: float(row[goal.name]) for goal in study.goals})
        for row in front.to_dict("records")
    ]
    found = exchanges(members, study.goals)
    return [f"What one buys, and for what: {'; '.join(found)}."] if found else []


def _protocol(study: StudyData) -> str:
    said = (
        "Trials count that spent their budget and have every score. Covered is the hypervolume, in units of the box between the "
        f"best score of each goal and a corner {text(100 * BEYOND)} % of their range beyond the worst of each; it moves with the "
        "worst trial, so it compares within a study alone."
    )
    if not study.spec.early_stopping:
        return said
    return (
        f"{said} At each rung a trial went on where less than 1/{study.spec.reduction_factor} of those before it came ahead, "
        "by the front that they were on there, and on one front by the room to their neighbours."
    )
