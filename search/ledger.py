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
import pyarrow.parquet as pq
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from search.proposals import grid, probe, trial_config
from search.results import Status, row_columns, write_trial
from search.study import StudyPaths, StudySpec
from spaces.config import TrialConfig
from spaces.suggest import Space

_STATES: Mapping[Status, TrialState] = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
"""PRUNED rather than COMPLETE for what ended early: TPE then compares a trial with those of its own budget."""


class Ledger:
    """Asks Optuna for trials, records what comes of them, and knows which are left to do."""

    def __init__(self, paths: StudyPaths, spec: StudySpec, space: Space, train_images: int) -> None:
        self.paths, self.spec, self.space, self.train_images = paths, spec, space, train_images
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
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._unfinished = [trial.number for trial in running]

    def _plan_first_trials(self) -> None:
        """A grid is planned whole; else each source gets one trial first, in the order of the spec, and then scratch."""
        if self.study.user_attrs.get("planned"):
            return
        if self.spec.sampler == "grid":
            plan = grid(self.spec, self.space, self.train_images)[: self.spec.trials]
        else:
            _, trial = probe(self.spec, self.space, self.train_images)
            choices = getattr(trial.distributions.get("source"), "choices", ())
            plan = [{"source": source} for source in choices][: self.spec.trials]
        for parameters in plan:
            self.study.enqueue_trial(parameters, skip_if_exists=True)
        self.study.set_user_attr("planned", True)

    def _finish_what_ended(self) -> None:
        """Tell the journal of trials whose file has a final status: the driver died between the two."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            path = self.paths.evaluation(trial.number)
            rows = pq.read_table(path).to_pylist() if path.is_file() else []
            if rows and rows[-1]["status"] in _STATES:
                self._tell(trial.number, rows[-1]["status"], rows[-1].get(self.spec.metric))

    @property
    def to_do(self) -> int:
        """Trials that the study still owes: unfinished ones, and those not asked for yet."""
        finished = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))
        return max(0, self.spec.trials - finished)

    def ask(self) -> tuple[int, TrialConfig]:
        """The number and config of the next trial: an unfinished one of an earlier run, or a new one."""
        if self._unfinished:
            number = self._unfinished.pop(0)
            trial = optuna.Trial(self.study, self._id(number))
        else:
            trial = self.study.ask()
            number = trial.number
        config = trial_config(self.spec, self.space, trial, self.train_images)
        self._trials[number], self._rows[number] = trial, {}
        self._write(number, config, "running", None)
        return number, config

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
        self._write(number, config, status, error)
        last = list(self._rows[number].values())[-1:]
        self._tell(number, status, last[0].get(self.spec.metric) if last else None)
        del self._trials[number], self._rows[number]

    def _tell(self, number: int, status: Status, value: float | None) -> None:
        state = _STATES[status]
        self._storage.set_trial_user_attr(self._id(number), "status", status)
        if state is TrialState.COMPLETE and (value is None or value != value):
            state = TrialState.FAIL
        self.study.tell(number, value if state is TrialState.COMPLETE else None, state=state)

    def _write(self, number: int, config: TrialConfig, status: Status, error: str | None) -> None:
        rows = list(self._rows[number].values())
        path = self.paths.evaluation(number)
        write_trial(path, config, study=self.spec.name, trial=number, status=status, evaluations=rows, error=error)

    def finished_rows(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The evaluations of every trial that is through, for a scheduler that has to learn them again."""
        for trial in self.study.get_trials(deepcopy=False):
            path = self.paths.evaluation(trial.number)
            if trial.state.is_finished() and path.is_file():
                yield trial.number, pq.read_table(path).to_pylist()

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
