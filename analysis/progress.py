"""How far a search has come: what the live page shows above the report."""

from dataclasses import dataclass

from analysis.page import Image, duration, text
from analysis.sections.samples import last_grid
from analysis.study_data import StudyData
from search.records.standing import UNFINISHED
from search.records.study import closed
from spaces.counts import plural


@dataclass(frozen=True)
class Progress:
    """How far one study is now."""

    said: str
    """Whether it runs, and how far it has come, in a sentence."""
    state: str
    """Changes when there is something new to see."""
    through: int
    wanted: int | None
    """None where the number of trials has no limit."""
    lines: list[str]
    """Each trial that is begun and not through, and the best so far."""
    samples: Image | None
    """The last grid of the best trial so far."""


def progress(study: StudyData, state: str) -> Progress:
    """Read how far a study is off its rows."""
    begun = study.trials[study.trials["status"].isin(UNFINISHED)]
    best = study.answer.best
    lines = [
        f"trial {row['trial']} ({row['source']}): {text(int(row['images_seen']))} of {text(study.spec.base.budget.images)} images"
        + (
            ""
            if row[study.metric.name] != row[study.metric.name]
            else f", {study.metric.label} {text(row[study.metric.name])}"
        )
        for row in begun.to_dict("records")
    ]
    if best:
        lines.append(f"best so far: trial {best.trial} ({best.source}), {study.metric.label} {text(best.value)}")
    done = study.spec.through(study.through)
    said = f"Complete: {done}."
    if study.state == "running":
        said = f"Running: {done}{_left(study)}."
    elif study.state == "interrupted":
        said = f"Interrupted: {done}; go on with `understock resume {study.spec.name}`."
    elif why := closed(study.paths):
        said = f"Complete, with {plural(study.through, 'trial')}: {why}."
    row = study.ranked.head(1).to_dict("records")
    return Progress(said, state, study.through, study.spec.trials, lines, last_grid(row[0], study) if row else None)


def _left(study: StudyData) -> str:
    """A guess at the time left, from the mean of the trials that are through."""
    through = study.through
    done = study.trials[~study.trials["status"].isin(UNFINISHED)]["trial"]
    seconds = float(study.rows[study.rows["trial"].isin(done)].groupby("trial")["seconds"].max().sum())
    if not through or not seconds or study.spec.trials is None:
        return ""
    left = max(0, study.spec.trials - through) * seconds / through / study.spec.concurrency
    return f", about {duration(left)} left"
