"""How a study stands: whether a process works on it, it was interrupted, or it is through; and how far it has come.

The files of a study alone do not tell a trial that trains from one that was cut off: both are "running" there. Whether a
process holds the study's lock does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from optuna.trial import FrozenTrial

from search.records.journal import DamagedJournalError, trials_in
from search.records.results import NO_SCORE, load
from search.records.study import StudyPaths, StudySpec, closed, is_running, read_spec
from spaces.errors import UserError
from spaces.protocol import GOALS
from spaces.trials import makes_images
from trainables.storage.home import Home, content

State = Literal["running", "interrupted", "completed"]
"""How a study stands. One that is "interrupted" can be resumed, whatever it ended by: Ctrl-C, its minutes, or a kill."""

UNFINISHED = ("running", "interrupted")
"""The statuses, as `standing_rows` gives them, of trials that are not through."""


@dataclass(frozen=True)
class Standing:
    """A study in a line of the list of all."""

    study: str
    target: str
    state: State
    trials_through: int
    trials_wanted: int | None
    """None where their number has no limit."""
    best: float | None
    """The best last evaluation of all trials that make images; of a front, by the first of its goals."""
    metric: str
    """What that is measured by, as readers meet it."""

    @property
    def trials(self) -> str:
        """ "5 of 24", those through of those wanted; or "5", where their number has no limit."""
        return f"{self.trials_through}{f' of {self.trials_wanted}' if self.trials_wanted else ''}"


def state_of(paths: StudyPaths, spec: StudySpec, through: int, *, running: bool) -> State:
    """How a study with so many trials through stands, a process at work on it or not."""
    if running:
        return "running"
    return "completed" if closed(paths) or through >= spec.most_trials else "interrupted"


def standing_rows(paths: StudyPaths) -> tuple[bool, pa.Table]:
    """Whether a process works on the study, and its evaluations; without one, "running" trials are "interrupted" there."""
    running = is_running(paths)  # first: what ends between the two was not interrupted
    table = load(paths.evaluations)
    if running:
        return True, table
    place, status = table.schema.get_field_index("status"), table["status"]
    cut_off = pc.if_else(pc.equal(status, "running"), "interrupted", status)
    return False, table.set_column(place, "status", cut_off)


def standing(home: Home, name: str) -> Standing:
    """How a study stands, off its spec and its journal: a file for all trials, where the evaluations are one each.

    UserError if one of the two can't be read, or what says that no more trials are wanted.
    """
    paths, spec = read_spec(home, name)
    running = is_running(paths)  # first, as above
    try:
        trials = trials_in(content(paths.journal), name)
    except FileNotFoundError:  # it was cut off before its first trial
        trials = []
    except DamagedJournalError as damage:
        raise UserError(f"{paths.journal} is damaged ({damage}); mend it with: understock resume {name}") from None
    through = sum(trial.state.is_finished() for trial in trials)
    state = state_of(paths, spec, through, running=running)
    metric = GOALS[spec.metric].labelled(spec.base.protocol.extractor)
    return Standing(name, spec.target, state, through, spec.trials, _best(trials, spec, metric.sign), metric.label)


def _best(trials: Sequence[FrozenTrial], spec: StudySpec, sign: int) -> float | None:
    """The best last score; Optuna has it as a trial's value, where that spent its budget, else as its last step's."""
    found = []
    for trial in trials:
        makes_any = makes_images(trial.params.get("method", spec.base.method))
        if trial.user_attrs.get("status") in NO_SCORE or not makes_any:
            continue
        steps = trial.intermediate_values
        found += [trial.values[0]] if trial.values else [steps[max(steps)]] if steps else []
    return min(found, key=lambda score: sign * score, default=None)
