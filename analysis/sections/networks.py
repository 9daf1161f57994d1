"""5. Which networks to transfer: none, generator, discriminator, both; Table 1 of "Transferring GANs"."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.drawn import alike
from analysis.figures.grids import source_by_way, spread_by_way
from analysis.page import Block, Plot, Section, sheet, text
from analysis.study_data import StudyData, of_each
from analysis.tables import AS_IS, WAY
from analysis.words import of_survivors, used
from spaces.config import SCRATCH
from spaces.counts import plural


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study; over several studies it says which networks were best how often."""
    return of_each("networks", "Which networks to transfer", studies, _block, _overview)


def _overview(studies: Sequence[StudyData]) -> str:
    winners = Counter(
        best for study in studies for best in [_best_way(tables.cells(study.rows, study.spec), study)] if best
    )
    if not winners:
        return "No study has a score yet."
    said = ", ".join(f"{used(name)} in {count}" for name, count in winners.most_common())
    return f"Best by study: {said} of {plural(sum(winners.values()), 'study', 'studies')}."


def _best_way(cells: pd.DataFrame, study: StudyData) -> str | None:
    scored = tables.making_images(cells.dropna(subset=["mean"]))
    return None if scored.empty else str(scored.loc[(study.metric.sign * scored["mean"]).idxmin(), WAY])


def _block(study: StudyData) -> Block:
    cells = tables.cells(study.rows, study.spec)
    scored = cells.dropna(subset=["best"])
    if scored.empty:
        return Block(f"Not enough data: no trial has a score yet; {study.cure}.")
    budget = int(scored["images_seen"].iloc[0])
    colours = (
        "Blue is a better mean than that of scratch, which copies nothing and fills its row; orange is a worse one."
    )
    if not (scored["source"] == SCRATCH).any():
        colours = "The bluer, the better the mean."
    notes = [
        f"In each cell: its best {study.metric.label} ({study.metric.goal}) at {text(budget)} images seen, the most that "
        f"every cell with a score reached; how many of its trials got that far and have a score; with how many seeds the "
        f"best one's settings ran, and between which scores its trials lie. Cells compare by the mean over their trials, "
        "where one that diverged counts as "
        f"the worst of all: the best of many is no match for the best of few. {colours} "
        "Where nothing stands, nothing that compares was run."
    ]
    if lost := tables.stopped_before(study.rows, budget, study.metric):
        notes.append(of_survivors(lost))
    if study.has_untrained:
        notes.append(
            "As it is: the source model sampled untouched, which takes no training and so counts at any images."
        )
    if max(scored["seeds"]) < 2:
        notes.append(f"No cell's best settings ran with a second seed, so differences may be chance; {study.grid}.")
    level = _level(study, budget)
    plots = [
        Plot(
            f"Best {study.metric.label} at {text(budget)} images seen",
            source_by_way(cells, study.metric),
            f"Heat map of the best {study.metric.label} by source and by networks transferred.",
        ),
        Plot(
            f"Every trial at {text(budget)} images seen",
            spread_by_way(level, study.metric, study.looks, study.hovers),
            f"Scatter plot of every trial's {study.metric.label} by the networks transferred, coloured by source.",
        ),
    ]
    names = study.names | {
        "best": study.metric.label,
        "low": "lowest",
        "high": "highest",
        "mean": "mean over trials",
        "scored": "with a score",
    }
    return Block(_said(study, scored), notes=notes, plots=plots, sheets=[sheet("Every cell", cells, names)])


def _level(study: StudyData, budget: int) -> pd.DataFrame:
    """The trials of the cells, as they stood at `budget`."""
    ranked = tables.ranking(tables.last_rows(study.rows), study.metric)
    peers = study.rows["trial"].isin(tables.comparable(ranked, ranked)["trial"])
    return alike(tables.ranking(tables.at_budget(study.rows[peers], budget), study.metric), study.metric)


def _said(study: StudyData, scored: pd.DataFrame) -> str:
    """The order of the networks, each by the median over the sources that have it; images handed on stand beside it."""
    made = tables.making_images(scored)
    costs = (study.metric.sign * made["mean"]).groupby(made[WAY]).median().sort_values()
    if costs.empty:
        return f"Not enough data: no trial that makes images has a score; {study.grid}."
    if len(costs) < 2:
        only = "is a source as it is" if costs.index[0] == AS_IS else f"has {used(str(costs.index[0]))}"
        who = "trial with a score" if len(made) == len(scored) else "trial that makes images and has a score"
        return f"Not enough data: every {who} {only}; {study.grid}."
    order = ", ".join(f"{used(str(name))} ({text(float(study.metric.sign * cost))})" for name, cost in costs.items())
    said = f"From best to worst, by the median over sources of the mean over trials: {order}{_beside(scored.drop(made.index))}"
    reference = scored.loc[scored["source"] == SCRATCH, "mean"]
    grafted = tables.of_a_side(scored[scored["source"] != SCRATCH])
    if reference.empty or grafted.empty:
        return f"{said}; not enough data to compare with scratch: {study.grid}."
    ahead = int((study.metric.sign * (grafted["mean"] - reference.iloc[0]) < 0).sum())
    whole = f"{plural(len(grafted), 'cell')} with {'transfer' if study.is_all_finetuning else 'a source'}"
    return f"{said}; {ahead} of {whole} beat scratch ({text(float(reference.iloc[0]))})."


def _beside(handed_on: pd.DataFrame) -> str:
    """What is no way of using a source, and to be beaten: images of other domains as they are."""
    said = [f"{cell['source']} {used(cell[WAY])} ({text(float(cell['mean']))})" for _, cell in handed_on.iterrows()]
    return f"; beside them, making no images: {', '.join(said)}" if said else ""
