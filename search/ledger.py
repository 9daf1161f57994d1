"""The books of a study: Optuna's journal and the evaluations table, kept so that each trial is in both exactly once.

The order of writing is what makes a killed search resumable. A trial is RUNNING in the journal from the moment it is
asked for. Its evaluations are written as they come. When it ends, its Parquet file gets the final status first, and the
journal is told after: a trial that is RUNNING in the journal, whatever its file says, is taken up again on resume.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from search.proposals import grid, load_space, probe, trial_config
from search.results import Status, read_rows, row_columns, write_trial
from search.study import StudyPaths, StudySpec
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from trainables.home import fetch, push
from trainables.trial import TrialFiles, recorded

_STATES: Mapping[Status, TrialState] = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""PRUNED rather than COMPLETE for what ended early: TPE then compares a trial with those of its own budget."""


class Ledger:
    """Asks Optuna for trials, records what comes of them, and knows which are left to do."""

    def __init__(self, paths: StudyPaths, spec: StudySpec) -> None:
        self.paths, self.spec, self.space = paths, spec, load_space(spec.space)
        fetch(paths.journal)
        fetch(paths.evaluations)
        _mend(paths.journal)
        self._storage = optuna.storages.JournalStorage(JournalFileBackend(str(paths.journal)))
        self.study = optuna.create_study(
            storage=self._storage, study_name=spec.name, direction=spec.direction, load_if_exists=True
        )
        self._study_id = self._storage.get_study_id_from_name(spec.name)
        self.study.sampler = _sampler(spec, len(self.study.get_trials(deepcopy=False)))
        self._trials: dict[int, optuna.Trial] = {}
        self._rows: dict[int, dict[int, Mapping[str, Any]]] = {}
        self._plan_first_trials()
        self._finish_what_ended()
        self._rebuild_damaged()
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._unfinished = [trial.number for trial in running]
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
                self._tell(trial.number, rows[-1]["status"], rows[-1].get(self.spec.metric))

    def _rebuild_damaged(self) -> None:
        """Write the files of finished trials again that are missing or damaged, from the trials' own checkpoints."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.is_finished() and not self._rows_on_disk(trial.number):
                rows = {item.images_seen: item.row() for item in recorded(self._checkpoint(trial.number))}
                config, _ = self._config(optuna.trial.FixedTrial(trial.params))
                self._write(trial.number, config, trial.user_attrs["status"], trial.user_attrs.get("error"), rows)

    def _rows_on_disk(self, number: int) -> list[dict[str, Any]]:
        """What a trial's file holds; nothing if it is missing or damaged."""
        try:
            return read_rows(self.paths.evaluation(number))
        except UserError:
            return []

    def _checkpoint(self, number: int) -> Path:
        return TrialFiles(self.paths.trial(number), self.paths.samples(number)).checkpoint

    @property
    def to_do(self) -> int:
        """Trials that the study still owes: unfinished ones, and those not asked for yet."""
        finished = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))
        return max(0, self.spec.trials - finished)

    def ask(self) -> tuple[int, TrialConfig] | None:
        """The number and config of the next trial: an unfinished one of an earlier run, or a new one.

        A trial for which the space suggests nonsense is noted as failed, and the next one asked for; None when that
        leaves nothing to do.
        """
        while self._unfinished or len(self._trials) < self.to_do:
            trial = (
                optuna.Trial(self.study, self._id(self._unfinished.pop(0))) if self._unfinished else self.study.ask()
            )
            number = trial.number
            on_disk = self._rows_on_disk(number)
            self._trials[number] = trial
            self._rows[number] = {row["images_seen"]: row_columns(row) for row in on_disk if row["images_seen"]}
            config, error = self._config(trial)
            push(self.paths.journal)  # before anything bears the trial's number
            if error is None:
                self._write(number, config, "running", None)
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
        scratch = (t.number for t in self.study.get_trials(deepcopy=False) if t.params.get("source") == SCRATCH)
        return number == min(scratch, default=None)

    def record(self, number: int, config: TrialConfig, row: Mapping[str, Any]) -> None:
        """Note an evaluation. One that was noted before, as a resumed trial repeats it, changes nothing."""
        self._rows[number][row["images_seen"]] = row_columns(row)
        value = row.get(self.spec.metric)
        if value is not None and value == value:
            known = self._storage.get_trial(self._id(number)).intermediate_values
            if row["images_seen"] not in known:
                self._trials[number].report(value, step=row["images_seen"])
        self._write(number, config, "running", None)

    def finish(self, number: int, config: TrialConfig, status: Status, error: str | None = None) -> None:
        """Close a trial in both books; further calls for the same trial change nothing."""
        if number not in self._trials:
            return
        if error:
            self._storage.set_trial_user_attr(self._id(number), "error", error)
        self._write(number, config, status, error)
        last = list(self._rows[number].values())[-1:]
        self._tell(number, status, last[0].get(self.spec.metric) if last else None)
        push(self.paths.journal)
        del self._trials[number], self._rows[number]

    def _tell(self, number: int, status: Status, value: float | None) -> None:
        state = _STATES[status]
        if state is TrialState.COMPLETE and (value is None or value != value):
            state = TrialState.FAIL
        self._storage.set_trial_user_attr(self._id(number), "status", status)
        self.study.tell(number, value if state is TrialState.COMPLETE else None, state=state)

    def _write(
        self,
        number: int,
        config: TrialConfig,
        status: Status,
        error: str | None,
        rows: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> None:
        evaluations = list((self._rows[number] if rows is None else rows).values())
        path = self.paths.evaluation(number)
        write_trial(
            path, config, study=self.spec.name, trial=number, status=status, evaluations=evaluations, error=error
        )

    def finished_rows(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The evaluations of every trial that is through, for a scheduler that has to learn them again."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                yield trial.number, self._rows_on_disk(trial.number)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


def _sampler(spec: StudySpec, trials_before: int) -> optuna.samplers.BaseSampler:
    seed = spec.seed + 1_000_003 * trials_before  # a resumed search goes on, rather than draw the same numbers again
    if spec.sampler != "tpe":
        return optuna.samplers.RandomSampler(seed=seed)
    startup = max(5, spec.trials // 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=startup
        )


def _mend(journal: Path) -> None:
    """Cut off a last line that a killed process did not finish, and its lock: Optuna would read neither.

    The caller holds the study's own lock, so nobody else writes.
    """
    journal.with_name(journal.name + ".lock").unlink(missing_ok=True)
    if journal.is_file() and not (data := journal.read_bytes()).endswith(b"\n"):
        with journal.open("rb+") as file:
            file.truncate(data.rfind(b"\n") + 1)
