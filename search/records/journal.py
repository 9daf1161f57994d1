"""A study's journal: which trials there are, in Optuna's own file, so that Optuna's samplers and dashboard read it as it is.

This is the one module that knows how Optuna keeps that file and how it numbers trials inside it. Everybody else names a
trial by its number in the study.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.records.results import Status
from spaces.errors import UserError
from spaces.plain_json import parse_json
from spaces.protocol import Direction
from trainables.machine.interrupts import kept_interrupts
from trainables.storage.home import fetch, push, storage_errors, writing

STATES: Mapping[Status, TrialState] = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""Optuna's state for each way that a trial can end.

What ended early is PRUNED rather than COMPLETE: TPE then compares a trial with those of its own budget.
"""


class Journal:
    """The trials of one study: their parameters, their scores so far, and how each ended. One process at a time writes it.

    A trial's user attributes are its `status` and its `error`, once it has ended, and its `retries`, if it had any.
    """

    def __init__(self, path: Path, name: str, directions: Sequence[Direction]) -> None:
        """Open the journal of study `name`, or begin one; what a killed process wrote half is cut off.

        The caller holds the study's lock, so nobody else writes.
        """
        fetch(path)
        _mend(path)
        self._path, self._storage = path, JournalStorage(_File(str(path)))
        try:
            self.study = optuna.load_study(storage=self._storage, study_name=name)
        except KeyError:
            self.study = optuna.create_study(storage=self._storage, study_name=name, directions=directions)
        self._study_id = self._storage.get_study_id_from_name(name)

    @property
    def planned(self) -> int:
        """Of a study of how many trials the first ones have been laid down; 0 before that.

        No number is noted by earlier versions and where a journal was made anew: there it is as many as there are trials.
        """
        noted = self.study.user_attrs.get("planned", 0)
        return max(1, len(self.trials())) if noted is True else int(noted)

    def plan(self, trials: Sequence[Mapping[str, Any]], of: int) -> None:
        """Lay down the parameters, or some of them, of the trials that are asked for first in a study `of` so many.

        Those that are laid down already are not again.
        """
        for parameters in trials:
            self.study.enqueue_trial(dict(parameters), skip_if_exists=True)
        self.study.set_user_attr("planned", of)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in any of these states, in the order of their numbers; all trials, if no state is given."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def ask(self) -> optuna.Trial:
        """A new trial, or the next one that was planned. It is RUNNING from here on."""
        return self.study.ask()

    def reopen(self, number: int) -> optuna.Trial:
        """A trial that an earlier process asked for and did not end; it suggests what it suggested then."""
        return optuna.Trial(self.study, self._id(number))

    def score(self, number: int, scores: Mapping[int, float | None]) -> None:
        """Note a running trial's scores by images seen. Those that are noted already, or are no scores, change nothing.

        Of a study with several goals Optuna keeps none but the last.
        """
        if len(self.study.directions) > 1:
            return
        trial_id = self._id(number)
        known = self._storage.get_trial(trial_id).intermediate_values
        for images, score in scores.items():
            if images not in known and is_score(score):
                self._storage.set_trial_intermediate_value(trial_id, int(images), float(score))

    def retry(self, number: int, retries: int) -> None:
        """Note how often the process of a running trial was lost so far."""
        self._storage.set_trial_user_attr(self._id(number), "retries", retries)

    def attach(self, number: int, file: Path, store: Path) -> None:
        """Show a file beside a running trial in Optuna's dashboard; a copy of it goes to the folder `store`."""
        trial = optuna.Trial(self.study, self._id(number))
        upload_artifact(artifact_store=_Artifacts(store), file_path=str(file), study_or_trial=trial)

    def end(self, number: int, status: Status, scores: Sequence[float | None], error: str | None) -> None:
        """Note how a trial ended; its scores, one a goal, count only if it spent its budget."""
        trial_id, state = self._id(number), STATES[status]
        self._storage.set_trial_user_attr(trial_id, "status", status)
        if error:
            self._storage.set_trial_user_attr(trial_id, "error", error)
        complete = [score for score in scores if score is not None] if state is TrialState.COMPLETE else None
        self.study.tell(number, complete, state=state)

    def push(self) -> None:
        """Give a home on an object store what was noted since the last time."""
        push(self._path)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


class DamagedJournalError(UserError):
    """A journal that does not hold what was written to it."""


def read_trials(path: Path, name: str, directions: Sequence[Direction] | None = None) -> list[FrozenTrial]:
    """The trials in the journal of study `name`, which stays as it is; none if there is no journal, else as `trials_in`."""
    return trials_in(path.read_bytes() if path.is_file() else b"", name, directions)


def trials_in(journal: bytes, name: str, directions: Sequence[Direction] | None = None) -> list[FrozenTrial]:
    """The trials in a journal of study `name`; none if there is nothing in it.

    A last line that a killed process did not finish is left out. DamagedJournalError if another line is not whole, or if
    Optuna can make nothing of them, or if they are of another study.
    """
    lines = journal.split(b"\n")[:-1]
    logs = list(_parsed(lines))
    try:
        storage = JournalStorage(_Lines(logs))
    except Exception as error:  # what Optuna makes of lines that it did not write can be anything
        raise DamagedJournalError(
            f"Optuna can't read it: {type(error).__name__} {' '.join(str(error).split())}"
        ) from None
    found = storage.get_all_studies()
    if lines and ([study.study_name for study in found] != [name]):
        raise DamagedJournalError(
            f"it has the studies {[study.study_name for study in found]}, expected {name!r} alone"
        )
    if found and directions and found[0].directions != [StudyDirection[each.upper()] for each in directions]:
        there = " and ".join(each.name.lower() for each in found[0].directions)
        raise DamagedJournalError(f"its scores are to {there}, expected to {' and '.join(directions)}")
    return [trial for study in found for trial in storage.get_all_trials(study._study_id)]


def _parsed(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            yield parse_json(line, finite=False)
        except ValueError as error:
            raise DamagedJournalError(f"line {number} of {len(lines)} is not JSON: {error}") from None


def write_journal(path: Path, name: str, directions: Sequence[Direction], trials: Sequence[FrozenTrial]) -> None:
    """Write a journal of these trials, numbered in their order, over what was there; nothing is left to be planned."""
    with writing(path) as beside:
        study = optuna.create_study(storage=JournalStorage(_File(str(beside))), study_name=name, directions=directions)
        study.add_trials(trials)
        study.set_user_attr("planned", True)


def is_score(value: float | None) -> TypeGuard[float]:
    """Whether trials can be compared by this value: it is there, and finite."""
    return value is not None and math.isfinite(value)


class _Lines(BaseJournalBackend):
    """What a journal's lines say, to be read alone."""

    def __init__(self, lines: Sequence[dict[str, Any]]) -> None:
        self._lines = lines

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        return iter(self._lines[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError(f"a journal that is read alone was to be written: {logs}")


class _Artifacts(FileSystemArtifactStore):
    """Optuna's folder of artifacts, each written beside and renamed into place, and given to an object store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._folder = folder

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        with writing(self._folder / artifact_id) as beside:
            beside.write_bytes(content_body.read())


class _File(JournalFileBackend):
    """Optuna's file, whose lock can't bear an interrupt while it is given back. An error of the disk is told as that."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with storage_errors(Path(self._file_path)), kept_interrupts():
            super().append_logs(logs)


def _mend(path: Path) -> None:
    """Cut off a last line that a killed process did not finish, and remove its lock: Optuna would read neither."""
    path.with_name(path.name + ".lock").unlink(missing_ok=True)
    if path.is_file() and not (data := path.read_bytes()).endswith(b"\n"):
        with path.open("rb+") as file:
            file.truncate(data.rfind(b"\n") + 1)
