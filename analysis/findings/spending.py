"""What a search spent, and what for: the best so far against cost, and where trials were stopped."""

from dataclasses import fields

import numpy as np
import pandas as pd

from analysis.tables import HANDED_ON, WAY, last_rows, trained_nothing
from search.curve_stopping import Believed, beliefs_of
from search.records.results import NO_SCORE
from search.records.study import StudyPaths, StudySpec, rung_images
from spaces.protocol import Metric


def device_hours(spec: StudySpec) -> tuple[str, float]:
    """The unit of what a study costs, "GPU-hours" or "core-hours", and how much of it a trial's second takes."""
    devices = spec.gpus_per_worker or spec.threads_per_trial
    return ("GPU-hours" if spec.gpus_per_worker else "core-hours"), spec.workers_per_trial * devices / 3600


def best_so_far(rows: pd.DataFrame, spec: StudySpec, metric: Metric) -> pd.DataFrame:
    """A row a trial, in the order of their numbers: trial, source, status, hours (spent until then), value, best.

    Hours are device-hours of wall time, evaluation included, as if trials came one after another. `value` is the score, NaN
    without one; `best` the best score until then, which images that are handed on untranslated never are.
    """
    last = last_rows(rows).sort_values("trial")
    scored = ~last["status"].isin(NO_SCORE)
    value = last[metric.name].astype(float).where(scored)
    candidates = value.mask(last[WAY].isin(HANDED_ON))
    return pd.DataFrame(
        {
            "trial": last["trial"],
            "source": last["source"],
            "status": last["status"],
            "images_seen": last["images_seen"],
            "hours": (last["seconds"].fillna(0.0) * device_hours(spec)[1]).cumsum(),
            "value": value,
            "best": metric.sign * (metric.sign * candidates).cummin().ffill(),
        }
    ).reset_index(drop=True)


def rungs(rows: pd.DataFrame, spec: StudySpec) -> pd.DataFrame:
    """A row a rung of early stopping, ascending: images, reached, stopped (there), diverged_or_failed (before the next).

    The first is where trials begin, at 0 images, so that all who did are counted; the last one is the budget. Without early
    stopping there is none between. Trials that trained nothing come to none.
    """
    last = last_rows(rows)
    last = last[~trained_nothing(last)]
    marks = [0, *rung_images(spec)]
    reached = np.searchsorted(marks, last["images_seen"].to_numpy(), side="right")  # how many rungs a trial has passed
    status = last["status"].to_numpy()
    return pd.DataFrame(
        [
            {
                "images": mark,
                "reached": int((reached > i).sum()),
                "stopped": int(((reached == i + 1) & (status == "stopped")).sum()),
                "diverged_or_failed": int(((reached == i + 1) & np.isin(status, NO_SCORE)).sum()),
            }
            for i, mark in enumerate(marks)
        ]
    )


def believed(paths: StudyPaths, spent: pd.DataFrame) -> pd.DataFrame:
    """A row a decision of a search that goes by curves: what was expected of the trial at its budget, and what it came to.

    `spent` is as `best_so_far` gives it. `came` is NaN of a trial that did not come to its end.
    """
    columns = {"score": "expected", "stopped": "then"}
    found = pd.DataFrame(beliefs_of(paths), columns=[each.name for each in fields(Believed)]).rename(columns=columns)
    found["then"] = found["then"].map({True: "was stopped", False: "went on"})
    ended = spent[spent["status"] == "completed"].set_index("trial")["value"]
    return found.assign(came=found["trial"].map(ended).astype(float))


def whole_cost(rows: pd.DataFrame, spec: StudySpec) -> float:
    """Device-hours that all trials would have taken to the end of the budget, at the median speed of the study's trials.

    Trials that trained nothing took all that they ever would.
    """
    last = last_rows(rows)
    whole = trained_nothing(last)
    begun = last[last["images_seen"] > 0]
    speed = float((begun["seconds"] / begun["images_seen"]).median())
    seconds = speed * spec.base.budget.images * (~whole).sum() + last.loc[whole, "seconds"].sum()
    return float(seconds * device_hours(spec)[1])
