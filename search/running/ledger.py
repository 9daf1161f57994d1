"""The books of a study: Optuna's journal and the evaluations table, kept so that each trial is in both exactly once.

The order of writing is what makes a killed search resumable. A trial is RUNNING in the journal from the moment it is
asked for. Its evaluations are written as they come. When it ends, its Parquet file gets the final status first, and the
journal is told after: a trial that is RUNNING in the journal, whatever its file says, is taken up again on resume.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from search.proposals import grid, load_space, probe, trial_config
from search.records.results import Status, read_rows, row_columns, write_trial
from search.records.study import StudyPaths, StudySpec
from search.sampling import sampler
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from trainables.machine.interrupts import kept_interrupts
from trainables.storage.home import fetch, push
from trainables.training.checkpoints import forget_fallback, recorded
from trainables.training.trial_files import TrialFiles

_STATES: Mapping[Status, TrialState] = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""PRUNED rather than COMPLETE for what ended early: TPE then compares a trial with those of its own budget."""

Rows = dict[int, Mapping[str, Any]]
"""Evaluations by images seen."""


class _Journal(JournalFileBackend):
    """Optuna's file, whose lock can't bear an interrupt while it is given back."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with kept_interrupts():
            super().append_logs(logs)


class Ledger:
    """Asks Optuna for trials, records what comes of them, and knows which are left to do."""

    def __init__(self, paths: StudyPaths, spec: StudySpec) -> None:
        self.paths, self.spec, self.space = paths, spec, load_space(spec.space)
        fetch(paths.journal)
        fetch(paths.evaluations)
        _mend(paths.journal)
        self._storage = optuna.storages.JournalStorage(_Journal(str(paths.journal)))
        self.study = optuna.create_study(
            storage=self._storage, study_name=spec.name, direction=spec.direction, load_if_exists=True
        )
        self._study_id = self._storage.get_study_id_from_name(spec.name)
        self.study.sampler = sampler(spec, len(self.study.get_trials(deepcopy=False)))
        self._open: dict[int, _Open] = {}
        self._plan_first_trials()
        self._finish_what_ended()
        self.earlier = self._read_finished()
        """Of every trial that was through when the ledger was opened: source, images seen and score of each evaluation."""
        trials = self.study.get_trials(deepcopy=False)
        self._finished = len(self.earlier)
        self._unfinished = [trial for trial in trials if trial.state is TrialState.RUNNING]
        self._reference = min((t.number for t in trials if t.params.get("source") == SCRATCH), default=None)
        push(paths.journal)

    def _plan_first_trials(self) -> None:
        """A grid is planned whole; else each source gets one trial first, in the order of the spec, and then scratch."""
        if self.study.user_attrs.get("planned"):
            return
        if self.spec.sampler == "grid":
            plan = grid(self.spec, self.space)[: self.spec.trials]
        else:
            _, trial = probe(self.spec, self.space)
            choices = getattr(trial.distributions.get("source"), "choices", ())
            plan = [{"source": source} for source in choices][: self.spec.trials]
        for parameters in plan:
            self.study.enqueue_trial(parameters, skip_if_exists=True)
        self.study.set_user_attr("planned", True)

    def _finish_what_ended(self) -> None:
        """Tell the journal of trials whose file has a final status: the driver died between the two."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            rows = self._rows_on_disk(trial.number)
            if rows and rows[-1]["status"] in _STATES:
                self._tell(trial.number, rows[-1]["status"], rows[-1].get(self.spec.metric), rows[-1]["error"])
                forget_fallback(self._files(trial.number))

    def _read_finished(self) -> dict[int, list[dict[str, Any]]]:
        """What finished trials scored. Files that are missing or damaged are written again from the trials' checkpoints."""
        columns = ("source", "images_seen", self.spec.metric)
        found = {}
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                rows = self._rows_on_disk(trial.number) or self._rebuilt(trial)
                found[trial.number] = [{name: row[name] for name in columns} for row in rows]
        return found

    def _rebuilt(self, trial: optuna.trial.FrozenTrial) -> list[dict[str, Any]]:
        evaluations = [item.row() for item in recorded(self._files(trial.number))]
        config, _ = self._config(optuna.trial.FixedTrial(trial.params))
        attrs = trial.user_attrs
        self._write(trial.number, config, attrs["status"], attrs.get("error"), attrs.get("retries", 0), evaluations)
        return self._rows_on_disk(trial.number)

    def _rows_on_disk(self, number: int) -> list[dict[str, Any]]:
        """What a trial's file holds; nothing if it is missing or damaged."""
        try:
            return read_rows(self.paths.evaluation(number))
        except UserError:
            return []

    def _files(self, number: int) -> TrialFiles:
        return TrialFiles(self.paths.trial(number), self.paths.samples(number))

    @property
    def to_do(self) -> int:
        """Trials that the study still owes: unfinished ones, and those not asked for yet."""
        return max(0, self.spec.trials - self._finished)

    def ask(self) -> tuple[int, TrialConfig] | None:
        """The number and config of the next trial: an unfinished one of an earlier run, or a new one.

        A trial for which the space suggests nonsense is noted as failed, and the next one asked for; None when that
        leaves nothing to do.
        """
        while self._unfinished or len(self._open) < self.to_do:
            if self._unfinished:
                before = self._unfinished.pop(0)
                trial, retries = optuna.Trial(self.study, before._trial_id), before.user_attrs.get("retries", 0)
            else:
                trial, retries = self.study.ask(), 0
            number = trial.number
            on_disk = self._rows_on_disk(number)
            rows: Rows = {
                row["images_seen"]: row_columns(row)
                for row in on_disk
                if row["images_seen"] or row["iterations"] is not None
            }
            self._open[number] = _Open(trial, rows, retries)
            config, error = self._config(trial)
            push(self.paths.journal)  # before anything bears the trial's number
            if error is None:
                if self._reference is None and config.source == SCRATCH:
                    self._reference = number
                self._enter(number, config, "running", None)
                return number, config
            self.finish(number, config, "failed", error)
        return None

    def _config(self, trial: Any) -> tuple[TrialConfig, str | None]:
        """A trial's config; or the study's base, to have something to write, and what is wrong with the suggestion."""
        try:
            return trial_config(self.spec, self.space, trial), None
        except UserError as error:
            return self.spec.base, str(error)

    def is_reference(self, number: int) -> bool:
        """Whether this is the first trial from scratch: what transfer is compared with, at whole budget."""
        return number == self._reference

    def rows(self, number: int) -> list[Mapping[str, Any]]:
        """The evaluations so far of a trial that was asked for and is not finished."""
        return list(self._open[number].rows.values())

    def record(self, number: int, config: TrialConfig, row: Mapping[str, Any]) -> bool:
        """Note an evaluation; False for one that is noted already, as a resumed trial repeats it: that changes nothing.

        One that was trained again, as its checkpoint was damaged, replaces the other.
        """
        trial, new = self._open[number], row_columns(row)
        known = trial.rows.get(row["images_seen"])
        if known is not None and all(known.get(name) == value for name, value in new.items()):
            return False
        trial.rows[row["images_seen"]] = new
        self._enter(number, config, "running", None)
        return True

    def retried(self, number: int, config: TrialConfig) -> None:
        """Count that a trial's process was lost, and that it is taken up again."""
        trial = self._open[number]
        trial.retries += 1
        trial.optuna.set_user_attr("retries", trial.retries)
        self._enter(number, config, "running", None)

    def finish(
        self, number: int, config: TrialConfig, status: Status, error: str | None = None
    ) -> tuple[Status, str | None]:
        """Close a trial in both books, and give the status and error that they have of it now.

        A trial that spent its budget and has no score at its end has failed.
        """
        trial = self._open[number]
        value = next(reversed(trial.rows.values()), {}).get(self.spec.metric)
        if status == "completed" and not _is_number(value):
            status, error = "failed", f"its last evaluation has {self.spec.metric} {value}, which is no score"
        self._enter(number, config, status, error)
        self._tell(number, status, value, error)
        push(self.paths.journal)
        del self._open[number]
        self._finished += 1
        forget_fallback(self._files(number))
        return status, error

    def _enter(self, number: int, config: TrialConfig, status: Status, error: str | None) -> None:
        """Write an open trial's file, then whatever scores the journal lacks."""
        trial = self._open[number]
        self._write(number, config, status, error, trial.retries, list(trial.rows.values()))
        known = self._storage.get_trial(trial.optuna._trial_id).intermediate_values
        for images, row in trial.rows.items():
            if images not in known and _is_number(row.get(self.spec.metric)):
                trial.optuna.report(row[self.spec.metric], step=images)

    def _tell(self, number: int, status: Status, value: float | None, error: str | None) -> None:
        state = _STATES[status]
        self._storage.set_trial_user_attr(self._id(number), "status", status)
        if error:
            self._storage.set_trial_user_attr(self._id(number), "error", error)
        self.study.tell(number, value if state is TrialState.COMPLETE else None, state=state)

    def _write(
        self,
        number: int,
        config: TrialConfig,
        status: Status,
        error: str | None,
        retries: int,
        evaluations: Sequence[Mapping[str, Any]],
    ) -> None:
        write_trial(
            self.paths.evaluation(number),
            config,
            study=self.spec.name,
            trial=number,
            status=status,
            evaluations=evaluations,
            error=error,
            retries=retries,
        )

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


@dataclass
class _Open:
    """A trial that was asked for and has not ended."""

    optuna: optuna.Trial
    rows: Rows
    retries: int


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _mend(journal: Path) -> None:
    """Cut off a last line that a killed process did not finish, and its lock: Optuna would read neither.

    The caller holds the study's own lock, so nobody else writes.
    """
    journal.with_name(journal.name + ".lock").unlink(missing_ok=True)
    if journal.is_file() and not (data := journal.read_bytes()).endswith(b"\n"):
        with journal.open("rb+") as file:
            file.truncate(data.rfind(b"\n") + 1)
