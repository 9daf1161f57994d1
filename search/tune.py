"""Running a study: Optuna asks, Ray Tune runs, ASHA stops. The only Ray in this package.

Tune keeps no state that matters: the ledger and the trials' own checkpoints do. So a resumed study is a new Tune run that
is first given what the ledger has unfinished, with a scheduler that has learnt the finished trials again.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

# Before Ray is imported: a diverged or failed trial reports no metric, and that is no error of Tune's.
os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

import trainables.ray_settings  # noqa: F401 (before Ray)

# isort: split
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.ledger import Ledger
from search.live import View
from search.results import Status
from search.study import StudyPaths, StudySpec, only_driver
from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.cluster import AUTOSCALER_PATIENCE, connected, remove_orphaned_groups, wait_for_room
from trainables.crew import Crew
from trainables.distributed import TrialJob, resources, tune_trial
from trainables.domains import open_domain
from trainables.home import Home, file_digest
from trainables.sources import open_source

INFRASTRUCTURE_RETRIES = 2
"""How often a trial whose process or node was lost is taken up again, from its last checkpoint."""

_TIDY_SECONDS = 1.0

Outcome = Literal["complete", "complete already", "interrupted", "time is up"]
"""What `run_study` came to; interrupted: by Ctrl-C. What is unfinished then can be resumed."""


def run_study(
    home: Home, paths: StudyPaths, spec: StudySpec, *, address: str | None = None, dashboard: bool = False
) -> Outcome:
    """Run what is left of a study: all of a new one, nothing of a finished one.

    UserError if another process runs it, its data, source models or space have changed, or there is no Ray at `address`.
    """
    check_unchanged(home, spec)
    with only_driver(paths):
        ledger = Ledger(paths, spec)
        if not ledger.to_do:
            return "complete already"
        start = time.monotonic()
        with _ray(spec, address, dashboard), View(spec, dict(ledger.finished_rows())) as view:
            _tuner(home, ledger, view).fit()
        if not ledger.to_do:
            return "complete"
        timed_out = spec.max_seconds is not None and time.monotonic() - start >= spec.max_seconds
        return "time is up" if timed_out else "interrupted"


def check_unchanged(home: Home, spec: StudySpec) -> None:
    """UserError if the study's domain, a source model or its space's file is not the one that it started with."""
    for what, digest in spec.digests.items():
        kind, _, name = what.partition(":")
        if kind == "space":
            found = file_digest(Path(name)) if Path(name).is_file() else "missing"
        else:
            found = (open_domain(home, name) if kind == "domain" else open_source(home, name)).facts.digest
        if found != digest:
            raise UserError(
                f"study {spec.name!r}: {kind} {name!r} has changed since it started (digest {found[:12]}, was "
                f"{digest[:12]}); start a new study with another --name"
            )


@contextmanager
def _ray(spec: StudySpec, address: str | None, dashboard: bool) -> Iterator[None]:
    """A Ray that has room for a trial: the cluster at `address`, or one of our own for as long as the search lasts."""
    crew = Crew(spec.workers_per_trial, spec.threads_per_trial, spec.gpus_per_worker)
    with connected(address, spec.concurrency * crew.workers * crew.threads, dashboard=dashboard):
        wait_for_room(crew, f"a trial of study {spec.name!r}", AUTOSCALER_PATIENCE if address else 0.0)
        yield


def _tuner(home: Home, ledger: Ledger, view: View) -> tune.Tuner:
    spec = ledger.spec
    books = _Books(home, ledger, view)
    return tune.Tuner(
        tune.with_resources(
            tune_trial, resources(spec.threads_per_trial, spec.workers_per_trial, spec.gpus_per_worker)
        ),
        tune_config=tune.TuneConfig(
            search_alg=_Suggestions(books),
            scheduler=_scheduler(ledger),
            num_samples=ledger.to_do,
            max_concurrent_trials=spec.concurrency,
            time_budget_s=spec.max_seconds,
            reuse_actors=spec.workers_per_trial == 1,
            trial_dirname_creator=lambda trial: f"{trial.config['number']:05d}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(ledger.paths.ray),
            callbacks=[_Events(books)],
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=INFRASTRUCTURE_RETRIES),
        ),
    )


def _scheduler(ledger: Ledger) -> TrialScheduler:
    """ASHA on images seen, told of the trials that an earlier run finished."""
    spec = ledger.spec
    if not spec.early_stopping:
        return FIFOScheduler()
    scheduler = _Asha(
        time_attr="images_seen",
        metric=spec.metric,
        mode="min" if spec.direction == "minimize" else "max",
        max_t=spec.base.budget.images,
        grace_period=spec.base.budget.eval_every_images,
        reduction_factor=spec.reduction_factor,
    )
    for number, rows in ledger.finished_rows():
        trial: Any = SimpleNamespace(trial_id=f"earlier-{number}", config={})  # all that ASHA looks at
        controller: Any = None
        scheduler.on_trial_add(controller, trial)
        for row in rows:
            if row[spec.metric] is not None:
                scheduler.on_trial_result(controller, trial, row)
        scheduler.on_trial_remove(controller, trial)
    return scheduler


class _Asha(ASHAScheduler):
    """ASHA that lets the first trial from scratch spend its whole budget, as what transfer is compared with."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision: str = super().on_trial_result(tune_controller, trial, result)
        unspent = result["images_seen"] < self._max_t if "images_seen" in result else False
        return TrialScheduler.CONTINUE if unspent and trial.config.get("reference") else decision


class _Books:
    """Tune's trial ids against the ledger's numbers, shared by the searcher and the callback; never pickled."""

    def __init__(self, home: Home, ledger: Ledger, view: View) -> None:
        self.home, self.ledger, self.view = home, ledger, view
        self.open: dict[str, tuple[int, TrialConfig]] = {}

    def start(self, trial_id: str) -> TrialJob | None:
        asked = self.ledger.ask()
        if asked is None:
            return None
        number, config = asked
        self.open[trial_id] = (number, config)
        self.view.started(number, config)
        spec, paths = self.ledger.spec, self.ledger.paths
        return TrialJob(
            number=number,
            reference=self.ledger.is_reference(number),
            config=config.model_dump_json(),
            home=str(self.home.root),
            folder=str(paths.trial(number)),
            samples=str(paths.samples(number)),
            threads=spec.threads_per_trial,
            workers=spec.workers_per_trial,
            gpus_per_worker=spec.gpus_per_worker,
        )

    def note(self, trial_id: str, result: Mapping[str, Any]) -> None:
        if trial_id in self.open and "images_seen" in result:
            number, config = self.open[trial_id]
            self.ledger.record(number, config, result)
            self.view.evaluated(number, result)

    def end(self, trial_id: str, last: Mapping[str, Any], error: str | None = None) -> None:
        if trial_id not in self.open:
            return
        number, config = self.open.pop(trial_id)
        said = str(last.get("status", "failed"))
        status: Status = "failed" if error or said == "failed" else "stopped" if said == "running" else said  # type: ignore[assignment]
        error = error or last.get("error")
        self.ledger.finish(number, config, status, error)
        self.view.ended(number, status, error)

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Suggestions(Searcher):
    """Gives Tune the ledger's next trial. Tune may save it, and never restores it."""

    def __init__(self, books: _Books) -> None:
        super().__init__()
        self._books = books

    def suggest(self, trial_id: str) -> Any:
        job = self._books.start(trial_id)
        return job.as_dict() if job else Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """What came of a trial reaches the ledger through `_Events`, which sees every result."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is on disk already."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study is resumed from its ledger, not from Tune's snapshot")


class _Events(tune.Callback):
    """Tells the ledger and the view of every result and every end."""

    def __init__(self, books: _Books) -> None:
        self._books, self._tidied = books, 0.0

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._books.ledger.spec.workers_per_trial > 1 and time.monotonic() > self._tidied + _TIDY_SECONDS:
            remove_orphaned_groups()  # until then the next trial's workers would wait for that room
            self._tidied = time.monotonic()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._books.note(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._books.end(trial.trial_id, trial.last_result)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        lost = f"its process was lost {INFRASTRUCTURE_RETRIES + 1} times; see {trial.error_file}"
        self._books.end(trial.trial_id, trial.last_result or {}, error=lost)
