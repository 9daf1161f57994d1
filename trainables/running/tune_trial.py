"""A trial under Ray Tune: in the Tune actor itself with one worker, through Ray Train with more.

The Tune actor gets plain values, builds a `TrialConfig`, iterates `run_trial` and reports each evaluation. A bad
configuration or a bug ends the trial with status "failed" and is reported like any evaluation, so Tune retries only what
the infrastructure broke: a lost node, a killed process.
"""

import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray.train
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback

from spaces.errors import UserError
from spaces.trials import parse_trial_json
from trainables.cluster.connection import node_name
from trainables.cluster.crew import Crew
from trainables.cluster.workers import CrewLostError, fit
from trainables.machine.devices import device_name, use_cores
from trainables.machine.imports import not_imported
from trainables.machine.memory import MemoryLimit
from trainables.running.given import ChangedDataError
from trainables.running.trial import run_trial
from trainables.storage.home import Home, StorageError, writing
from trainables.storage.store import StoreError, UnreachableError
from trainables.training.loop import Evaluation
from trainables.training.trial_files import TrialBusyError, TrialFiles

OUT_OF_STORAGE = "out of storage"
"""Status that a trial reports when the disk or the object store let it down, as one that its node has no credentials for: no
fault of the trial's, and it can go on later."""

DATA_CHANGED = "data changed"
"""Status that a trial reports when the home has other data than it was planned with: with those it can go on later."""

_WAITING_BYTES = 300 * 2**20
"""Memory of a trial's actor that only waits for its workers."""


@dataclass(frozen=True)
class TrialJob:
    """What a trial's actor needs to know; plain values, as Tune's configs are."""

    number: int
    reference: bool
    """Not to be stopped early."""
    evaluated: int
    """Images seen at the last evaluation that the driver knows; those until there come again, and decide nothing."""
    config: str
    """A TrialConfig as JSON."""
    home: str
    folder: str
    """Of the trial's files, as a path inside the home."""
    samples: str
    """Of its pictures, likewise."""
    threads: int
    workers: int
    gpus_per_worker: float
    memory: int | None = None
    """Bytes that the trial's process may take."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of the target, the source domains and the source models that the trial was planned with, as in the study's spec."""

    def as_dict(self) -> dict[str, Any]:
        """The parameters to give to Tune."""
        return asdict(self)

    @property
    def crew(self) -> Crew:
        """The trial's workers."""
        return Crew(self.workers, self.threads, self.gpus_per_worker)

    @property
    def files(self) -> TrialFiles:
        """On this node: each has its own mirror of a home on an object store."""
        root = Home.find(self.home).root
        return TrialFiles(root / self.folder, root / self.samples)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Train, and yield a row for each evaluation: columns of the evaluations table, and "status"."""
        use_cores(self.threads)
        device = self.crew.device
        machine = {"device": device_name(device), "threads": self.threads, "node": node_name()}
        config = parse_trial_json(self.config, f"trial {self.number}")
        with MemoryLimit(self.memory or sys.maxsize).watched() as memory:
            for item in run_trial(config, Home.find(self.home), self.files, device, self.digests):
                if isinstance(item, Evaluation):
                    yield item.row() | machine | {"status": item.status}
                if not isinstance(item, Evaluation) or item.status == "running":
                    memory.check()

    def ending(self, error: Exception) -> dict[str, Any]:
        """The row that ends a trial with an error of its own, of disk or store, for changed data or for want of a package; one of
        the infrastructure is raised again.

        A bug's traceback goes into a file.
        """
        if isinstance(error, CrewLostError | TrialBusyError | UnreachableError):
            raise error  # busy: an earlier process of this trial still lives
        if isinstance(error, StorageError | StoreError):
            return {"status": OUT_OF_STORAGE, "error": str(error)}
        if isinstance(error, ChangedDataError):
            return {"status": DATA_CHANGED, "error": str(error)}
        if isinstance(error, ImportError):
            return not_imported(error)
        if isinstance(error, UserError):
            return {"status": "failed", "error": str(error)}
        path = self.files.error
        with suppress(OSError, StorageError), writing(path) as beside:
            beside.write_text("".join(traceback.format_exception(error)))
        reason = " ".join(str(error).split())[:300]
        return {"status": "failed", "error": f"{type(error).__name__}: {reason} (traceback in {path})"}


def train_trial(parameters: Mapping[str, Any]) -> None:
    """Train a trial in Tune's actor, each evaluation reported. An exception out of it is a loss of infrastructure."""
    job = TrialJob(**parameters)
    try:
        if job.workers == 1:
            for row in job.rows():
                tune.report(row)
        else:
            folder = job.files.folder / "workers"
            fit(_worker, job.as_dict(), job.crew, folder, [TuneReportCallback()])
            shutil.rmtree(folder, ignore_errors=True)
    except Exception as error:
        tune.report(job.ending(error))


def resources(crew: Crew) -> tune.PlacementGroupFactory:
    """What a trial's own actor takes: all with one worker; no core with more, as Ray Train takes those for the workers."""
    if crew.workers > 1:
        return tune.PlacementGroupFactory([{"memory": _WAITING_BYTES}])  # a group without any resource is refused
    return tune.PlacementGroupFactory([crew.bundle])


def _worker(parameters: dict[str, Any]) -> None:
    """One of a trial's workers; all report at each evaluation, and rank 0's row is the one that counts."""
    for row in TrialJob(**parameters).rows():
        ray.train.report(row)
