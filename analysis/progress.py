"""How far a search has come: what the live page shows above the report."""

from dataclasses import dataclass

from analysis.evidence import Evidence
from analysis.page import Image, duration, plural, text
from analysis.sections.samples import last_grid
from search.records.study import is_running


@dataclass(frozen=True)
class Progress:
    """Of one study, as it is now."""

    said: str
    """Whether it runs, and how far it has come, in a sentence."""
    state: str
    """Changes when there is something new to see."""
    through: int
    wanted: int
    lines: list[str]
    """Each trial that is being trained, and the best so far."""
    samples: Image | None
    """The last grid of the best trial so far."""


def progress(e: Evidence, state: str) -> Progress:
    """Read off the study's rows and its lock."""
    running = e.trials[e.trials["status"] == "running"]
    through = len(e.trials) - len(running)
    alive = is_running(e.paths)
    best = e.answer.best
    lines = [
        f"trial {row['trial']} ({row['source']}): {text(int(row['images_seen']))} of {text(e.spec.base.budget.images)} images"
        + ("" if row[e.metric.name] != row[e.metric.name] else f", {e.metric.label} {text(row[e.metric.name])}")
        for row in running.to_dict("records")
    ]
    if best:
        lines.append(f"best so far: trial {best.trial} ({best.source}), {e.metric.label} {text(best.value)}")
    done = f"{through} of {plural(e.spec.trials, 'trial')} are through"
    said = f"Not running: {done}; go on with `understock resume {e.spec.name}`."
    if alive:
        said = f"Running: {done}{_left(e, through)}."
    elif through >= e.spec.trials:
        said = f"Complete: all {e.spec.trials} trials are through."
    row = e.ranked.head(1).to_dict("records")
    return Progress(said, state, through, e.spec.trials, lines, last_grid(row[0], e) if row else None)


def _left(e: Evidence, through: int) -> str:
    """A guess at the time left, from the mean of the trials that are through."""
    done = e.trials[e.trials["status"] != "running"]["trial"]
    seconds = float(e.rows[e.rows["trial"].isin(done)].groupby("trial")["wall_seconds"].max().sum())
    if not through or not seconds:
        return ""
    left = max(0, e.spec.trials - through) * seconds / through / e.spec.concurrency
    return f", about {duration(left)} left"
