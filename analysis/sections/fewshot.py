"""Few-shot generation: how like unseen images what is made of K images is, and whether it is of their class; beside copies."""

from collections.abc import Sequence

import pandas as pd

from analysis import tables
from analysis.figures.scatter import trade_off
from analysis.findings import helping
from analysis.page import Block, Plot, Section, Sheet, listed, sheet, text
from analysis.sections.baselines import against_trivial, named
from analysis.study_data import StudyData, of_each
from analysis.tables import WAY
from spaces.counts import plural
from spaces.protocol import METRICS, SHOT_FREE, Metric
from spaces.suggest import UNTRAINED

ACCURACY, DIVERSITY, COPIES = (METRICS[name] for name in ("class_accuracy", "feature_diversity", "copy_rate"))


def applies(studies: Sequence[StudyData]) -> bool:
    """Whether any study has a score of a few-shot method."""
    return any(not _made(study).empty for study in studies)


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study."""
    return of_each("few-shot", "Few-shot", studies, _block, lambda _: "What each study makes of K images of a class.")


def _made(study: StudyData) -> pd.DataFrame:
    """The trials with a score whose method makes more of a few images, the best first."""
    ranked = tables.ranking(tables.last_rows(study.rows), study.metric)
    return ranked[tables.makes_more_of_few(ranked)]


def _block(study: StudyData) -> Block:
    found = _made(study)
    if found.empty:
        return Block(f"Not enough data: no trial of the study has made more of few images to its end; {study.cure}.")
    trivial = found[found[WAY].isin(UNTRAINED)]
    columns = [study.metric.name]
    columns += [
        name for metric in (ACCURACY, DIVERSITY, COPIES) for name in metric.columns[:2] if _measured(found, name)
    ]
    columns += ["mkd"] if _measured(found, "mkd") else []
    names = study.names | {metric.name: metric.label for metric in (study.metric, ACCURACY, DIVERSITY, COPIES)}
    names |= {metric.columns[1]: f"{metric.label} of real images" for metric in (ACCURACY, DIVERSITY, COPIES)}
    names |= {"mkd": METRICS["mkd"].labelled(study.spec.base.protocol.extractor).label}
    shown = sheet("Every few-shot trial", found[["trial", "source", WAY, *dict.fromkeys(columns)]], names)
    told = helping.comparable(helping.accuracies(study.paths.classifier))
    return Block(
        _lead(found, trivial, study.metric),
        notes=[*_notes(found), *_verdict(told)],
        commands=[] if len(told) else [_asking(study)],
        plots=_plots(study, found, trivial),
        sheets=[shown, *_classifiers(told)],
    )


def _asking(study: StudyData) -> tuple[str, str]:
    return "Ask small classifiers whether these images help them", f"understock classify {study.spec.name}"


def _verdict(told: pd.DataFrame) -> list[str]:
    """What small classifiers of the target's classes say, where they were asked."""
    if told.empty:
        return []
    facts = {name: int(told[name].iloc[-1]) for name in ("shots", "steps", "per_class", "n")}
    seeds = plural(int(told["seed"].nunique()), "seed")
    real, generated = plural(facts["shots"], "real image"), plural(facts["per_class"], "generated one")
    return [
        f"Does it help a small classifier of these classes? {helping.verdict(told)} A classifier was trained on "
        f"{real} of each class for {facts['steps']:,} steps, in each arm alike, half of each batch generated where an arm has "
        f"{generated} of each class, and asked for {facts['n']:,} others; {seeds}, "
        f"differences paired by seed with their 95 % interval, chance is {text(float(told['chance'].iloc[-1]))}."
    ]


def _classifiers(told: pd.DataFrame) -> list[Sheet]:
    if told.empty:
        return []
    names = {"trial": "images of trial", "accuracy": "mean accuracy"}
    return [sheet("Accuracy of small classifiers", helping.arms(told), names, folded=False)]


def _measured(found: pd.DataFrame, name: str) -> bool:
    return bool(found[name].notna().any())


def _plots(study: StudyData, found: pd.DataFrame, trivial: pd.DataFrame) -> list[Plot]:
    """Likeness against class accuracy, where classes were told apart."""
    if not _measured(found, ACCURACY.name):
        return []
    on_front = tables.front(found, ACCURACY, study.metric)
    return [
        Plot(
            "Last evaluation of each few-shot trial",
            trade_off(
                found, ACCURACY, study.metric, study.looks, hovers=study.hovers, on_front=on_front, named=named(trivial)
            ),
            f"Scatter plot of {study.metric.label} against {ACCURACY.label}, a point a trial; named: the trivial baselines.",
        )
    ]


def _lead(found: pd.DataFrame, trivial: pd.DataFrame, metric: Metric) -> str:
    """Whether the best few-shot method is nearer to the target, and to the classes asked for, than the best trivial one."""
    learned = found.drop(trivial.index)
    if learned.empty or trivial.empty:
        return (
            "There is nothing to compare: few-shot methods stand beside the trivial baselines once both have a score."
        )
    said = [
        against_trivial(learned, trivial, each, "few-shot method")
        for each in dict.fromkeys((metric, ACCURACY))
        if _measured(found, each.name)
    ]
    return f"{'. '.join(said)}. The baselines are pixel mixtures of the K images, and copies turned, scaled and moved."


def _notes(found: pd.DataFrame) -> list[str]:
    notes = [
        "Copies of the K images are of the right class and near to real images: read both scores beside the copy rate."
    ]
    if SHOT_FREE in set(found["split"]):
        notes.append("The K images of each class are among no real images that scores compare with.")
    if _measured(found, ACCURACY.name):
        ceiling, chance = (text(float(found[name].median())) for name in ("class_accuracy_floor", "class_chance"))
        notes.append(
            f"{ACCURACY.label.capitalize()} is judged by a classifier of images that no trial was given: it is right about "
            f"{ceiling} of real ones, and guessing about {chance}."
        )
    if _measured(found, DIVERSITY.name):
        real, classes = (found[name].dropna() for name in ("feature_diversity_floor", "diversity_classes"))
        notes.append(
            f"{DIVERSITY.label.capitalize()} is the mean distance of two images of a class ({listed(classes.unique())} classes), "
            f"and that of real images is {text(float(real.median()))}: less is too alike, more is noise rather than variety."
        )
    return notes
