"""The ledger of a study keeps the journal and the evaluations table so that each trial is in both exactly once.

The order of writing is what makes a killed search resumable. A trial is RUNNING in the journal from the moment it is
asked for. Its evaluations are written as they come. When it ends, its Parquet file gets the final status first, and the
journal is told after: a trial that is RUNNING in the journal, whatever its file says, is taken up again on resume.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.proposals import load_space
from search.records.journal import Journal, is_score
from search.records.results import Status, is_evaluation, is_repeated, row_columns, score_of, write_trial
from search.records.study import StudyPaths, StudySpec, close, closed
from search.running.damage import mend_journal
from search.running.recovery import read_finished, rows_on_disk, tell_what_ended
from search.running.suggested import first_trials, planned, suggested_config
from search.sampling import sampler
from search.transfer_sampler import Outlook, TransferSampler, sampler_of
from spaces.config import SCRATCH, TrialConfig
from spaces.trials import DEFAULT_METHOD
from trainables.storage.home import fetch
from trainables.training.checkpoints import forget_fallback
from trainables.training.trial_files import TrialFiles

Rows = dict[int, Mapping[str, Any]]
"""A trial's evaluations by images seen."""


class Ledger:
    """Asks for trials, records what comes of them in journal and table, and knows which are left to do."""

    def __init__(self, paths: StudyPaths, spec: StudySpec) -> None:
        """Open the study's journal and table, or begin them, and make good what a killed process left undone in them.

        A journal that is damaged is made anew from the table; UserError, before anything is written, if that can't be.
        """
        self.paths, self.spec, self.space = paths, spec, load_space(spec.space)
        fetch(paths.journal)
        fetch(paths.evaluations)
        mend_journal(paths, spec, self.space)
        self._journal = Journal(paths.journal, spec.name, spec.directions)
        self.study = self._journal.study
        self.study.sampler = self._sampler()
        self._plan()
        tell_what_ended(self._journal, paths, spec)
        self.earlier = read_finished(self._journal, paths, spec, self.space)
        """The evaluations of every trial that was through when the ledger was opened: status, arm, images seen and scores."""
        self._finished = len(self.earlier)
        self._unfinished = self._journal.trials(TrialState.RUNNING)
        self._open: dict[int, _Open] = {}
        self._closed: str | None = None
        self._foresight: TransferSampler | None = None
        asked = (trial.number for trial in self._journal.trials() if self._began_from_scratch(trial))
        self._reference = next(asked, None)
        self._journal.push()
        if why := closed(paths):  # the process that closed it may have been killed right after that
            self.close(why)

    def _plan(self) -> None:
        """Lay down the first trials: of a new study, and what of them was beyond the number that it had before `raised`."""
        before, now = self._journal.planned, self.spec.most_trials
        first = first_trials(self.spec, self.space) if before < now else []
        if not before or before < len(first):
            self._journal.plan(first, of=now)

    def _sampler(self) -> optuna.samplers.BaseSampler:
        if self.spec.sampler == "transfer":
            return self._informed_sampler()
        return sampler(self.spec, len(self._journal.trials()))

    def _informed_sampler(self) -> TransferSampler:
        return sampler_of(self.spec, self.space, self.paths, planned(self.spec, self.space))

    @property
    def through(self) -> int:
        """How many trials have ended, in this run or an earlier one."""
        return self._finished

    @property
    def to_do(self) -> int:
        """How many trials the study still owes: unfinished ones, and those not asked for yet; none once it is closed."""
        return 0 if self._closed else max(0, self.spec.most_trials - self._finished)

    def close(self, why: str) -> None:
        """No more trials are wanted: those that run, or ran when an earlier run was killed, count as stopped here."""
        close(self.paths, why)
        while self._unfinished:
            self.ask()
        for number, trial in list(self._open.items()):
            self.finish(number, trial.config, "stopped")
        self._closed = why

    def outlook(self, trials: int) -> Outlook | None:
        """What so many more trials would gain, by what this study and earlier ones tell; None before anything came through."""
        if self._foresight is None:
            own = self.study.sampler
            self._foresight = own if isinstance(own, TransferSampler) else self._informed_sampler()
        return self._foresight.outlook(self._journal.trials(), trials)

    def ask(self) -> tuple[int, TrialConfig] | None:
        """The number and config of the next trial: an unfinished one of an earlier run, or a new one.

        A trial for which the space suggests nonsense is noted as failed, and the next one asked for; None when that
        leaves nothing to do.
        """
        while self._unfinished or len(self._open) < self.to_do:
            trial = self._take_up()
            number = trial.number
            config, error = suggested_config(self.spec, self.space, trial)
            self._open[number].config = config
            self._journal.push()  # before anything bears the trial's number
            if error is None:
                if self._reference is None and _is_from_scratch(config):
                    self._reference = number
                self._enter(number, config, "running", None)
                return number, config
            self.finish(number, config, "failed", error)
        return None

    def _take_up(self) -> optuna.Trial:
        """The next trial, unfinished ones first, with the evaluations that it has on disk; it is open from here on."""
        if self._unfinished:
            before = self._unfinished.pop(0)
            trial, retries = self._journal.reopen(before.number), before.user_attrs.get("retries", 0)
        else:
            trial, retries = self._journal.ask(), 0
        on_disk = rows_on_disk(self.paths, trial.number)
        rows: Rows = {row["images_seen"]: row_columns(row) for row in on_disk if is_evaluation(row)}
        self._open[trial.number] = _Open(rows, retries, self.spec.base)
        return trial

    def _began_from_scratch(self, trial: FrozenTrial) -> bool:
        """Whether a trial of an earlier run trained from scratch, or was about to.

        Not one that waits, or for which nothing was suggested that could be trained. Nor one for which not all was suggested yet,
        as the process was killed meanwhile: it is taken up first, and `ask` then knows.
        """
        if trial.state is TrialState.WAITING:
            return False
        config, error = suggested_config(self.spec, self.space, FixedTrial(trial.params))
        return error is None and _is_from_scratch(config)

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
        if known is not None and is_repeated(new, known):
            return False
        trial.rows[row["images_seen"]] = new
        self._enter(number, config, "running", None)
        return True

    def retried(self, number: int, config: TrialConfig) -> None:
        """Count that a trial's process was lost, and that it is taken up again."""
        trial = self._open[number]
        trial.retries += 1
        self._journal.retry(number, trial.retries)
        self._enter(number, config, "running", None)

    def finish(
        self, number: int, config: TrialConfig, status: Status, error: str | None = None
    ) -> tuple[Status, str | None]:
        """Close a trial in table and journal, and give the status and error that they have of it now.

        A trial that spent its budget and lacks a score at its end has failed.
        """
        last: Mapping[str, Any] = next(reversed(self._open[number].rows.values()), {})
        scores = {name: score_of(last, name) for name in self.spec.goals}
        lacking = [name for name, score in scores.items() if not is_score(score)]
        if status == "completed" and lacking:
            status, error = "failed", f"its last evaluation has {lacking[0]} {scores[lacking[0]]}, which is no score"
        self._enter(number, config, status, error)
        self._show_samples(number)
        self._journal.end(number, status, list(scores.values()), error)
        self._journal.push()
        del self._open[number]
        self._finished += 1
        forget_fallback(TrialFiles(self.paths.trial(number), self.paths.samples(number)))
        return status, error

    def _show_samples(self, number: int) -> None:
        """Give the trial's last grid of samples to Optuna's dashboard, which shows it beside the trial."""
        fetch(self.paths.samples(number))
        found = sorted(self.paths.samples(number).glob("[0-9]*.png"))
        # a trial that failed may have left one that leads nowhere
        grids = [grid for grid in found if os.access(grid, os.R_OK)]
        if grids:
            self._journal.attach(number, grids[-1], self.paths.artifacts)

    def _enter(self, number: int, config: TrialConfig, status: Status, error: str | None) -> None:
        """Write an open trial's file, then whatever scores the journal lacks."""
        trial = self._open[number]
        write_trial(
            self.paths.evaluation(number),
            config,
            study=self.spec.name,
            trial=number,
            status=status,
            evaluations=list(trial.rows.values()),
            error=error,
            retries=trial.retries,
        )
        self._journal.score(number, {images: row.get(self.spec.metric) for images, row in trial.rows.items()})


@dataclass
class _Open:
    """A trial that was asked for and has not ended; `retries` is how often its process was lost and it was taken up again."""

    rows: Rows
    retries: int
    config: TrialConfig


def _is_from_scratch(config: TrialConfig) -> bool:
    """Whether it trains a GAN from scratch; methods that take no source do not."""
    return config.method == DEFAULT_METHOD and config.source == SCRATCH
