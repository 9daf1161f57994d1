"""The report's section on what was transferred: source by networks, and the ranking of sources before training."""

import pandas as pd

from analysis import figures, tables
from analysis.evidence import Evidence, parts
from analysis.page import Plot, Section, Sheet, plural, sheet, text
from analysis.tables import Metric
from spaces.config import SCRATCH


def grafts(e: Evidence) -> Section:
    """The best score of each source with each choice of networks; and whether the nearest source was the best one."""
    title = "Source by networks transferred"
    cells = tables.cells(e.table, e.spec)
    scored = cells.dropna(subset=["best"])
    if scored.empty:
        lead = f"Not enough data: no trial has a score yet; {e.cure}."
        return Section("grafts", title, lead)
    budget = text(int(scored["images_seen"].iloc[0]))
    best = scored.loc[(e.metric.sign * scored["best"]).idxmin()]
    lead = (
        f"At {budget} images seen, the most that every cell with a score reached, {best['source']} "
        f"({parts(best['parts'])}) is best with {text(best['best'])}"
    )
    reference = scored.loc[scored["source"] == SCRATCH, "best"]
    grafted = scored[scored["source"] != SCRATCH]
    if len(reference) and len(grafted):
        ahead = int((e.metric.sign * (grafted["best"] - reference.iloc[0]) < 0).sum())
        lead += f"; {ahead} of {plural(len(grafted), 'cell')} with transfer beat scratch ({text(reference.iloc[0])})."
    else:
        lead += f"; not enough data to compare with scratch: {e.cure}."
    colours = "Blue is better than scratch, which copies nothing and fills its row; orange is worse."
    if reference.empty:
        colours = "The bluer, the better."
    notes = [
        f"In each cell: its best {e.metric.label} ({e.metric.goal}); how many of its trials got that far and have a "
        f"score; with how many seeds the best one's settings ran, and between which scores. {colours} "
        "Where nothing stands, nothing was run."
    ]
    if max(scored["seeds"]) < 2:
        notes.append("No cell's best settings ran with a second seed, so differences between cells may be chance.")
    plot = Plot(
        f"Best {e.metric.label} at {budget} images seen",
        figures.source_by_parts(cells, e.metric),
        f"Heat map of the best {e.metric.label} by source and by networks transferred.",
    )
    names = {
        "images_seen": "images seen",
        "best": e.metric.label,
        "low": "lowest",
        "high": "highest",
        "scored": "with a score",
    }
    sheets = [sheet("Every cell", cells, names)]
    if e.spec.ranking:
        said, ranks = _selection(e, cells, budget)
        notes, sheets = [*notes, said], [ranks, *sheets]
    return Section("grafts", title, lead, notes=notes, plots=[plot], sheets=sheets)


def _selection(e: Evidence, cells: pd.DataFrame, budget: str) -> tuple[str, Sheet]:
    """Whether the source that looked nearest before training was the best after it, in a sentence and a table."""
    ranks = tables.selection(cells, e.spec, e.metric)
    distance = Metric.of("fid" if e.spec.base.protocol.extractor == "inception" else "fd", e.spec).label
    nearest, scored = ranks.iloc[0], ranks.dropna(subset=["best"])
    said = (
        f"Before any training {nearest['source']} was the nearest source: its own samples have {distance} "
        f"{text(nearest['distance'])} to the target"
    )
    if pd.isna(nearest["best"]):
        said += "; no trial from it has a score, so whether it is the best one is not known."
    elif len(scored) == 1:
        said += "; no other source has a score to compare it with."
    elif nearest["after"] == 1:
        said += f"; after {budget} images seen it was also the best of {len(scored)} sources with a score."
    else:
        best = scored.loc[scored["after"].idxmin()]
        said += (
            f"; after {budget} images seen {best['source']} was the best, and {nearest['source']} was number "
            f"{text(nearest['after'])} of {len(scored)}."
        )
    names = {
        "distance": f"{distance} before training",
        "before": "rank before",
        "best": f"best {e.metric.label} at {budget} images",
        "after": "rank after",
    }
    return said, sheet("Sources ranked before and after training", ranks, names, folded=False)
