"""Running a study: Optuna asks, Ray Tune runs, ASHA stops. The only Ray in this package.

Tune keeps no state that matters: the ledger and the trials' own checkpoints do. So a resumed study is a new Tune run that
is first given what the ledger has unfinished, with a scheduler that has learnt the finished trials again.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Literal

# Before Ray is imported: a diverged or failed trial reports no metric, and that is no error of Tune's.
os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.util.placement_group import PlacementGroup, remove_placement_group

from search.ledger import Ledger
from search.live import View
from search.proposals import load_space
from search.results import Status
from search.study import StudyPaths, StudySpec
from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.distributed import PLACEMENT_GROUP, TrialJob, resources, tune_trial
from trainables.domains import open_domain
from trainables.home import Home
from trainables.sources import open_source

INFRASTRUCTURE_RETRIES = 2
"""How often a trial whose process or node was lost is taken up again, from its last checkpoint."""


Outcome = Literal["complete", "complete already", "interrupted"]
"""What `run_study` came to; interrupted: by Ctrl-C, or as its time was up."""


def run_study(
    home: Home, paths: StudyPaths, spec: StudySpec, *, address: str | None = None, dashboard: bool = False
) -> Outcome:
    """Run what is left of a study: all of a new one, nothing of a finished one.

    UserError if another process runs it, or its data or source models have changed.
    """
    check_unchanged(home, spec)
    with _only_driver(paths, spec.name):
        ledger = Ledger(paths, spec, load_space(spec.space), open_domain(home, spec.target).facts.train)
        if not ledger.to_do:
            return "complete already"
        with _ray(spec, address, dashboard), View(spec, spec.trials - ledger.to_do) as view:
            _tuner(home, ledger, view).fit()
        return "interrupted" if ledger.to_do else "complete"


def check_unchanged(home: Home, spec: StudySpec) -> None:
    """UserError if the study's domain or a source model is not the one that it started with."""
    for name, digest in spec.digests.items():
        facts = open_domain(home, spec.target).facts if name == "domain" else open_source(home, name).facts
        if facts.digest != digest:
            raise UserError(
                f"study {spec.name!r}: {'domain' if name == 'domain' else 'source model'} {facts.name!r} has changed since it "
                f"started (digest {facts.digest[:12]}, was {digest[:12]}); start a new study with another --name"
            )


@contextmanager
def _only_driver(paths: StudyPaths, name: str) -> Iterator[None]:
    """One process a study; the lock goes with the process that holds it."""
    paths.root.mkdir(parents=True, exist_ok=True)
    with (paths.root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"study {name!r} is being run by another process; watch it with `understock status {name}`"
            ) from None
        yield


@contextmanager
def _ray(spec: StudySpec, address: str | None, dashboard: bool) -> Iterator[None]:
    """A running Ray: the cluster at `address`, or one of our own on loopback for as long as the search lasts."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        needed = spec.concurrency * spec.threads_per_trial * spec.workers_per_trial
        options |= {"num_cpus": max(os.cpu_count() or 1, needed), "include_dashboard": dashboard}
        options |= {"dashboard_host": "127.0.0.1"}
    ray.init(address=address, **options)
    try:
        yield
    finally:
        ray.shutdown()


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
    scheduler = ASHAScheduler(
        time_attr="images_seen",
        metric=spec.metric,
        mode="min" if spec.direction == "minimize" else "max",
        max_t=spec.base.budget.images,
        grace_period=spec.base.budget.eval_every_images,
        reduction_factor=spec.reduction_factor,
    )
    for number, rows in ledger.finished_rows():
        trial: Any = SimpleNamespace(trial_id=f"earlier-{number}")  # all that ASHA looks at
        controller: Any = None
        scheduler.on_trial_add(controller, trial)
        for row in rows:
            if row[spec.metric] is not None:
                scheduler.on_trial_result(controller, trial, row)
        scheduler.on_trial_remove(controller, trial)
    return scheduler


class _Books:
    """Tune's trial ids against the ledger's numbers, shared by the searcher and the callback; never pickled."""

    def __init__(self, home: Home, ledger: Ledger, view: View) -> None:
        self.home, self.ledger, self.view = home, ledger, view
        self.open: dict[str, tuple[int, TrialConfig]] = {}

    def start(self, trial_id: str) -> TrialJob:
        number, config = self.ledger.ask()
        self.open[trial_id] = (number, config)
        self.view.started(number, config)
        spec, paths = self.ledger.spec, self.ledger.paths
        return TrialJob(
            number=number,
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

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return self._books.start(trial_id).as_dict()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """What came of a trial reaches the ledger through `_Events`, which sees every result."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is on disk already."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a study is resumed from its ledger, not from Tune's snapshot")


class _Events(tune.Callback):
    """Tells the ledger and the view of every result and every end."""

    def __init__(self, books: _Books) -> None:
        self._books = books

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._books.note(trial.trial_id, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._books.end(trial.trial_id, trial.last_result)
        _free(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        lost = f"its process was lost {INFRASTRUCTURE_RETRIES + 1} times; see {trial.error_file}"
        self._books.end(trial.trial_id, trial.last_result or {}, error=lost)
        _free(trial)


def _free(trial: Trial) -> None:
    """Remove the placement group that Ray Train leaves behind when a trial is stopped from outside."""
    group = (trial.last_result or {}).get(PLACEMENT_GROUP)
    if group:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(group)))
