"""What the report says: each section's words, figures and tables, from the numbers of `analysis.tables`."""

import base64
import json

import pandas as pd
import pyarrow as pa

from analysis import figures, tables
from analysis.commands import search_command
from analysis.evidence import Evidence, origin, parts
from analysis.grafts import grafts
from analysis.page import Image, Plot, Section, Sheet, Text, duration, listed, plural, sheet, text
from analysis.tables import PARTS, Answer, Metric, Score
from search.results import flat_config
from search.study import StudyPaths, StudySpec
from spaces.config import SCRATCH
from trainables.home import fetch

TOP = 10


def sections(table: pa.Table, spec: StudySpec, paths: StudyPaths) -> list[Section]:
    """All sections of a study's report, in reading order."""
    evidence = Evidence(table, spec)
    return [
        _the_answer(evidence),
        _best_trials(evidence),
        _curves(evidence),
        _trade_off(evidence),
        grafts(evidence),
        _samples(evidence, paths),
        _what_was_run(evidence),
    ]


def _the_answer(e: Evidence) -> Section:
    answer, best = e.answer, e.answer.best
    counts = ", ".join(f"{n} {status}" for status, n in answer.statuses.items()) or "none has started"
    facts = [
        ("trials", text(sum(answer.statuses.values())), counts),
        ("time", duration(answer.seconds), "of all trials added up"),
    ]
    if best is None:
        lead = f"Not enough data: no trial has a score yet ({counts}); {e.cure}."
        return Section("answer", "The answer", lead, facts=facts)
    floor = "" if best.floor is None else f"; floor {text(best.floor)}"
    facts = [
        ("best score", text(best.value), f"{e.metric.label}, {e.metric.goal}{floor}"),
        ("from", best.source, f"{parts(best.parts)}, trial {best.trial}, {text(best.images_seen)} images seen"),
        *_comparison_facts(answer),
        *facts,
    ]
    row = e.rows[e.rows["trial"] == best.trial].iloc[-1]
    chosen = [f"{name} {text(row[name])}" for name in e.settings if not pd.isna(row[name])]
    notes = [
        f"Settings of trial {best.trial} that vary in this study: {', '.join(chosen) or 'none'}.",
        _caution(e),
        e.floor,
    ]
    config = {name: None if pd.isna(row[name]) else row[name] for name in flat_config(e.spec.base)}
    whole = Text(
        f"All settings of trial {best.trial}", json.dumps(config, indent=2, default=lambda value: value.item())
    )
    return Section("answer", "The answer", f"{_winner(e, best)} {_verdict(e)}", notes=notes, facts=facts, texts=[whole])


def _winner(e: Evidence, best: Score) -> str:
    so_far = " so far" if "running" in e.answer.statuses else ""
    return (
        f"Best{so_far} is trial {best.trial}, {origin(best)}: {e.metric.label} {text(best.value)} after "
        f"{text(best.images_seen)} images and {duration(best.seconds)} of training."
    )


def _verdict(e: Evidence) -> str:
    transfer, scratch, gain = e.answer.transfer, e.answer.scratch, e.answer.gain
    if transfer is None or scratch is None or gain is None:
        missing = "transfer" if transfer is None else "scratch"
        return f"Not enough data to compare: no {missing} trial has a score at equal budget; {e.cure}."
    outcome = "Transfer wins" if gain > 0 else "Scratch wins" if gain < 0 else "A tie"
    margin = f": transfer is {'better' if gain > 0 else 'worse'} by {text(abs(gain))}" if gain else ""
    return (
        f"{outcome}: at equal budget, {text(e.answer.budget)} images seen, "
        f"{_best_of(e.answer.transfer_trials, 'transfer')} (trial {transfer.trial}, {origin(transfer)}) has "
        f"{text(transfer.value)} and {_best_of(e.answer.scratch_trials, 'scratch')} (trial {scratch.trial}) has "
        f"{text(scratch.value)}{margin}."
    )


def _best_of(trials: int, side: str) -> str:
    return f"the best of {trials} {side} trials" if trials > 1 else f"the one {side} trial"


def _comparison_facts(answer: Answer) -> list[tuple[str, str, str]]:
    sides = [
        ("transfer", answer.transfer, answer.transfer_trials),
        ("scratch", answer.scratch, answer.scratch_trials),
    ]
    if answer.budget is None:
        return [(f"{name}, equal budget", "–", "not enough data") for name, score, _ in sides if score is None]
    return [
        (
            f"{name}, equal budget",
            text(score.value),
            f"best of {plural(trials, 'trial')}: trial {score.trial}, {text(score.images_seen)} images",
        )
        for name, score, trials in sides
        if score
    ]


def _caution(e: Evidence) -> str:
    fixed = not set(tables.SEEDS) & set(e.settings)
    seeds = "All trials share one seed, so how much of a difference is chance is not known. " if fixed else ""
    transfer, scratch = e.answer.transfer_trials, e.answer.scratch_trials
    return (
        f"{seeds}A trial's score is that of its last evaluation, never its best one; trials that diverged or failed "
        "have none. Equal budget means the most images that a trial of each side has seen and has a score at; there "
        "the best of each side are compared, each by its last evaluation until then, with as many target images. More "
        f"trials on a side favour it: here {plural(transfer, 'transfer trial')} stand against "
        f"{plural(scratch, 'scratch trial')}."
    )


def _best_trials(e: Evidence) -> Section:
    shown, unscored = e.ranked.head(TOP), len(e.trials) - len(e.ranked)
    if shown.empty:
        lead = f"Not enough data: no trial has a score yet; {e.cure}."
    elif len(e.ranked) == 1:
        lead = "One trial has a score."
    else:
        gap = abs(float(shown[e.metric.name].iloc[-1] - shown[e.metric.name].iloc[0]))
        which = "" if len(shown) == len(e.ranked) else f" best of {len(e.ranked)}"
        lead = (
            f"The {len(shown)}{which} trials with a score lie within {text(gap)} of each other in {e.metric.label}"
            + (f"; {unscored} of the study's {len(e.trials)} have none." if unscored else ".")
        )
    names = {m.name: m.label for m in e.metrics} | {
        PARTS: "parts",
        "train_seconds": "seconds",
        "images_seen": "images seen",
    }
    columns = [name for name in shown.columns if name != "error"]
    best = sheet(f"Best trials by {e.metric.label} ({e.metric.goal})", shown[columns], names, folded=False)
    every = sheet("All trials, with errors", e.trials, names)
    return Section("trials", "Best trials", lead, sheets=[best, every] if len(shown) else [every])


def _curves(e: Evidence) -> Section:
    title = "Learning curves"
    measured = e.rows[e.rows[e.metric.name].notna()]
    if measured.empty:
        return Section(
            "curves",
            title,
            f"Not enough data: no evaluation has {e.metric.label}; {e.cure}.",
        )
    floor = measured[f"{e.metric.name}_floor"].median()
    thick = sorted({side.trial for side in (e.answer.best, e.answer.transfer, e.answer.scratch) if side})
    plots = [
        Plot(
            heading,
            figures.learning_curves(
                measured, e.metric, cost, e.looks, hovers=e.hovers,
                floor=None if pd.isna(floor) else float(floor),
                highlighted=thick,
            ),
            f"Line chart of {e.metric.label} {heading.lower()}, a line a trial, coloured by source.",
        )
        for cost, heading in (("images_seen", "Against images seen"), ("train_seconds", "Against seconds of training"))
    ]  # fmt: skip
    notes = [
        "A line a trial, a colour and a marker a source; thick are the best trial and those compared in the answer. "
        "Seconds are of training alone, evaluation left out. Dashed: the floor.",
        e.floor,
    ]
    columns = ["trial", "source", PARTS, "images_seen", "train_seconds", e.metric.name]
    names = {PARTS: "parts", "images_seen": "images seen", "train_seconds": "seconds", e.metric.name: e.metric.label}
    behind = sheet("Every evaluation", measured[columns], names)
    return Section("curves", title, _race(e), notes=notes, plots=plots, sheets=[behind])


def _race(e: Evidence) -> str:
    """How much sooner the better side of the answer reached what the other one came to."""
    transfer, scratch, gain = e.answer.transfer, e.answer.scratch, e.answer.gain
    if transfer is None or scratch is None or gain is None:
        return f"Not enough data to compare transfer with scratch; {e.cure}."
    first, second = (transfer, scratch) if gain >= 0 else (scratch, transfer)
    goal = f"{e.metric.label} {text(second.value)}"

    def cost(side: Score, column: str) -> float:
        reached = tables.cost_to_reach(e.rows, side.trial, e.metric, second.value, column)
        assert reached is not None, f"{side} never reached {second.value}"
        return reached

    images = [cost(side, "images_seen") for side in (first, second)]
    seconds = [cost(side, "train_seconds") for side in (first, second)]
    sooner = f"by {text(int(images[0]))} images ({duration(seconds[0])})" if images[0] else "before any training"
    return (
        f"Trial {first.trial} ({origin(first)}) had reached {goal} {sooner}; trial {second.trial} ({origin(second)}) "
        f"needed {text(int(images[1]))} images ({duration(seconds[1])})."
    )


def _trade_off(e: Evidence) -> Section:
    others = [metric for metric in e.metrics[1:] if metric.name == "iw"] or e.metrics[1:]
    if not others:
        lead = f"Not enough data: the study measured {e.metric.label} alone; run one with a second metric."
        return Section("trade-off", "Two metrics", lead)
    second = others[0]
    title = f"{e.metric.name.upper()} against {second.name.upper()}"
    both = e.ranked.dropna(subset=[second.name])
    if both.empty:
        lead = f"Not enough data: no trial with a score has {second.label} too; {e.cure}."
        return Section("trade-off", title, lead)
    on_front = tables.front(both, e.metric, second)
    plot = Plot(
        "Last evaluation of each trial",
        figures.trade_off(both, e.metric, second, e.looks, hovers=e.hovers, on_front=on_front),
        f"Scatter plot of {second.label} against {e.metric.label}, a point a trial, the Pareto front ringed.",
    )
    notes = ["Ringed, on the dotted line: the Pareto front, trials that no other trial beats in both metrics."]
    shown = both[["trial", "source", PARTS, e.metric.name, second.name]].assign(
        front=on_front.map({True: "yes", False: ""})
    )
    names = {PARTS: "parts", e.metric.name: e.metric.label, second.name: second.label, "front": "on the front"}
    behind = sheet("Every trial with both metrics", shown, names)
    return Section(
        "trade-off", title, _agreement(e, both, second, int(on_front.sum())), notes, plots=[plot], sheets=[behind]
    )


def _agreement(e: Evidence, both: pd.DataFrame, second: Metric, on_front: int) -> str:
    front = f"{on_front} of {plural(len(both), 'trial')} on the Pareto front"
    rho = tables.agreement(both, e.metric, second)
    if rho is None:
        return f"{front}; not enough data for a rank correlation, which takes 3 trials that differ: {e.cure}."
    how = (
        "agree"
        if rho > 0.7
        else "agree in part"
        if rho > 0.3
        else "hardly agree"
        if rho > -0.3
        else "contradict each other"
    )
    return (
        f"{front}; the two metrics {how} on which trial is better (Spearman's rank correlation {rho:.2f}, where 1 is "
        "full agreement)."
    )


def _samples(e: Evidence, paths: StudyPaths) -> Section:
    scratch = e.ranked[e.ranked["source"] == SCRATCH].head(1)
    shown = pd.concat([e.ranked.head(1), scratch]).drop_duplicates("trial")
    images = [image for _, row in shown.iterrows() if (image := _last_grid(row, paths))]
    if not images:
        lead = f"Not enough data: no trial with a score has left samples; {e.cure}."
        return Section("samples", "Samples", lead)
    lead = "The same random inputs (z) in the same places, unselected, from each trial's last evaluation."
    if len(images) == 1:
        lead = f"One grid, unselected; not enough data for a second one to set beside it: {e.cure}."
    return Section("samples", "Samples", lead, images=images)


def _last_grid(row: pd.Series, paths: StudyPaths) -> Image | None:
    fetch(paths.samples(int(row["trial"])))
    grids = sorted(paths.samples(int(row["trial"])).glob("[0-9]*.png"))
    if not grids:
        return None
    who = f"trial {row['trial']} ({row['source']}, {parts(row[PARTS])})"
    after = f"{text(int(grids[-1].stem))} images seen" if grids[-1].stem.isdigit() else grids[-1].stem
    uri = "data:image/png;base64," + base64.b64encode(grids[-1].read_bytes()).decode()
    return Image(uri, f"Grid of images generated by {who} after {after}", f"{who}, {after}")


def _what_was_run(e: Evidence) -> Section:
    spec, measured = e.spec, tables.protocol(e.table)
    mixed = [name for name, values in measured.items() if len(values) > 1]
    lead = (
        f"Study {spec.name}: {len(e.trials)} of {plural(spec.trials, 'trial')} on target {spec.target}, "
        f"space {spec.space}, sampler {spec.sampler} with seed {spec.seed}, created {spec.created}."
    )
    if mixed:
        lead += f" Careful: {', '.join(mixed)} differ among rows, so their metrics do not compare."
    floors = {f"{m.label} floor": e.rows[f"{m.name}_floor"].dropna().unique().tolist() for m in e.metrics}
    seeds = {name: sorted(e.rows[name].dropna().unique().tolist()) for name in tables.SEEDS}
    pairs = [
        *((f"protocol: {words}", measured[name]) for name, words in tables.PROTOCOL.items()),
        *((f"protocol: {name}", values) for name, values in floors.items()),
        *((f"trial: {name}", values) for name, values in seeds.items()),
        *((f"version: {name}", [value]) for name, value in spec.versions.items()),
        *((f"digest: {name}", [value]) for name, value in spec.digests.items()),
        ("device", sorted(e.rows["device"].dropna().unique())),
        ("threads", sorted(e.rows["threads"].dropna().unique().tolist())),
    ]
    facts = Sheet(
        "Protocol, seeds, versions, digests", ["what", "value"], [[k, listed(v)] for k, v in pairs], folded=False
    )
    notes = [
        "With concurrency 1 the same spec suggests the same trials; on a CPU with equal threads a trial gives the same "
        "numbers."
    ]
    commands = [
        (
            "To run it again, in a home with the same data and source models but without this study:",
            search_command(spec),
        ),
        ("For more trials:", search_command(spec, name=f"{spec.name[:95]}-more", trials=2 * spec.trials)),
    ]
    return Section(
        "run",
        "What was run",
        lead,
        notes,
        commands=commands,
        sheets=[facts],
        texts=[Text("study.json, the whole spec", spec.model_dump_json(indent=2))],
    )
