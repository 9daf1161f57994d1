"""A study runs: Optuna suggests trials, Ray Tune runs them, ASHA stops the poor ones early.

Tune keeps no state that matters: the ledger and the trials' own checkpoints do. So a resumed study is a new Tune run that
is first given what the ledger has unfinished, with a scheduler that has learnt the finished trials again.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

# Before Ray is imported: a diverged or failed trial reports no metric, and that is no error of Tune's. Its snapshots, log
# files, TensorBoard files and printed tracebacks are not wanted: the ledger has all that is needed.
os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"
os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "1e9"
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # it waits for the trials' next evaluation, or 15 s
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
from ray import tune
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from search.prior import write_prior
from search.records.inputs import check_unchanged, stopped
from search.records.study import StudyPaths, StudySpec, only_driver
from search.running.ledger import Ledger
from search.running.live import View
from search.running.more_trials import raised
from search.running.run import Run
from search.running.stopping import scheduler_of
from search.running.tracking import trackers
from spaces.errors import UserError
from trainables.cluster.connection import connected, remove_orphaned_groups
from trainables.cluster.crew import Crew
from trainables.cluster.ray_log import RAY_LOG
from trainables.cluster.room import AUTOSCALER_PATIENCE, Room
from trainables.machine.interrupts import handling_interrupts
from trainables.running.given import ChangedDataError
from trainables.running.tune_entry import tune_trial
from trainables.running.tune_trial import resources
from trainables.storage.home import STORAGE_ERRNOS, Home, StorageError
from trainables.storage.store import UnreachableError

# Tune would put the keys of a bucket into the trials' runtime environments, which Ray writes to logs that last. The workers of
# this machine have them by inheritance, and every node of a cluster has its own.
class_cache.ENV_VARS_TO_PROPAGATE = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if not name.startswith("AWS_")}

INFRASTRUCTURE_RETRIES = 3
"""How often a trial whose process or node was lost is taken up again from its last checkpoint.

Each evaluation sets the count back: on spot machines a long trial may be lost many times, but one that can't reach its
next evaluation is given up.
"""

_LOOKING_SECONDS = 1.0
"""The time between two looks at the cluster: for room that trials left behind, and for room that has gone."""

Outcome = Literal["complete", "complete already", "interrupted", "time is up"]
"""What `run_study` came to. A study that was "interrupted", by Ctrl-C, or whose "time is up" can be resumed."""

Trainable = Callable[[Mapping[str, Any]], None]
"""A function that Tune calls with a TrialJob's fields, and that reports a row for each evaluation."""


def run_study(
    home: Home,
    paths: StudyPaths,
    spec: StudySpec,
    *,
    address: str | None = None,
    dashboard: bool = False,
    track: Sequence[str] = (),
    trials: int | None = None,
    trainable: Trainable = tune_trial,
) -> Outcome:
    """Run what is left of a study: all of a new one, nothing of a finished one, unless it is to have more `trials` in all.

    UserError if another process runs it, its data, source models or space have changed or change meanwhile, there is no
    Ray at `address`, the disk is full, the object store is out of reach, or it can't have so many trials.
    """
    check_unchanged(home, spec)
    with _halting_errors(paths), only_driver(paths):
        write_prior(home, paths, spec)
        spec = raised(paths, spec, trials) if trials is not None else spec
        ledger = Ledger(paths, spec)
        if not ledger.to_do:
            return "complete already"
        also = trackers(track, paths, spec)
        with _ray(paths, spec, address, dashboard) as room, View(spec, ledger.earlier) as view, _ray_folder(paths):
            run = Run(home, ledger, view)
            with suppress(_Halted), _signals(run):
                _tuner(run, room, trainable, also).fit()
                run.settle()
        if isinstance(run.halted, UserError):
            raise run.halted
        if run.enough:  # once nothing of its trials runs any more
            ledger.close(run.enough)
        if not ledger.to_do:
            return "complete"
        return "time is up" if run.halted == "time is up" else "interrupted"


@contextmanager
def _halting_errors(paths: StudyPaths) -> Iterator[None]:
    """Turn an error of the disk or of the way to the object store, or changed data, into one line that says how to go on."""
    name = paths.root.name
    try:
        yield
    except ChangedDataError as error:
        raise stopped(name, error) from error
    except UnreachableError as error:
        raise UserError(
            f"study {name!r} stopped: {error}; once it answers, go on with: understock resume {name}"
        ) from error
    except (OSError, StorageError) as error:
        if isinstance(error, OSError):
            if error.errno not in STORAGE_ERRNOS:
                raise
            error = StorageError.of(error, Path(error.filename or paths.root))
        raise UserError(f"study {name!r} stopped: {error}, then go on with: understock resume {name}") from error


@contextmanager
def _ray_folder(paths: StudyPaths) -> Iterator[None]:
    """Let Tune's own folder last as long as the block: nothing in it is needed afterwards."""
    shutil.rmtree(paths.ray, ignore_errors=True)  # of a run that was killed
    try:
        yield
    finally:
        shutil.rmtree(paths.ray, ignore_errors=True)


class _Halted(BaseException):
    """Ends Tune's loop, between two of its steps, at once: its own ways wait for the trials, and nothing is to be saved."""


@contextmanager
def _signals(run: Run) -> Iterator[None]:
    """Ctrl-C, or SIGTERM, halts the run at its next step; the second one leaves wherever it is."""

    def halt(number: int, frame: Any) -> None:
        if run.halted:
            raise KeyboardInterrupt
        run.halted = "interrupted"

    with handling_interrupts(halt):
        yield


def _crew(spec: StudySpec) -> Crew:
    """The workers of a trial. Ray keeps memory free for one that trains in Tune's own actor, and for no more of them."""
    memory = spec.memory_per_trial if spec.workers_per_trial == 1 else None
    return Crew(spec.workers_per_trial, spec.threads_per_trial, spec.gpus_per_worker, memory or 0)


@contextmanager
def _ray(paths: StudyPaths, spec: StudySpec, address: str | None, dashboard: bool) -> Iterator[Room]:
    """A Ray that has room for a trial: the cluster at `address`, or one of our own for as long as the search lasts.

    Gives that room, which may go with the nodes.
    """
    crew = _crew(spec)
    at_once = spec.concurrency * crew.workers
    cpus, memory, go_on = at_once * crew.threads, at_once * crew.memory, f"go on with: understock resume {spec.name}"
    with connected(address, cpus, paths.log, memory=memory, dashboard=dashboard, go_on=go_on):
        way_out = f"take fewer or smaller workers in another study, or add nodes and {go_on}"
        room = Room(crew, f"a trial of study {spec.name!r}", AUTOSCALER_PATIENCE if address else 0.0, way_out)
        room.wait()
        yield room


def _tuner(run: Run, room: Room, trainable: Trainable, also: list[tune.Callback]) -> tune.Tuner:
    spec = run.ledger.spec
    needs = resources(_crew(spec))
    return tune.Tuner(
        tune.with_resources(trainable, needs),
        tune_config=tune.TuneConfig(
            search_alg=_Suggestions(run),
            scheduler=scheduler_of(run.ledger, run.keep),
            num_samples=run.ledger.to_do,
            max_concurrent_trials=spec.concurrency,
            reuse_actors=spec.workers_per_trial == 1,
            trial_dirname_creator=lambda trial: f"{trial.config['number']:05d}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(run.ledger.paths.ray),
            callbacks=[_Events(run, room), *also],
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=INFRASTRUCTURE_RETRIES),
        ),
    )


class _Suggestions(Searcher):
    """Gives Tune the ledger's next trial. Tune may save it, and never restores it."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def suggest(self, trial_id: str) -> Any:
        job = self._run.start(trial_id)
        return job.as_dict() if job else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """What came of a trial reaches the ledger through `_Events`, which sees every result."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the ledger is on disk already."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study is resumed from its ledger, not from Tune's snapshot")


class _Events(tune.Callback):
    """Tells the run of every result, loss and end of a trial, and ends Tune's loop once the run is halted."""

    def __init__(self, run: Run, room: Room) -> None:
        self._run, self._room, self._looked = run, room, 0.0

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if self._run.note(trial.trial_id, result):
            trial.run_metadata.num_failures = 0

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._run.lost(trial.trial_id, trial.num_failures, INFRASTRUCTURE_RETRIES, _reason(trial))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._run.end(trial.trial_id, trial.last_result)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._run.give_up(trial.trial_id, trial.num_failures, _reason(trial))

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._run.check_time()
        if time.monotonic() > self._looked + _LOOKING_SECONDS:
            self._look_at_cluster()
            self._looked = time.monotonic()
        if self._run.halted:
            raise _Halted

    def _look_at_cluster(self) -> None:
        """Make room that nobody uses any more, and halt the run if the nodes that a trial fits on are gone for too long."""
        if self._run.ledger.spec.workers_per_trial > 1:
            remove_orphaned_groups()  # until then the next trial's workers would wait for that room
        try:
            self._room.check()
        except UserError as error:
            self._run.halted = self._run.halted or error


_ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*$", re.MULTILINE)
_IDS = re.compile(r"\b(class_name|actor_id|pid|namespace|ip): \S+")


def _reason(trial: Trial) -> str:
    """Why a trial was lost at last, in a line: the last error of its traceback, or what Ray says where there is none.

    Tune heads each loss with "Failure # 3 (occurred at ...)". The whole of it goes to Ray's log.
    """
    if not trial.error_file:
        return "no reason is known"
    last = Path(trial.error_file).read_text(errors="replace").rpartition("Failure # ")[2].partition("\n")[2]
    RAY_LOG.error("trial %s was lost: %s", trial.config["number"], last)
    said = _ERROR.findall(last)
    return " ".join((said[-1] if said else _IDS.sub("", last)).split())[:300]
