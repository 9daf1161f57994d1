"""One run of a study under Ray Tune: what Tune tells of its trials is entered into the ledger and shown.

What Tune says comes through `search.running.tune`; nothing here starts or stops a trial.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from search.records.results import Status
from search.running.ledger import Ledger
from search.running.limits import LEAST, Limits
from search.running.live import View
from spaces.config import TrialConfig
from spaces.counts import plural
from spaces.errors import UserError
from trainables.machine.imports import NOT_IMPORTED
from trainables.running.given import ChangedDataError
from trainables.running.tune_trial import DATA_CHANGED, OUT_OF_STORAGE, TrialJob
from trainables.storage.home import Home, StorageError
from trainables.storage.store import StoreError

Halt = Literal["interrupted", "time is up", "closed"]
"""Why a run ends before all trials are through, other than for an error of the disk or for changed data."""

ALIKE = 3
"""How many trials may be lost one after the other, for the same reason, until the run halts: so would all that come."""

_HALTING: Mapping[str, type[UserError]] = {OUT_OF_STORAGE: StorageError, DATA_CHANGED: ChangedDataError}
"""What halts a run, by the status with which a trial reports it."""


class Run:
    """Knows which of Tune's trials is which of the ledger's, tells ledger and view of them, and halts when it must.

    Once the run is `halted` it writes nothing more. An error of the disk, here or in a trial, an object store that is out of
    reach, or data that are not those the trial was planned with, halt the run rather than fail the trial: all that is on
    disk stays, and the trial is taken up again once there is space, or the store answers, or the data are back.

    A trial whose processes were lost again and again, or where something can't be imported, may be lost by its own fault or
    by that of the machines. It is set aside until another one reports something: that tells that it was its own. If no other
    does, the run halts, and those set aside are left to do.
    """

    def __init__(self, home: Home, ledger: Ledger, view: View) -> None:
        self.ledger = ledger
        self.halted: Halt | UserError | None = None
        self.enough: str | None = None
        """Why no more trials are wanted, once the run is halted as closed."""
        self._limits = Limits(ledger.paths, ledger.spec)
        self._home, self._view = home, view
        self._aside: list[_Lost] = []
        self._reported = any(row["images_seen"] is not None for rows in ledger.earlier.values() for row in rows)
        self._open: dict[str, tuple[int, TrialConfig]] = {}
        """The number and config of each trial that Tune runs, by Tune's id."""
        self._start = time.monotonic()

    def start(self, trial_id: str) -> TrialJob | None:
        """The next trial, for Tune to run under that id; None if there is none."""
        if self.halted:
            return None
        asked = None
        with self._disk():
            asked = self.ledger.ask()
        if asked is None:
            return None
        self._open[trial_id] = number, config = asked
        rows = self.ledger.rows(number)
        self._view.started(number, config, rows)
        return self._job(number, config, max((row["images_seen"] for row in rows), default=0))

    def _job(self, number: int, config: TrialConfig, evaluated: int) -> TrialJob:
        spec, paths = self.ledger.spec, self.ledger.paths
        domains, sources = (config.target, *config.domains), (config.source, *config.sources_beside)
        needed = [*(f"domain:{name}" for name in domains), *(f"source:{name}" for name in sources)]
        return TrialJob(
            number=number,
            reference=self.ledger.is_reference(number),
            evaluated=evaluated,
            config=config.model_dump_json(),
            home=str(self._home),
            folder=str(paths.trial(number).relative_to(self._home.root)),
            samples=str(paths.samples(number).relative_to(self._home.root)),
            threads=spec.threads_per_trial,
            workers=spec.workers_per_trial,
            gpus_per_worker=spec.gpus_per_worker,
            memory=spec.memory_per_trial,
            digests={what: spec.digests[what] for what in needed if what in spec.digests},
        )

    def note(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Enter an evaluation; False for one that was known, as a trial that is taken up again repeats it."""
        if self.halted or trial_id not in self._open or "images_seen" not in result:
            return False
        self._alive()
        number, config = self._open[trial_id]
        new = False
        with self._disk():
            new = self.ledger.record(number, config, result)
        if new:
            self._view.evaluated(number, result)
        return new

    def lost(self, trial_id: str, times: int, limit: int, reason: str) -> None:
        """Count that a trial's process was lost, `times` in a row without an evaluation in between; it is taken up again."""
        if self.halted or trial_id not in self._open:
            return
        number, config = self._open[trial_id]
        with self._disk():
            self.ledger.retried(number, config)
        self._view.lost(number, times, limit, reason)

    def give_up(self, trial_id: str, times: int, reason: str) -> None:
        """Set a trial aside whose process was lost `times` in a row without an evaluation in between."""
        if not self.halted and trial_id in self._open:
            error = f"its process was lost {plural(times, 'time')} without an evaluation in between: {reason}"
            self._set_aside(_Lost(*self._open.pop(trial_id), error, reason))

    def end(self, trial_id: str, last: Mapping[str, Any]) -> None:
        """Close a trial; or, if the disk let it down or its data have changed, halt the run and leave the trial open.

        One where something can't be imported is set aside.
        """
        if self.halted or trial_id not in self._open:
            return
        if halting := _HALTING.get(last.get("status", "")):
            self.halted = halting(str(last["error"]))
            return
        number, config = self._open.pop(trial_id)
        if last.get("status") == NOT_IMPORTED:
            return self._set_aside(_Lost(number, config, str(last["error"]), str(last["error"])))
        if last:
            self._alive()
        self._finish(number, config, _status(last), last.get("error"))

    def settle(self) -> None:
        """Judge, when no trial is left, those that were set aside: failed, if any trial ever reported something."""
        if self._aside and not self._reported:
            self._halt_of_losses()
        self._alive()

    def _set_aside(self, lost: "_Lost") -> None:
        self._aside.append(lost)
        self._view.set_aside(lost.number, lost.error)
        if len(self._aside) >= ALIKE and len({item.kind for item in self._aside[-ALIKE:]}) == 1:
            self._halt_of_losses()

    def _halt_of_losses(self) -> None:
        name, last = self.ledger.spec.name, self._aside[-1]
        count = "every trial" if not self._reported else f"{len(self._aside)} trials one after the other"
        self.halted = UserError(
            f"study {name!r} stopped: {count} came to nothing, the last one for: {last.reason}; no trial has failed by that; "
            f"mend it ({self.ledger.paths.log} has all that Ray says), then go on with: understock resume {name}"
        )

    def _alive(self) -> None:
        """A trial has reported something, so trials can run here: those set aside have failed by themselves."""
        if self.halted:
            return
        self._reported = True
        aside, self._aside = self._aside, []
        for lost in aside:
            self._finish(lost.number, lost.config, "failed", lost.error)

    def _finish(self, number: int, config: TrialConfig, status: Status, error: str | None) -> None:
        with self._disk():
            status, error = self.ledger.finish(number, config, status, error)
        if not self.halted:
            self._view.ended(number, status, error)
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Close the study if another hour of it would gain too little."""
        least, through = self.ledger.spec.until_gain, self.ledger.through
        if least is None or through < LEAST:
            return
        ahead = self.ledger.outlook(self._limits.in_an_hour(through))
        if ahead is None:
            return
        self._view.ahead(f"another hour: {ahead.said}")
        if ahead.most < least:
            self._close(f"another hour would gain less than {100 * least:.3g} %: {ahead.said}")

    def _close(self, why: str) -> None:
        if not self.halted:
            self.halted, self.enough = "closed", why

    def keep(self, write: Callable[[], None]) -> None:
        """Let whoever decides on trials write down why, as long as the run goes on; an error of the disk halts it."""
        if not self.halted:
            with self._disk():
                write()

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Halt the run if the disk refuses a write in the block, or the object store does or is out of reach."""
        try:
            yield
        except (StorageError, StoreError) as error:
            self.halted = error
        except OSError as error:
            self.halted = StorageError.of(error, Path(error.filename or self.ledger.paths.root))

    def check_time(self) -> None:
        """Halt the run once its seconds are spent, or what the whole search may cost."""
        self._limits.passed(len(self._open))
        self._view.spent = self._limits.spent
        if why := self._limits.over:
            self._close(why)
        limit = self.ledger.spec.max_seconds
        if limit is not None and time.monotonic() - self._start >= limit:
            self.halted = self.halted or "time is up"

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks and searcher now and then; nothing of these is wanted back


@dataclass(frozen=True)
class _Lost:
    """A trial that came to nothing, and why: as its record has it, and the reason alone."""

    number: int
    config: TrialConfig
    error: str
    reason: str

    @property
    def kind(self) -> str:
        """The reason without what differs from one time to the next: numbers, addresses, ids."""
        return re.sub(r"(0x)?[0-9a-f]*[0-9][0-9a-f]*", "#", self.reason)


def _status(last: Mapping[str, Any]) -> Status:
    """How a trial ended, by its last report: one that was still running then was stopped by the scheduler."""
    said: Status = last.get("status", "failed")
    return "stopped" if said == "running" else said
