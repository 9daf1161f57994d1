"""A trial under Ray Tune: in the Tune actor itself with one worker, through Ray Train with more.

The Tune actor gets plain values, builds a `TrialConfig`, iterates `run_trial` and reports each evaluation. A bad
configuration or a bug ends the trial with status "failed" and is reported like any evaluation, so Tune retries only what
the infrastructure broke: a lost node, a killed process.
"""

import shutil
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trainables.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray.train
import torch
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback

from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.cluster import node_name
from trainables.crew import Crew
from trainables.home import Home
from trainables.trial import TrialFiles, run_trial
from trainables.workers import CrewLostError, fit

_WAITING_BYTES = 300 * 2**20
"""Memory of a trial's actor that only waits for its workers."""


@dataclass(frozen=True)
class TrialJob:
    """What a trial's actor needs to know; plain values, as Tune's configs are."""

    number: int
    reference: bool
    """Not to be stopped early."""
    config: str
    """A TrialConfig as JSON."""
    home: str
    folder: str
    samples: str
    threads: int
    workers: int
    gpus_per_worker: float

    def as_dict(self) -> dict[str, Any]:
        """The parameters to give to Tune."""
        return asdict(self)

    @property
    def files(self) -> TrialFiles:
        return TrialFiles(Path(self.folder), Path(self.samples))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Train, and yield a row for each evaluation: columns of the evaluations table, and "status"."""
        torch.set_num_threads(self.threads)
        device = torch.device("cuda" if self.gpus_per_worker else "cpu")
        machine = {"device": _device_name(device), "threads": self.threads, "node": node_name()}
        config = TrialConfig.model_validate_json(self.config)
        for evaluation in run_trial(config, Home(Path(self.home)), self.files, device):
            yield evaluation.row() | machine | {"status": evaluation.status}

    def failed(self, error: Exception) -> dict[str, Any]:
        """The row that ends a trial with an error of its own; a bug's traceback goes into a file."""
        if isinstance(error, UserError):
            return {"status": "failed", "error": str(error)}
        self.files.folder.mkdir(parents=True, exist_ok=True)
        self.files.error.write_text("".join(traceback.format_exception(error)))
        said = f"{type(error).__name__}: {error} (traceback in {self.files.error})"
        return {"status": "failed", "error": said}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def tune_trial(parameters: Mapping[str, Any]) -> None:
    """The trainable given to Tune. An exception out of it is a loss of infrastructure, to be retried."""
    job = TrialJob(**parameters)
    try:
        if job.workers == 1:
            for row in job.rows():
                tune.report(row)
        else:
            crew = Crew(job.workers, job.threads, job.gpus_per_worker)
            folder = job.files.folder / "workers"
            fit(_worker, job.as_dict(), crew, folder, [TuneReportCallback()])
            shutil.rmtree(folder, ignore_errors=True)
    except CrewLostError:
        raise
    except Exception as error:
        tune.report(job.failed(error))


def resources(threads: int, workers: int, gpus_per_worker: float) -> tune.PlacementGroupFactory:
    """What a trial's own actor takes: all with one worker; no core with more, as Ray Train takes those for the workers."""
    if workers > 1:
        return tune.PlacementGroupFactory([{"memory": _WAITING_BYTES}])  # a group without any resource is refused
    return tune.PlacementGroupFactory([{"CPU": threads, "GPU": gpus_per_worker}])


def _worker(parameters: dict[str, Any]) -> None:
    """One of a trial's workers; all report at each evaluation, and rank 0's row is the one that counts."""
    for row in TrialJob(**parameters).rows():
        ray.train.report(row)
