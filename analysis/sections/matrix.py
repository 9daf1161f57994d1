"""4. Sources against targets, one study a column, with the rank before training beside the truth."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures.grids import source_by_study
from analysis.findings.matrix import column, rank_correlation, regret
from analysis.page import Block, Plot, Section, Sheet, sheet, text
from analysis.study_data import StudyData
from analysis.tables import AS_IS, WAY, stopped_before
from analysis.words import of_survivors, percent, used
from spaces.config import SCRATCH
from spaces.counts import plural


def section(studies: Sequence[StudyData]) -> Section:
    """The section, one figure for all studies, each of which is a column."""
    found = [(study, column(study.rows, study.spec, study.metric, study.before.ranks)) for study in studies]
    scored = [(study, frame) for study, frame in found if frame["mean"].notna().any()]
    title = "Sources by targets"
    if all(study.ranked.empty for study in studies):
        return Section("matrix", title, [Block(f"Not enough data: no trial has a score yet; {studies[0].cure}.")])
    if not any(frame["after"].notna().any() for _, frame in scored):
        lead = f"Not enough data: no source model has a score; {studies[0].grid}."
        return Section("matrix", title, [Block(lead)])
    plot = Plot(
        "Mean score of each source in each study",
        source_by_study([(study.spec.name, frame) for study, frame in scored]),
        "Heat map of the scores by source and study, with ranks before and after training.",
    )
    notes = [
        "In each cell: the mean of all trials at equal images of the way of using the source that has the best one (a trial "
        "that diverged counts as the worst of all; the best of many and the best of few would not compare), its rank by that, "
        "and the rank that it was told before any training. Blue is better than scratch in that study, orange is worse, by "
        "the share of scratch's score. Columns compare by ranks and colours only: scores of different targets don't."
    ]
    if lost := sum(_stopped_before(*pair) for pair in scored):
        notes.append(of_survivors(lost))
    block = Block(" ".join(map(_said, scored)), notes=notes, plots=[plot], sheets=[_sheet(scored), *_parts(scored)])
    return Section("matrix", title, [block])


def _stopped_before(study: StudyData, found: pd.DataFrame) -> int:
    return stopped_before(study.rows, int(found["images_seen"].iloc[0]), study.metric)


def _said(pair: tuple[StudyData, pd.DataFrame]) -> str:
    study, found = pair
    judged = found.dropna(subset=["after"])
    if judged.empty:
        return f"{study.spec.name}: no source has a score."
    best = judged.loc[judged["after"].idxmin()]
    scratch = found.loc[found["source"] == SCRATCH, "mean"].iloc[0]
    beat = int((judged["share"] > 0).sum())
    who = f"{best['source']}, {used(AS_IS)}," if best[WAY] == AS_IS else best["source"]
    said = f"{study.spec.name} (target {study.spec.target}): {who} is best of {plural(len(judged), 'source')}"
    said += f", and {beat} beat scratch" if not pd.isna(scratch) else f", scratch has no score ({study.cure})"
    ranked = judged.dropna(subset=["before"])
    if ranked.empty:
        return f"{said}; no rank from before training."
    told = ranked.loc[ranked["before"].idxmin()]
    if len(ranked) < 2:
        return f"{said}; one source is too few to judge its rank before training: {study.grid}."
    cost = regret(found, study.metric)
    rho = rank_correlation(found)
    right = told["source"] == best["source"]
    said += f"; ranked first before training was {told['source']}" + (
        ", rightly" if right else f", which costs {text(cost)} against the best"
    )
    return said + ("." if rho is None else f" (rank correlation with the truth {rho:.2f}).")


def _sheet(scored: Sequence[tuple[StudyData, pd.DataFrame]]) -> Sheet:
    names = {
        "study": "study",
        "target": "target",
        "source": "source",
        "images_seen": "images seen",
        WAY: "best with",
        "mean": "score (mean)",
        "low": "lowest",
        "high": "highest",
        "seeds": "seeds",
        "trials": "trials with a score",
        "share": "better than scratch by",
        "before": "rank before",
        "after": "rank after",
    }
    whole = pd.concat([frame.assign(study=study.spec.name, target=study.spec.target) for study, frame in scored])
    words = {
        "share": whole["share"].map(lambda share: "–" if pd.isna(share) else percent(share)),
        WAY: whole[WAY].map(used, na_action="ignore"),
    }
    return sheet("Sources by studies", whole.assign(**words)[list(names)], names)


def _parts(scored: Sequence[tuple[StudyData, pd.DataFrame]]) -> list[Sheet]:
    """What the ranks before training were made of, a table a study."""
    sheets = []
    for study, _ in scored:
        parts = study.before.parts
        sources = sorted(study.before.ranks, key=lambda name: study.before.ranks[name])
        rows = [
            [name, text(study.before.ranks[name]), *(text(values.get(name)) for values in parts.values())]
            for name in sources
        ]
        if rows:
            caption = f"Before any training: how near the sources are to {study.spec.target} ({study.spec.name})"
            sheets.append(Sheet(caption, ["source", "rank", *parts], rows))
    return sheets
