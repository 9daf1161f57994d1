"""2. Quality against cost: learning curves, and the cost to reach a score with and without transfer."""

from collections.abc import Sequence

import pandas as pd

from analysis.evidence import Evidence, of_each, origin
from analysis.figures.curves import learning_curves, speedups
from analysis.findings.thresholds import race
from analysis.page import Block, Plot, Section, Sheet, duration, sheet, text
from analysis.tables import PARTS

_HEADINGS = {"images_seen": "Against images seen", "train_seconds": "Against seconds of training"}


def section(studies: Sequence[Evidence]) -> Section:
    """A block a study; of several, the range of speed-ups at the loosest and at the tightest score."""
    return of_each("cost", "Quality against cost", studies, _block, _overview)


def _race(e: Evidence) -> pd.DataFrame:
    return race(e.rows, e.gains[0], e.metric)


def _overview(studies: Sequence[Evidence]) -> str:
    compared = [e for e in studies if e.gains]
    if not compared:
        return "No study has transfer and scratch to compare yet."
    races = [found for e in compared if len(found := _reached(_race(e))["speedup_images"])]
    if not races:
        return "In no study did transfer and scratch both come to one score."
    loose, tight = ([float(found.iloc[i]) for found in races] for i in (0, -1))
    return (
        f"To the loosest score, scratch needs {text(min(loose))} to {text(max(loose))} times the images of transfer; to the "
        f"tightest one, {text(min(tight))} to {text(max(tight))} times."
    )


def _block(e: Evidence) -> Block:
    measured = e.rows[e.rows[e.metric.name].notna()]
    if measured.empty:
        return Block(f"Not enough data: no evaluation has {e.metric.label}; {e.cure}.")
    floor = measured[f"{e.metric.name}_floor"].median()
    sides = [side.trials[0] for gain in e.gains[:1] for side in (gain.transfer, gain.scratch)]
    best = [e.answer.best.trial] if e.answer.best else []
    plots = [
        Plot(
            heading,
            learning_curves(
                measured.rename(columns={"hours": e.unit}), e.metric, cost, e.looks, hovers=e.hovers,
                floor=None if pd.isna(floor) else float(floor), highlighted=sorted({*sides, *best}),
            ),
            f"Line chart of {e.metric.label} {heading.lower()}, a line a trial, coloured by source.",
        )
        for cost, heading in (_HEADINGS | {e.unit: f"Against {e.unit}"}).items()
    ]  # fmt: skip
    notes = [
        "A line a trial, a colour and a marker a source; thick are the best trial and one seed of either side of the answer. "
        "Seconds and hours are of training alone, evaluation left out. Dashed: the floor.",
        e.floor,
    ]
    columns = ["trial", "source", PARTS, "images_seen", "train_seconds", "hours", e.metric.name]
    names = {PARTS: "parts", "images_seen": "images seen", "train_seconds": "seconds", "hours": e.unit}
    behind = e.whole_or_head("Every evaluation", measured[columns], names | {e.metric.name: e.metric.label})
    if not e.gains:
        lead = f"Not enough data to compare the cost of transfer with that of scratch; {e.cure}."
        return Block(lead, notes=notes, plots=plots, sheets=[behind])
    found = _race(e)
    plots.append(Plot("Speed-up by the score to reach", speedups(found, e.metric), "Line chart of how many times the cost "
                      "scratch needs to reach a score that transfer has reached, by that score."))  # fmt: skip
    notes.insert(1, _how(e))
    return Block(_said(e, found), notes=notes, plots=plots, sheets=[_times(e, found), behind])


def _said(e: Evidence, found: pd.DataFrame) -> str:
    gain = e.gains[0]
    who = f"the best configuration {origin(gain.transfer)}"
    both, last = _reached(found), found.iloc[-1]
    if both.empty:
        first = found.iloc[0]
        if first["bound"] != "never" or pd.isna(first["transfer_images"]):
            return f"{who[0].upper()}{who[1:]} and scratch have no score that both reached."
        return (
            f"{who[0].upper()}{who[1:]} had {e.metric.label} {text(first['threshold'])} after {text(first['transfer_images'])} "
            f"images ({duration(first['transfer_seconds'])}); scratch never did, in {text(float(first['speedup_images']))} times "
            "the images."
        )
    loose, tight = both.iloc[0], both.iloc[-1]
    said = f"To {e.metric.label} {text(loose['threshold'])}, {who} needs {text(loose['transfer_images'])} images "
    said += f"({duration(loose['transfer_seconds'])}); scratch needs {_times_more(loose)}"
    if len(both) > 1:
        said += f", and to {text(tight['threshold'])} {_times_more(tight)}{_trend(loose, tight)}"
    if last["bound"] == "never":
        said += f"; {text(last['threshold'])}, which transfer reached, scratch never did"
    return f"{said}."


def _reached(found: pd.DataFrame) -> pd.DataFrame:
    """The thresholds that every seed of both sides reached."""
    return found[(found["bound"] != "never") & found["speedup_images"].notna()]


def _trend(loose: pd.Series, tight: pd.Series) -> str:
    """What the speed-up does from the loosest to the tightest score; a bound says only so much."""
    ratio = tight["speedup_images"] / loose["speedup_images"]
    if ratio < 0.9 and not tight["bound"]:
        return ": the speed-up shrinks as the score tightens"
    if ratio > 1.1 and not loose["bound"]:
        return ": the speed-up grows as the score tightens"
    if loose["bound"] or tight["bound"]:
        return "; evaluations are too far apart to say how the speed-up changes"
    return ": the speed-up stays about the same"


def _times_more(row: pd.Series) -> str:
    bound, times = f"{row['bound']} " if row["bound"] else "", text(float(row["speedup_images"]))
    return f"{bound}as many images" if times == "1" else f"{bound}{times} times the images"


def _how(e: Evidence) -> str:
    return (
        "The scores to reach are those that either configuration came to with all its seeds, from the first evaluation of the "
        "faster one to its last. Cost: at the first evaluation as good, median over seeds. Triangles: at least so much, for "
        "transfer was better at its very first evaluation, or scratch never as good."
    )


def _times(e: Evidence, found: pd.DataFrame) -> Sheet:
    names = {"threshold": f"{e.metric.label} to reach", "bound": "speed-ups are"}
    names |= {f"{side}_{what}": f"{side}: {words}" for side in ("transfer", "scratch")
              for what, words in (("images", "images"), ("seconds", "seconds"), ("reached", "seeds there"))}  # fmt: skip
    names |= {"speedup_images": "speed-up in images", "speedup_seconds": "speed-up in seconds"}
    shown = found.assign(bound=found["bound"].replace({"": "exact", "never": "at least (scratch never got there)"}))
    return sheet(
        "Cost to reach a score", shown.round({"transfer_seconds": 1, "scratch_seconds": 1}), names, folded=False
    )
