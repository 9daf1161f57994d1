"""Two studies beside each other, in the terminal's words."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.evidence import Evidence, origin
from analysis.findings.gains import choices, configurations, interval
from analysis.page import text
from analysis.sections.protocol import unequal
from analysis.tables import at_budget, last_rows, ranking
from search.records.results import flat_config


@dataclass(frozen=True)
class Comparison:
    """A table of two columns, and what may be said of it."""

    rows: list[tuple[str, str, str]]
    verdict: str
    caution: str
    """Why scores do not compare; "" where they do."""


def compare(one: Evidence, other: Evidence) -> Comparison:
    """What differs between two studies in question, cost and outcome; who is ahead is said only of scores that compare."""
    pair = (one, other)
    differing = unequal(pair)
    targets = one.spec.target != other.spec.target or _digest(one) != _digest(other)
    caution = ""
    if differing:
        caution = f"the studies were not measured alike ({', '.join(differing)} differ): their scores do not compare"
    elif targets:
        caution = "the studies have different targets: gains and ranks compare, scores do not"
    return Comparison(_rows(pair), "" if caution else _verdict(one, other), caution)


def _digest(e: Evidence) -> str | None:
    return e.spec.digests.get(f"domain:{e.spec.target}")


def _rows(pair: Sequence[Evidence]) -> list[tuple[str, str, str]]:
    def row(what: str, *cells: str) -> tuple[str, str, str]:
        return what, cells[0], cells[1]

    bests = [e.answer.best for e in pair]
    found = [
        row("target", *(e.spec.target for e in pair)),
        row("space, sampler", *(f"{e.spec.space}, {e.spec.sampler}" for e in pair)),
        row("trials", *(f"{len(e.trials)} of {e.spec.trials}" for e in pair)),
        row("device-hours", *(f"{text(e.hours)} {e.unit}" for e in pair)),
        row("metric", *(e.metric.label for e in pair)),
        row("best score", *("none yet" if best is None else text(best.value) for best in bests)),
        row("floor", *("–" if best is None else text(best.floor) for best in bests)),
        row("best trial", *("–" if best is None else f"{best.trial}, {origin(best)}" for best in bests)),
        row("images seen", *("–" if best is None else text(best.images_seen) for best in bests)),
    ]
    for name, cost in (("images", "images_seen"), ("seconds", "train_seconds")):
        found.append(row(f"gain over scratch at equal {name}", *(_gain(e, cost) for e in pair)))
    return [*found, *(row(name, *values) for name, values in _settings(pair))]


def _gain(e: Evidence, cost: str) -> str:
    gain = next((gain for gain in e.gains if gain.cost == cost), None)
    if gain is None:
        return "–"
    spread = f" ({text(gain.interval[0])} to {text(gain.interval[1])})" if gain.interval else " (one seed)"
    return f"{text(gain.value)}, {100 * gain.share:.0f} %{spread}"


def _settings(pair: Sequence[Evidence]) -> list[tuple[str, list[str]]]:
    """The settings of the two best trials that differ."""
    bests = [None if e.answer.best is None else e.rows[e.rows["trial"] == e.answer.best.trial].iloc[-1] for e in pair]
    if any(row is None for row in bests):
        return []
    skipped = ("target", "source", "transfer/parts")
    values = [(name, [text(row[name]) for row in bests if row is not None]) for name in flat_config(pair[0].spec.base)]
    return [(f"best trial's {name}", cells) for name, cells in values if cells[0] != cells[1] and name not in skipped]


def _verdict(one: Evidence, other: Evidence) -> str:
    """Who is ahead: the means of the best configurations over seeds at the most images that both have seen."""
    budget = min(e.answer.best.images_seen if e.answer.best else 0 for e in (one, other))
    values = [_at(e, budget) for e in (one, other)]
    if not all(values):
        return "not enough data: both studies need a trial with a score at equal images"
    means = [sum(found) / len(found) for found in values]
    ahead = one.metric.sign * (means[1] - means[0])
    names = (one.spec.name, other.spec.name)
    if ahead == 0:
        return f"a tie at {budget:,} images seen: both have {text(means[0])}"
    winner, loser = names if ahead > 0 else names[::-1]
    best, worse = sorted(means, key=lambda value: one.metric.sign * value)
    said = f"at {budget:,} images seen {winner} is ahead of {loser} by {text(abs(ahead))} ({text(best)} against {text(worse)})"
    around = interval(abs(ahead), *values)
    if around is None:
        return f"{said}; one seed on a side, so how much of it is chance is not known"
    told = "" if around[0] > 0 else ", which the seeds do not tell from chance"
    return f"{said}, 95 % interval {text(around[0])} to {text(around[1])}{told}"


def _at(e: Evidence, budget: int) -> tuple[float, ...]:
    """The scores over seeds of the best configuration among the trials that reached `budget`, there."""
    rows = e.rows[e.rows["trial"].isin(ranking(last_rows(e.rows), e.metric)["trial"])]
    level: pd.DataFrame = ranking(at_budget(rows, budget), e.metric) if budget else rows.iloc[:0]
    found = configurations(level, choices(e.rows, e.spec), e.metric) if len(level) else []
    return found[0].values if found else ()
