"""Asking small classifiers whether what a study's few-shot trials make helps them, seed by seed; a later call goes on."""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import pandas as pd

from analysis.findings.helping import COLUMNS, accuracies, comparable, taught
from analysis.tables import evaluations, last_rows, metric_of, ranking
from analysis.using.winner import model_of
from search.records.inputs import check_unchanged
from search.records.results import load
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.errors import UserError
from spaces.teaching import MIXED, Teaching
from spaces.trials import makes_more, trains
from trainables.images.domains import open_domain
from trainables.machine.devices import use_cores
from trainables.storage.home import Home, writing
from trainables.using.small_classifier import Lesson, maker


def classify(
    home: Home,
    study: str,
    report: Callable[[int, int], None],
    *,
    seeds: int,
    steps: int,
    per_class: int,
    threads: int | None = None,
) -> pd.DataFrame:
    """Measure what the study's table lacks of these seeds, and give all of it that compares; `report` counts arms.

    Rows are on disk seed by seed and method by method. UserError for a study without a few-shot trial that has learnt and left
    a model, or of data that have changed.
    """
    use_cores(threads or len(os.sched_getaffinity(0)))
    paths, spec = open_study(home, study)
    teaching = Teaching(shots=_shots(spec), steps=steps, per_class=per_class)
    trials = _trials(paths, spec)
    check_unchanged(home, spec)
    rows, domain = accuracies(paths.classifier), open_domain(home, spec.target)
    lesson_of = lru_cache(1)(partial(Lesson.of, domain, teaching))  # all arms of a seed have one
    asked: list[tuple[str, Trial | None]] = [(MIXED, None), *trials.items()]
    for done, (seed, (arm, trial)) in enumerate((seed, each) for seed in range(seeds) for each in asked):
        report(done, seeds * len(asked))
        number = trial and trial.number
        if _is_there(rows, arm, number, seed, teaching):
            continue
        lesson = lesson_of(seed)
        facts = {"trial": number, "seed": seed, **teaching.model_dump(), "chance": lesson.chance}
        facts["n"] = len(lesson.test.labels)
        new = [facts | found for found in _arms(home, lesson, paths, spec, arm, trial)]
        rows = accuracies(paths.classifier)  # once more: another process may have added to them meanwhile
        made = pd.DataFrame(new)[list(COLUMNS)]
        rows = pd.concat([rows, made]) if len(rows) else made
        with writing(paths.classifier) as beside:
            rows.to_csv(beside, index=False, float_format="%.6g")
    report(seeds * len(asked), seeds * len(asked))
    return comparable(rows, teaching)


def _shots(spec: StudySpec) -> int:
    shots = spec.base.data.shots
    if shots is None:
        raise UserError(
            f"study {spec.name!r} gives its trials no K images of each class, so there is nothing to make more of; search "
            f"with --space fewshot --shots 3"
        )
    return shots


class Trial(NamedTuple):
    """A trial that has learnt."""

    number: int
    source: str


def _trials(paths: StudyPaths, spec: StudySpec) -> dict[str, Trial]:
    """The best trial of each few-shot method that learns, by the method's name."""
    last = last_rows(evaluations(load(paths.evaluations)))
    found: dict[str, Trial] = {}
    for row in ranking(last, metric_of(spec.metric, spec)).to_dict("records"):
        method = str(row["method"])
        if makes_more(method) and trains(method):
            found.setdefault(method, Trial(int(row["trial"]), str(row["source"])))
    if not found:
        raise UserError(
            f"study {spec.name!r} has no trial with a score of a few-shot method that learns; search with --space fewshot "
            f"--shots 3, or wait for one"
        )
    return found


def _arms(
    home: Home, lesson: Lesson, paths: StudyPaths, spec: StudySpec, arm: str, trial: Trial | None
) -> Iterator[dict[str, Any]]:
    if trial is None:
        found = lesson.without()
    else:
        found = lesson.with_images_of(arm, maker(home, model_of(paths, spec.name, trial.number), trial.source))
    return ({"arm": name, "accuracy": accuracy} for name, accuracy in found)


def _is_there(rows: pd.DataFrame, arm: str, trial: int | None, seed: int, teaching: Teaching) -> bool:
    if rows.empty:
        return False
    of_trial = rows["trial"].isna() if trial is None else rows["trial"] == trial
    return bool((taught(rows, teaching) & (rows["arm"] == arm) & (rows["seed"] == seed) & of_trial).any())
