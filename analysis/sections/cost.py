"""2. Quality against cost: learning curves, and the cost to reach a score with and without transfer."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures.curves import learning_curves, speedups
from analysis.findings.gains import Gain
from analysis.findings.thresholds import cost_to_match, race, spent
from analysis.page import Block, Plot, Section, Sheet, duration, sheet, text
from analysis.study_data import StudyData, of_each
from analysis.tables import WAY
from analysis.words import configuration, origin

_HEADINGS = {"images_seen": "Against images seen", "seconds": "Against seconds of training and evaluation"}
_HOW = (
    "The scores to reach are those that either configuration came to with all its seeds, from the first evaluation of the faster "
    "one to its last. Cost: at the first evaluation as good, median over seeds. Triangles: at least so much, for transfer was "
    "better at its very first evaluation, or scratch never as good."
)


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study; over several studies it gives the range of speed-ups to the loosest and tightest score."""
    return of_each("cost", "Quality against cost", studies, _block, _overview)


def _race(study: StudyData) -> pd.DataFrame:
    return race(study.rows, study.gains[0], study.metric)


def _overview(studies: Sequence[StudyData]) -> str:
    compared = [study for study in studies if study.gains]
    if not compared:
        return "No study has transfer and scratch to compare yet."
    trained = [study for study in compared if not study.gains[0].transfer.is_untrained]
    if not trained:
        return "In every study what is best trains nothing."
    trained = [study for study in trained if not study.is_unequally_drawn]
    if not trained:
        return "In no study are scores at rungs and at trials' ends of equally many images, by a metric that depends on that."
    races = [found for study in trained if len(found := _reached(_race(study))["speedup_images"])]
    if not races:
        return "In no study did transfer and scratch both come to one score."
    loose, tight = ([float(found.iloc[i]) for found in races] for i in (0, -1))
    return (
        f"To the loosest score, scratch needs {text(min(loose))} to {text(max(loose))} times the images of transfer; to the "
        f"tightest one, {text(min(tight))} to {text(max(tight))} times."
    )


def _block(study: StudyData) -> Block:
    measured = study.rows[study.rows[study.metric.name].notna()]
    if measured.empty:
        return Block(f"Not enough data: no evaluation has {study.metric.label}; {study.cure}.")
    plots = _curves(study, measured)
    notes = [
        "A line a trial, a colour and a marker a source; thick are the best trial and one seed of either side of the answer. "
        f"{study.clock} Dashed: the floor.",
        study.floor,
    ]
    if study.drawn:
        notes.insert(1, f"{study.drawn} Dotted: the step between the two.")
    if study.has_untrained:
        notes.insert(1, "A marker without a line: a source as it is, which costs its evaluation.")
    columns = ["trial", "source", WAY, "images_seen", "seconds", "hours", study.metric.name]
    columns += ["n_drawn"] if study.drawn else []
    names = study.names | {"hours": study.unit, study.metric.name: study.metric.label, "n_drawn": "images drawn"}
    behind = study.whole_or_head("Every evaluation", measured[columns], names)
    if not study.gains:
        lead = f"Not enough data to compare the cost of transfer with that of scratch; {study.cure}."
        return Block(lead, notes=notes, plots=plots, sheets=[behind])
    if study.is_unequally_drawn:
        lead = (
            f"The cost to reach a score is not compared: {study.metric.label} depends on how many images are drawn, and at rungs "
            "they are fewer than at a trial's end."
        )
        return Block(lead, notes=notes, plots=plots, sheets=[behind])
    if study.gains[0].transfer.is_untrained:
        return Block(_said_of_source(study, study.gains[0]), notes=notes, plots=plots, sheets=[behind])
    found = _race(study)
    what = (
        "Line chart of how many times the cost scratch needs to reach a score that transfer has reached, by that score."
    )
    plots.append(Plot("Speed-up by the score to reach", speedups(found, study.metric), what))
    notes.insert(1, _HOW)
    return Block(_said(study, found), notes=notes, plots=plots, sheets=[_times(study, found), behind])


def _curves(study: StudyData, measured: pd.DataFrame) -> list[Plot]:
    """The learning curves against each cost; thick are the best trial, and one of either side of the answer."""
    floor = measured[f"{study.metric.name}_floor"].median()
    sides = [side.trials[0] for gain in study.gains[:1] for side in (gain.transfer, gain.baseline)]
    best = [study.answer.best.trial] if study.answer.best else []
    return [
        Plot(
            heading,
            learning_curves(
                measured.rename(columns={"hours": study.unit}),
                study.metric,
                cost,
                study.looks,
                hovers=study.hovers,
                highlighted=sorted({*sides, *best}),
                floor=None if pd.isna(floor) else float(floor),
            ),
            f"Line chart of {study.metric.label} {heading.lower()}, a line a trial, coloured by source.",
        )
        for cost, heading in (_HEADINGS | {study.unit: f"Against {study.unit}"}).items()
    ]


def _said_of_source(study: StudyData, gain: Gain) -> str:
    """What scratch needs to be as good as a source that was not trained at all."""
    said = f"{origin(gain.transfer)} has {study.metric.label} {text(gain.transfer.mean)} without any training"
    needed = cost_to_match(study.rows, gain, study.metric)
    if pd.isna(needed["images_seen"]):
        images, seconds = (spent(study.rows, gain.baseline, cost) for cost in ("images_seen", "seconds"))
        who = "scratch was not" if len(gain.baseline.trials) == 1 else "not every seed of scratch was"
        return f"{said}; {who} as good after {text(images)} images ({duration(seconds)})."
    return f"{said}; scratch needs {text(needed['images_seen'])} images ({duration(needed['seconds'])}) to be as good."


def _said(study: StudyData, found: pd.DataFrame) -> str:
    who = configuration(study.gains[0].transfer)
    both, last = _reached(found), found.iloc[-1]
    if both.empty:
        first = found.iloc[0]
        if first["bound"] != "never" or pd.isna(first["transfer_images"]):
            return f"{who[0].upper()}{who[1:]} and scratch have no score that both reached."
        cost = f"{text(first['transfer_images'])} images ({duration(first['transfer_seconds'])})"
        return (
            f"{who[0].upper()}{who[1:]} had {study.metric.label} {text(first['threshold'])} after {cost}; "
            f"scratch never did{_in_vain(first)}."
        )
    loose, tight = both.iloc[0], both.iloc[-1]
    said = f"To {study.metric.label} {text(loose['threshold'])}, {who} needs {text(loose['transfer_images'])} images "
    said += f"({duration(loose['transfer_seconds'])}); scratch needs {_times_more(loose)}"
    if len(both) > 1:
        said += f", and to {text(tight['threshold'])} {_times_more(tight)}{_trend(loose, tight)}"
    if last["bound"] == "never":
        said += f"; {text(last['threshold'])}, which transfer reached, scratch never did"
    return f"{said}."


def _in_vain(row: pd.Series) -> str:
    """In how many times the images scratch never did what transfer had; nothing where that is no more than transfer's."""
    times = float(row["speedup_images"])
    return "" if pd.isna(times) else f", in {text(times)} times the images"


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


def _times(study: StudyData, found: pd.DataFrame) -> Sheet:
    names = {"threshold": f"{study.metric.label} to reach", "bound": "speed-ups are"}
    for side in ("transfer", "scratch"):
        names |= {f"{side}_{what}": f"{side}: {what}" for what in ("images", "seconds")}
        names[f"{side}_reached"] = f"{side}: seeds there"
    names |= {f"speedup_{what}": f"speed-up in {what}" for what in ("images", "seconds")}
    shown = found.assign(bound=found["bound"].replace({"": "exact", "never": "at least (scratch never got there)"}))
    return sheet(
        "Cost to reach a score", shown.round({"transfer_seconds": 1, "scratch_seconds": 1}), names, folded=False
    )
