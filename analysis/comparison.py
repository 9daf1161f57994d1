"""Two studies beside each other, in the terminal's words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.drawn import equally_drawn
from analysis.findings.gains import Gain, configurations, scores
from analysis.findings.selection import left
from analysis.page import text
from analysis.sections.protocol import unequal
from analysis.study_data import StudyData
from analysis.tables import (
    ARM,
    AS_IS,
    HANDED_ON,
    UNTRAINED,
    at_budget,
    choices,
    config_values,
    last_rows,
    making_images,
    ranking,
)
from analysis.words import origin, percent


@dataclass(frozen=True)
class Comparison:
    """A table of two columns, and what may be said of it."""

    rows: list[tuple[str, str, str]]
    verdict: str
    caution: str
    """Why scores do not compare; "" where they do."""


def compare(one: StudyData, other: StudyData) -> Comparison:
    """Set two studies beside each other, in question, cost and outcome; who is ahead is said only of scores that compare."""
    pair = (one, other)
    differing = unequal(pair)
    targets = one.spec.target != other.spec.target or _digest(one) != _digest(other)
    caution = ""
    if differing:
        caution = f"the studies were not measured alike ({', '.join(differing)} differ): their scores do not compare"
    elif targets:
        caution = "the studies have different targets: gains and ranks compare, scores do not"
    return Comparison(_rows(pair), "" if caution else _verdict(one, other), caution)


def _digest(study: StudyData) -> str | None:
    return study.spec.digests.get(f"domain:{study.spec.target}")


def _rows(pair: Sequence[StudyData]) -> list[tuple[str, str, str]]:
    def row(what: str, *cells: str) -> tuple[str, str, str]:
        return what, cells[0], cells[1]

    bests = [study.answer.best for study in pair]
    found = [
        row("target", *(study.spec.target for study in pair)),
        row("space, sampler", *(f"{study.spec.space}, {study.spec.sampler}" for study in pair)),
        row("trials", *(study.spec.of_trials(len(study.trials)) for study in pair)),
        row("device-hours", *(f"{text(study.hours)} {study.unit}" for study in pair)),
        row("metric", *(study.metric.label for study in pair)),
        row("best score", *("none yet" if best is None else text(best.value) + _error(best.se) for best in bests)),
        row("floor", *("–" if best is None else text(best.floor) for best in bests)),
        row("best trial", *("–" if best is None else f"{best.trial}, {origin(best)}" for best in bests)),
        row("images seen", *("–" if best is None else text(best.images_seen) for best in bests)),
    ]
    for name, cost in (("images", "images_seen"), ("seconds", "seconds")):
        gains = (next((gain for gain in study.gains if gain.cost == cost), None) for study in pair)
        found.append(row(f"gain over scratch at equal {name}", *map(_gain, gains)))
    of_training = [study.gain_of_training for study in pair]
    if known := [gain for gain in of_training if gain]:
        others = any(gain.baseline.way != AS_IS for gain in known)
        over = "the best that trains nothing" if others else "the source as it is"
        found.append(row(f"gain of training over {over}", *map(_gain, of_training)))
    return [*found, *(row(name, *values) for name, values in _settings(pair))]


def _error(se: float | None) -> str:
    return "" if se is None else f" ± {text(se)}"


def _gain(gain: Gain | None) -> str:
    if gain is None:
        return "–"
    spread = f" ({text(gain.interval[0])} to {text(gain.interval[1])})" if gain.interval else " (one seed)"
    return f"{text(gain.value)}, {percent(gain.share)}{spread}"


def _settings(pair: Sequence[StudyData]) -> list[tuple[str, list[str]]]:
    """The settings that differ between the two best trials, as far as the methods of both have them."""
    bests = [
        config_values(study.rows[study.rows["trial"] == study.answer.best.trial].iloc[-1])
        for study in pair
        if study.answer.best is not None
    ]
    if len(bests) < 2:
        return []
    one, other = bests
    cells = {
        name: [text(one[name]), text(other[name])] for name in one if name in other and name not in ("target", *ARM)
    }
    return [(f"best trial's {name}", values) for name, values in cells.items() if values[0] != values[1]]


def _verdict(one: StudyData, other: StudyData) -> str:
    """Who is ahead: the means of the best configurations over seeds at the most images that both have seen."""
    reaches = [_reach(study) for study in (one, other)]
    budget = 0 if min(reaches) == math.inf else int(min(reaches))
    levels = [_at(study, budget) for study in (one, other)]
    if any(level.empty for level in levels):
        return "not enough data: both studies need a trial that makes images, with a score at equal images"
    together = pd.concat([level.assign(study=place) for place, level in enumerate(levels)])
    drawn = [part for part in equally_drawn(together, one.metric) if part["study"].nunique() == 2]
    if not drawn:
        return (
            f"no comparison at {budget:,} images seen: {one.metric.label} depends on how many images are drawn, and there one "
            "study was at a rung, which draws fewer"
        )
    halves = (level for _, level in drawn[0].groupby("study"))
    sides = [
        configurations(h, choices(study.rows), study.metric) for h, study in zip(halves, (one, other), strict=True)
    ]
    means = [side[0].mean for side in sides]
    ahead = one.metric.sign * (means[1] - means[0])
    names = (one.spec.name, other.spec.name)
    if ahead == 0:
        return f"a tie at {budget:,} images seen: both have {text(means[0])}"
    winner, loser = names if ahead > 0 else names[::-1]
    best, worse = sorted(means, key=lambda value: one.metric.sign * value)
    said = f"at {budget:,} images seen {winner} is ahead of {loser} by {text(abs(ahead))} ({text(best)} against {text(worse)})"
    if all(side[0].is_untrained for side in sides):
        return f"{said}; neither was trained, so there are no seeds of a training to tell it from chance by"
    ours, theirs = (scores(side) for side in (sides if ahead > 0 else sides[::-1]))
    found = left(ours, theirs, one.metric.sign, is_ratio=one.metric.is_ratio)
    if found is None:
        return f"{said}; one seed on a side, so how much of it is chance is not known"
    told = "" if found.low > 0 else ", which the seeds do not tell from chance"
    return f"{said}, 95 % interval of what fresh seeds would show {text(found.low)} to {text(found.high)}{told}"


def _reach(study: StudyData) -> float:
    """The images until which a study's best trial has a score: a source as it is has its own at any number; -1 for none.

    Images that are handed on untranslated are best only where there is nothing else, and then none.
    """
    best = study.answer.best
    if best is None or best.way in HANDED_ON:
        return -1
    return math.inf if best.way in UNTRAINED else best.images_seen


def _at(study: StudyData, budget: int) -> pd.DataFrame:
    """The trials that reached `budget` and make images, by their scores there, the best first."""
    rows = study.rows[study.rows["trial"].isin(ranking(last_rows(study.rows), study.metric)["trial"])]
    return ranking(at_budget(making_images(rows), budget), study.metric)
