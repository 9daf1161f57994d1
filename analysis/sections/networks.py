"""5. Which networks to transfer: none, generator, discriminator, both; Table 1 of "Transferring GANs"."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.evidence import Evidence, of_each, parts
from analysis.figures.grids import source_by_parts, spread_by_parts
from analysis.page import Block, Plot, Section, plural, sheet, text
from spaces.config import SCRATCH


def section(studies: Sequence[Evidence]) -> Section:
    """A block a study; of several, which networks were best how often."""
    return of_each("networks", "Which networks to transfer", studies, _block, _overview)


def _overview(studies: Sequence[Evidence]) -> str:
    winners = Counter(best for e in studies for best in [_best_parts(tables.cells(e.rows, e.spec), e)] if best)
    if not winners:
        return "No study has a score yet."
    said = ", ".join(f"{parts(name)} in {count}" for name, count in winners.most_common())
    return f"Best by study: {said} of {plural(sum(winners.values()), 'study', 'studies')}."


def _best_parts(cells: pd.DataFrame, e: Evidence) -> str | None:
    scored = cells.dropna(subset=["mean"])
    return None if scored.empty else str(scored.loc[(e.metric.sign * scored["mean"]).idxmin(), "parts"])


def _block(e: Evidence) -> Block:
    cells = tables.cells(e.rows, e.spec)
    scored = cells.dropna(subset=["best"])
    if scored.empty:
        return Block(f"Not enough data: no trial has a score yet; {e.cure}.")
    budget = int(scored["images_seen"].iloc[0])
    colours = "Blue is better than scratch, which copies nothing and fills its row; orange is worse."
    if not (scored["source"] == SCRATCH).any():
        colours = "The bluer, the better."
    notes = [
        f"In each cell: its best {e.metric.label} ({e.metric.goal}) at {text(budget)} images seen, the most that every cell "
        f"with a score reached; how many of its trials got that far and have a score; with how many seeds the best one's "
        f"settings ran, and between which scores. {colours} Where nothing stands, nothing was run."
    ]
    if max(scored["seeds"]) < 2:
        notes.append(f"No cell's best settings ran with a second seed, so differences may be chance; {e.grid}.")
    level = _level(e, budget)
    plots = [
        Plot(
            f"Best {e.metric.label} at {text(budget)} images seen",
            source_by_parts(cells, e.metric),
            f"Heat map of the best {e.metric.label} by source and by networks transferred.",
        ),
        Plot(
            f"Every trial at {text(budget)} images seen",
            spread_by_parts(level, e.metric, e.looks, e.hovers),
            f"Scatter plot of every trial's {e.metric.label} by the networks transferred, coloured by source.",
        ),
    ]
    names = {
        "images_seen": "images seen", "best": e.metric.label, "low": "lowest", "high": "highest", "mean": "mean over seeds",
        "scored": "with a score",
    }  # fmt: skip
    return Block(_said(e, scored), notes=notes, plots=plots, sheets=[sheet("Every cell", cells, names)])


def _level(e: Evidence, budget: int) -> pd.DataFrame:
    """The trials of the cells, as they stood at `budget`."""
    ranked = tables.ranking(tables.last_rows(e.rows), e.metric)
    peers = e.rows["trial"].isin(tables.comparable(ranked, ranked)["trial"])
    return tables.ranking(tables.at_budget(e.rows[peers], budget), e.metric)


def _said(e: Evidence, scored: pd.DataFrame) -> str:
    """The order of the networks, each by the median over the sources that have it."""
    costs = (e.metric.sign * scored["mean"]).groupby(scored["parts"]).median().sort_values()
    if len(costs) < 2:
        return f"Not enough data: every trial with a score has {parts(str(costs.index[0]))}; {e.grid}."
    order = ", ".join(f"{parts(str(name))} ({text(float(e.metric.sign * cost))})" for name, cost in costs.items())
    said = f"From best to worst, by the median over sources of the mean over seeds: {order}"
    reference = scored.loc[scored["source"] == SCRATCH, "mean"]
    grafted = scored[scored["source"] != SCRATCH]
    if reference.empty or grafted.empty:
        return f"{said}; not enough data to compare with scratch: {e.grid}."
    ahead = int((e.metric.sign * (grafted["mean"] - reference.iloc[0]) < 0).sum())
    return f"{said}; {ahead} of {plural(len(grafted), 'cell')} with transfer beat scratch ({text(float(reference.iloc[0]))})."
