"""1. The answer: the best configuration, what transfer gains over scratch at equal cost, and training over the source."""

import json
from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.figures.scatter import forest
from analysis.findings.gains import Gain, Side
from analysis.findings.trends import said
from analysis.page import Block, Plot, Section, Sheet, Text, duration, sheet, text
from analysis.study_data import StudyData, of_each
from analysis.tables import WAY, Score
from analysis.words import (
    after,
    baseline,
    by_the_curves,
    mean,
    origin,
    over_scratch,
    over_the_source,
    percent,
    used,
    with_seeds,
)
from spaces.config import SCRATCH
from spaces.counts import plural

TOP = 10
_COSTS = {"images_seen": "images", "seconds": "seconds"}


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study; over several studies it says how many transfer wins, and by what share."""
    return of_each("answer", "The answer", studies, _block, _overview)


def _overview(studies: Sequence[StudyData]) -> str:
    return _transfer_overview(studies) + _training_overview(studies)


def _transfer_overview(studies: Sequence[StudyData]) -> str:
    compared = [study.gains[0] for study in studies if study.gains]
    if not compared:
        return "No study compares transfer with scratch at equal images yet."
    shares = [gain.share for gain in compared]
    ahead = sum(gain.value > 0 for gain in compared)
    settled = sum(gain.settled for gain in compared)
    untrained = sum(gain.transfer.is_untrained for gain in compared)
    return (
        f"Transfer is ahead of scratch at equal images in {ahead} of {plural(len(compared), 'study', 'studies')} that compare "
        f"them: better by {percent(min(shares))} to {percent(max(shares))} of scratch's score; in {settled} of them the "
        "interval over seeds leaves out zero."
    ) + (f" In {untrained} of them what is best trains nothing." if untrained else "")


def _training_overview(studies: Sequence[StudyData]) -> str:
    found = [gain for study in studies if (gain := study.gain_of_training)]
    if not found:
        return ""
    better = sum(gain.value > 0 for gain in found)
    whole = plural(len(found), "study that samples it", "studies that sample it")
    return f" Training improves on the source as it is in {better} of {whole}."


def _block(study: StudyData) -> Block:
    best = study.answer.best
    if best is None:
        said = f"Not enough data: no trial has a score yet ({_counts(study)})"
        lead = f"{study.standing} {said}." if study.standing else f"{said}; {study.cure}."
        return Block(lead, facts=_spent(study), sheets=[_all_trials(study)])
    row = study.rows[study.rows["trial"] == best.trial].iloc[-1]
    chosen = [f"{name} {text(row[name])}" for name in study.settings if not pd.isna(row[name])]
    whole = json.dumps(tables.config_values(row), indent=2)
    return Block(
        f"{study.standing} {_winner(study, best)} {verdict(study)}".strip(),
        notes=[
            f"Settings of trial {best.trial} that vary in this study: {', '.join(chosen) or 'none'}.",
            _caution(study),
            *([f"For intervals, {study.grid}."] if study.gains and study.gains[0].interval is None else []),
            study.floor,
        ],
        facts=[*_best_facts(study, best), *_gain_facts(study), *_spent(study)],
        plots=[_forest(study)] if study.gains else [],
        sheets=[
            *([_both_sides(study)] if study.gains else []),
            _best_trials(study),
            _all_trials(study),
            *_trends(study),
        ],
        texts=[Text(f"All settings of trial {best.trial}", whole)],
    )


def _winner(study: StudyData, best: Score) -> str:
    so_far = "" if study.state == "completed" else " so far"
    cost = "" if best.way in tables.UNTRAINED else f" and {duration(best.seconds)} of training and evaluation"
    return f"Best{so_far} is trial {best.trial}, {origin(best)}: {study.metric.label} {text(best.value)} {after(best)}{cost}."


def verdict(study: StudyData) -> str:
    """What transfer gains over scratch, and training over the source as it is where that was sampled; or what is missing.

    And whether the curves still fall where they end, which says how far that carries.
    """
    said = [over_the_source(study.gain_of_training)] if study.gain_of_training else []
    if study.answer.best:
        said.append(by_the_curves(study.trends, study.answer.best, study.metric))
    return " ".join([_against_scratch(study), *(f"{line[0].upper()}{line[1:]}." for line in said)])


def _against_scratch(study: StudyData) -> str:
    """What transfer gains at equal images and at equal seconds, in a sentence each; or what is missing for it."""
    if not study.gains:
        scratch = tables.of_a_side(study.ranked)["source"] == SCRATCH
        missing = (
            "scratch" if not scratch.any() else "transfer" if scratch.all() else "pair of evaluations of either side"
        )
        return (
            f"Not enough data to compare transfer with scratch: no {missing} has a score at equal images; {study.cure}."
        )
    first, *rest = study.gains
    said = f"At equal images ({text(int(first.at))}) {with_seeds(first.transfer)} has {mean(first.transfer)} and "
    said += f"{with_seeds(first.baseline)} {mean(first.baseline)}: {over_scratch(first)}"
    said += "".join(f"; at equal seconds ({text(round(gain.at, 1))}), {over_scratch(gain)}" for gain in rest)
    return f"{said}." + ("" if first.interval else " One seed on a side: how much of it is chance is not known.")


def _best_facts(study: StudyData, best: Score) -> list[tuple[str, str, str]]:
    floor = "" if best.floor is None else f"; floor {text(best.floor)}"
    return [
        ("best score", text(best.value), f"{study.metric.label}, {study.metric.goal}{floor}"),
        ("from", best.source, f"{used(best.way)}, trial {best.trial}, {text(best.images_seen)} images seen"),
    ]


def _gain_facts(study: StudyData) -> list[tuple[str, str, str]]:
    facts = [(f"gain at equal {_COSTS[gain.cost]}", gain, _above_zero(gain)) for gain in study.gains]
    if study.gain_of_training:
        over = baseline(study.gain_of_training.baseline)
        facts.append((f"gain over {over}", study.gain_of_training, "above 0, training is better"))
    return [
        (label, f"{'+' if gain.value > 0 else ''}{text(gain.value)}", _remark(gain, how)) for label, gain, how in facts
    ]


def _above_zero(gain: Gain) -> str:
    return f"above 0, {'what trains nothing' if gain.transfer.is_untrained else 'transfer'} is better"


def _remark(gain: Gain, how_to_read: str) -> str:
    spread = "one seed on a side" if gain.interval is None else " to ".join(map(text, gain.interval))
    at = f"at {text(int(gain.at))} images" if gain.cost == "images_seen" else f"at {duration(gain.at)}"
    return f"{spread}; {at}; {how_to_read}"


def _spent(study: StudyData) -> list[tuple[str, str, str]]:
    return [
        ("trials", text(len(study.trials)), _counts(study)),
        (study.unit, text(study.hours), f"{duration(study.answer.seconds)} of all trials added up"),
    ]


def _counts(study: StudyData) -> str:
    return ", ".join(f"{n} {status}" for status, n in study.answer.statuses.items()) or "none has started"


def _caution(study: StudyData) -> str:
    fixed = not set(tables.SEEDS) & set(study.settings)
    seeds = "All trials share one seed, so how much of a difference is chance is not known. " if fixed else ""
    transfer, scratch = study.answer.transfer_trials, study.answer.scratch_trials
    untrained = (
        " A source as it is has its score at any cost and with any seed, as nothing is trained."
        if study.has_untrained
        else ""
    )
    return (
        f"{seeds}A trial's score is that of its last evaluation, never its best one; trials that diverged or failed "
        "have none. A configuration is all settings but the seeds, and its score the mean over them; of each side the best "
        "one is compared, among trials with as many target images. Equal images: the most that a trial of each side has "
        "seen and has a score at. Equal seconds: of training and evaluation, between evaluations linearly. The best of "
        "many has the best luck too: intervals are of what fresh seeds would show, that choice allowed for. Here "
        f"{plural(transfer, 'transfer trial')} stand against {plural(scratch, 'scratch trial')}.{untrained}"
    )


def _forest(study: StudyData) -> Plot:
    frame = pd.DataFrame(
        [
            {
                "source": gain.transfer.source,
                WAY: used(gain.transfer.way),
                "cost": _COSTS[gain.cost],
                "share": gain.share,
                "low": gain.interval[0] / abs(gain.baseline.mean) if gain.interval else float("nan"),
                "high": gain.interval[1] / abs(gain.baseline.mean) if gain.interval else float("nan"),
            }
            for gain in study.gains
        ]
    )
    alt = f"Gain of transfer over scratch in % of scratch's {study.metric.label}, at equal images and at equal seconds."
    return Plot("Gain over scratch", forest(frame), alt)


def _both_sides(study: StudyData) -> Sheet:
    columns = ["cost", "at", "source", "networks", f"mean {study.metric.label}", "lowest", "highest", "seeds", "trials"]
    rows = [_side(gain, side) for gain in study.gains for side in (gain.transfer, gain.baseline)]
    return Sheet("Both sides at equal cost", columns, rows)


def _trends(study: StudyData) -> list[Sheet]:
    """A row an arm, with what its curve does at its end."""
    columns = [
        "source",
        "used",
        "trials",
        "first at",
        "last step from",
        "to",
        "change in it",
        "since the first",
        "noise",
        "is",
    ]
    rows = [
        [
            trend.side.source,
            used(trend.side.way),
            ", ".join(map(str, trend.side.trials)),
            *map(text, (trend.first, trend.before, trend.last)),
            *(percent(x) if study.metric.is_ratio else text(x) for x in (trend.step, trend.whole, trend.noise)),
            said(trend, study.metric),
        ]
        for trend in study.trends
    ]
    caption = (
        "What the curves do at their end, by the best configuration of each arm; a step below the noise counts as none"
    )
    return [Sheet(caption, columns, rows)] if rows else []


def _side(gain: Gain, side: Side) -> list[str]:
    return [
        f"equal {_COSTS[gain.cost]}",
        text(round(gain.at, 1)),
        side.source,
        used(side.way),
        text(side.mean),
        text(min(side.values)),
        text(max(side.values)),
        text(len(side.values)),
        ", ".join(map(str, side.trials)),
    ]


def _names(study: StudyData) -> dict[str, str]:
    return {metric.name: metric.label for metric in study.metrics} | study.names


def _best_trials(study: StudyData) -> Sheet:
    shown = study.ranked.head(TOP).drop(columns="error")
    return sheet(f"Best trials by {study.metric.label} ({study.metric.goal})", shown, _names(study), folded=False)


def _all_trials(study: StudyData) -> Sheet:
    return sheet("All trials, with errors", study.trials, _names(study))
