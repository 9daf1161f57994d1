"""1. The answer: the best configuration, and what transfer gains over scratch at equal cost."""

import json
from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.evidence import Evidence, of_each, origin, parts
from analysis.figures.scatter import forest
from analysis.findings.gains import Gain, Side
from analysis.page import Block, Plot, Section, Sheet, Text, duration, plural, sheet, text
from analysis.tables import PARTS, Score
from search.records.results import flat_config
from spaces.config import SCRATCH

TOP = 10
_COSTS = {"images_seen": "images", "train_seconds": "seconds"}


def section(studies: Sequence[Evidence]) -> Section:
    """A block a study; of several, how many transfer wins, and by what share."""
    return of_each("answer", "The answer", studies, _block, _overview)


def _overview(studies: Sequence[Evidence]) -> str:
    compared = [e.gains[0] for e in studies if e.gains]
    if not compared:
        return "No study compares transfer with scratch at equal images yet."
    shares = [gain.share for gain in compared]
    ahead = sum(gain.value > 0 for gain in compared)
    settled = sum(gain.settled for gain in compared)
    return (
        f"Transfer is ahead of scratch at equal images in {ahead} of {plural(len(compared), 'study', 'studies')} that compare "
        f"them: better by {_percent(min(shares))} to {_percent(max(shares))} of scratch's score; in {settled} of them the "
        "interval over seeds leaves out zero."
    )


def _block(e: Evidence) -> Block:
    best = e.answer.best
    if best is None:
        lead = f"Not enough data: no trial has a score yet ({_counts(e)}); {e.cure}."
        return Block(lead, facts=_spent(e), sheets=[_all_trials(e)])
    row = e.rows[e.rows["trial"] == best.trial].iloc[-1]
    chosen = [f"{name} {text(row[name])}" for name in e.settings if not pd.isna(row[name])]
    config = {name: None if pd.isna(row[name]) else row[name] for name in flat_config(e.spec.base)}
    whole = json.dumps(config, indent=2, default=lambda value: value.item())
    return Block(
        f"{_winner(e, best)} {verdict(e)}",
        notes=[
            f"Settings of trial {best.trial} that vary in this study: {', '.join(chosen) or 'none'}.",
            _caution(e),
            *([f"For intervals, {e.grid}."] if e.gains and e.gains[0].interval is None else []),
            e.floor,
        ],
        facts=[*_best_facts(e, best), *map(_gain_fact, e.gains), *_spent(e)],
        plots=[_forest(e)] if e.gains else [],
        sheets=[*([_both_sides(e)] if e.gains else []), _best_trials(e), _all_trials(e)],
        texts=[Text(f"All settings of trial {best.trial}", whole)],
    )


def _winner(e: Evidence, best: Score) -> str:
    so_far = "" if e.over else " so far"
    return (
        f"Best{so_far} is trial {best.trial}, {origin(best)}: {e.metric.label} {text(best.value)} after "
        f"{text(best.images_seen)} images and {duration(best.seconds)} of training."
    )


def verdict(e: Evidence) -> str:
    """What transfer gains at equal images and at equal seconds, in a sentence each; or what is missing for it."""
    if not e.gains:
        scratch = e.ranked["source"] == SCRATCH
        missing = (
            "scratch" if not scratch.any() else "transfer" if scratch.all() else "pair of evaluations of either side"
        )
        return f"Not enough data to compare transfer with scratch: no {missing} has a score at equal images; {e.cure}."
    first, *rest = e.gains
    said = f"At equal images ({text(int(first.at))}) {_side(first.transfer)} has {_mean(first.transfer)} and "
    said += f"{_side(first.scratch)} {_mean(first.scratch)}: {_outcome(first)}"
    said += "".join(f"; at equal seconds ({text(round(gain.at, 1))}), {_outcome(gain)}" for gain in rest)
    return f"{said}." + ("" if first.interval else " One seed on a side: how much of it is chance is not known.")


def _side(side: Side) -> str:
    return f"the best configuration {origin(side)} ({plural(len(side.values), 'seed')})"


def _mean(side: Side) -> str:
    return text(side.mean) if len(side.values) == 1 else f"{text(side.mean)} in the mean"


def _outcome(gain: Gain) -> str:
    if gain.value == 0:
        return "it is a tie"
    words = f"transfer is {'better' if gain.value > 0 else 'worse'} by {text(abs(gain.value))}"
    words += f" ({_percent(abs(gain.share))} of scratch's)"
    if gain.interval is None:
        return words
    low, high = gain.interval
    told = "" if gain.settled else ", which the seeds do not tell from chance"
    return f"{words}, 95 % interval {text(low)} to {text(high)}{told}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _best_facts(e: Evidence, best: Score) -> list[tuple[str, str, str]]:
    floor = "" if best.floor is None else f"; floor {text(best.floor)}"
    return [
        ("best score", text(best.value), f"{e.metric.label}, {e.metric.goal}{floor}"),
        ("from", best.source, f"{parts(best.parts)}, trial {best.trial}, {text(best.images_seen)} images seen"),
    ]


def _gain_fact(gain: Gain) -> tuple[str, str, str]:
    spread = "one seed on a side" if gain.interval is None else " to ".join(map(text, gain.interval))
    at = f"at {text(int(gain.at))} images" if gain.cost == "images_seen" else f"at {duration(gain.at)}"
    sign = "+" if gain.value > 0 else ""
    return (
        f"gain at equal {_COSTS[gain.cost]}",
        f"{sign}{text(gain.value)}",
        f"{spread}; {at}; above 0, transfer is better",
    )


def _spent(e: Evidence) -> list[tuple[str, str, str]]:
    return [
        ("trials", text(len(e.trials)), _counts(e)),
        (e.unit, text(e.hours), f"{duration(e.answer.seconds)} of all trials added up"),
    ]


def _counts(e: Evidence) -> str:
    return ", ".join(f"{n} {status}" for status, n in e.answer.statuses.items()) or "none has started"


def _caution(e: Evidence) -> str:
    fixed = not set(tables.SEEDS) & set(e.settings)
    seeds = "All trials share one seed, so how much of a difference is chance is not known. " if fixed else ""
    transfer, scratch = e.answer.transfer_trials, e.answer.scratch_trials
    return (
        f"{seeds}A trial's score is that of its last evaluation, never its best one; trials that diverged or failed "
        "have none. A configuration is all settings but the seeds, and its score the mean over them; of each side the best "
        "one is compared, among trials with as many target images. Equal images: the most that a trial of each side has "
        "seen and has a score at. Equal seconds: of training, evaluation left out, between evaluations linearly. Intervals "
        f"are Welch's. More trials on a side favour it: here {plural(transfer, 'transfer trial')} stand against "
        f"{plural(scratch, 'scratch trial')}."
    )


def _forest(e: Evidence) -> Plot:
    frame = pd.DataFrame(
        [
            {
                "source": gain.transfer.source,
                "parts": parts(gain.transfer.parts),
                "cost": _COSTS[gain.cost],
                "share": gain.share,
                "low": gain.interval[0] / abs(gain.scratch.mean) if gain.interval else float("nan"),
                "high": gain.interval[1] / abs(gain.scratch.mean) if gain.interval else float("nan"),
            }
            for gain in e.gains
        ]
    )
    alt = f"Gain of transfer over scratch in % of scratch's {e.metric.label}, at equal images and at equal seconds."
    return Plot("Gain over scratch", forest(frame), alt)


def _both_sides(e: Evidence) -> Sheet:
    rows = [
        [
            f"equal {_COSTS[gain.cost]}", text(round(gain.at, 1)), side.source, parts(side.parts), text(side.mean),
            text(min(side.values)), text(max(side.values)), text(len(side.values)), ", ".join(map(str, side.trials)),
        ]
        for gain in e.gains
        for side in (gain.transfer, gain.scratch)
    ]  # fmt: skip
    columns = ["cost", "at", "source", "networks", f"mean {e.metric.label}", "lowest", "highest", "seeds", "trials"]
    return Sheet("Both sides at equal cost", columns, rows)


def _names(e: Evidence) -> dict[str, str]:
    more = {PARTS: "parts", "train_seconds": "seconds", "images_seen": "images seen"}
    return {metric.name: metric.label for metric in e.metrics} | more


def _best_trials(e: Evidence) -> Sheet:
    shown = e.ranked.head(TOP).drop(columns="error")
    return sheet(f"Best trials by {e.metric.label} ({e.metric.goal})", shown, _names(e), folded=False)


def _all_trials(e: Evidence) -> Sheet:
    return sheet("All trials, with errors", e.trials, _names(e))
