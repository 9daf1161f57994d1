"""What ends a search before all its trials are through: what it may cost in all, and what more of it would still gain."""

import time
from collections.abc import Mapping

from search.records.results import load
from search.records.study import StudyPaths, StudySpec

LEAST = 5
"""Trials that are through before it is asked what more of them would gain."""


class Limits:
    """Counts what a search takes, earlier runs of it included, and says when it has had enough.

    Of earlier runs that is what their trials took, as the evaluations table has it, shared out by how many ran at once.
    """

    def __init__(self, paths: StudyPaths, spec: StudySpec) -> None:
        self._spec, self._last = spec, time.monotonic()
        self._trial_seconds = sum(seconds_by_trial(paths).values()) if spec.limited else 0.0
        self._seconds = self._trial_seconds / spec.concurrency

    def passed(self, running: int) -> None:
        """Count the time since the last call, in which so many trials ran."""
        now = time.monotonic()
        self._seconds += now - self._last
        self._trial_seconds += (now - self._last) * running
        self._last = now

    @property
    def spent(self) -> str | None:
        """How much of what the search may cost is spent, of the limit that is nearest; None without such a limit."""
        found = [(used / most, used, most, unit) for used, most, unit in self._costs()]
        if not found:
            return None
        _, used, most, unit = max(found)
        return f"{used:.3g} of {most:.4g} {unit}"

    @property
    def over(self) -> str | None:
        """Why the search is over, if it has cost what it may."""
        return next((f"its {most:.4g} {unit} are spent" for used, most, unit in self._costs() if used >= most), None)

    def _costs(self) -> list[tuple[float, float, str]]:
        """Hours spent, the most there may be, and what they are of, for each limit that is set."""
        spec, trial_hours = self._spec, self._trial_seconds / 3600
        costs = (
            (self._seconds / 3600, spec.hours, "hours"),
            (trial_hours * spec.workers_per_trial * spec.threads_per_trial, spec.core_hours, "core-hours"),
            (trial_hours * spec.workers_per_trial * spec.gpus_per_worker, spec.gpu_hours, "GPU-hours"),
        )
        return [(used, most, unit) for used, most, unit in costs if most is not None]

    def in_an_hour(self, through: int) -> int:
        """How many more trials an hour has room for, if they take what those did that are through."""
        return max(1, round(3600 * through / self._seconds)) if self._seconds else 1


def seconds_by_trial(paths: StudyPaths) -> Mapping[int, float]:
    """Wall seconds of each trial that was evaluated, evaluation included."""
    table = load(paths.evaluations).select(["trial", "wall_seconds", "train_seconds"]).to_pylist()
    found: dict[int, float] = {}
    for row in table:
        seconds = row["wall_seconds"] or row["train_seconds"] or 0.0
        found[row["trial"]] = max(found.get(row["trial"], 0.0), seconds)
    return found
