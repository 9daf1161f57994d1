"""Translation: how like the target translations are, against how much of their inputs they keep; beside doing nothing."""

from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.figures.scatter import trade_off
from analysis.page import Block, Plot, Section, sheet, text
from analysis.sections.baselines import against_trivial, named
from analysis.study_data import StudyData, of_each
from analysis.tables import WAY
from spaces.protocol import METRICS, Metric
from spaces.trials import CONFIGS

CONTENT, PAIRS = METRICS["content_shift"], METRICS["pair_error"]
TRIVIAL = ("untranslated", "direct")
"""The methods that every translation has to beat: the input as it is, and a shallow translator without a constraint."""


def applies(studies: Sequence[StudyData]) -> bool:
    """Whether any study has translated."""
    return any(not _translations(study).empty for study in studies)


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study."""
    return of_each("translation", "Translation", studies, _block, lambda _: "What each study's translations keep.")


def _translations(study: StudyData) -> pd.DataFrame:
    """The trials with a score whose content was compared, the best first."""
    return tables.ranking(tables.last_rows(study.rows), study.metric).dropna(subset=[CONTENT.name])


def _block(study: StudyData) -> Block:
    found = _translations(study)
    if found.empty:
        return Block(f"Not enough data: no trial of the study has translated to its end; {study.cure}.")
    trivial = found[found[WAY].isin(TRIVIAL)]
    on_front = tables.front(found, CONTENT, study.metric)
    plot = Plot(
        "Last evaluation of each trial that translates",
        trade_off(
            found, CONTENT, study.metric, study.looks, hovers=study.hovers, on_front=on_front, named=named(trivial)
        ),
        f"Scatter plot of {study.metric.label} against {CONTENT.label}, a point a trial; named: the trivial baselines.",
    )
    beside = [name for metric in (PAIRS, CONTENT) for name in metric.columns if found[name].notna().any()]
    columns = [*dict.fromkeys([study.metric.name, *beside])]  # a study may go by one of them
    names = study.names | {
        study.metric.name: study.metric.label,
        **{metric.columns[1]: f"{metric.label} of {metric.beside}" for metric in (PAIRS, CONTENT)},
        **{metric.name: metric.label for metric in (PAIRS, CONTENT)},
    }
    unrelated, corner = text(float(found[CONTENT.columns[1]].median())), "lower" if study.metric.sign > 0 else "upper"
    notes = [
        f"{CONTENT.label.capitalize()} compares feature maps of a translation with its input's: 0 keeps everything, and "
        f"unrelated target images come to {unrelated}. It is after DIPD, in other features: no number of the literature "
        f"compares with it. Nearer to the {corner} left is better in both; the ringed trials are those that no other beats in "
        "both.",
        *_trained_on(found),
    ]
    shown = sheet("Every trial that translates", found[["trial", "source", WAY, *columns]], names)
    return Block(_lead(found, trivial, study.metric), notes=notes, plots=[plot], sheets=[shown])


def _trained_on(found: pd.DataFrame) -> list[str]:
    """A line for each method whose loss has the network in it that content is compared by."""
    known = {method: CONFIGS[method].learns_from for method in found["method"].unique()}
    return [
        f"{method} trains on features of {extractor}, and {CONTENT.label} is by maps of the same network: it may flatter the "
        "method, as may all that is measured by that extractor, IW included. Pair error does not."
        for method, extractor in known.items()
        if extractor
    ]


def _lead(found: pd.DataFrame, trivial: pd.DataFrame, metric: Metric) -> str:
    """Whether the best translation is nearer to the target, and to the true pairs, than the best trivial one."""
    learned = found.drop(trivial.index)
    if learned.empty or trivial.empty:
        return "There is nothing to compare: translations stand beside the trivial baselines once both have a score."
    said = [
        against_trivial(learned, trivial, each, "translation")
        for each in dict.fromkeys((metric, PAIRS))
        if found[each.name].notna().any()
    ]
    return f"{'. '.join(said)}. The baselines are the input as it is, and a shallow translator without any constraint."
