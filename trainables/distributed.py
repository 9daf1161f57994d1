"""A trial under Ray: in the Tune actor itself with one worker, through Ray Train with more. The only Ray in this package.

The Tune actor gets plain values, builds a `TrialConfig`, iterates `run_trial` and reports each evaluation. A bad
configuration or a bug ends the trial with status "failed" and is reported like any evaluation, so Tune retries only what
the infrastructure broke: a lost node, a killed process.
"""

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray import tune
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback
from ray.util import get_current_placement_group

from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.checkpoints import TrialFiles
from trainables.home import Home, StorageError
from trainables.memory import MemoryLimit
from trainables.trial import TrialBusyError, run_trial

OUT_OF_STORAGE = "out of storage"
"""Status that a trial reports when the disk let it down: no fault of the trial's, and it can go on later."""

PLACEMENT_GROUP = "placement_group"
"""Key under which a trial of several workers reports its placement group's id, for the driver to remove."""


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
    samples: str
    threads: int
    workers: int
    gpus_per_worker: float
    memory: int | None = None
    """Bytes that the trial's process may take."""

    def as_dict(self) -> dict[str, Any]:
        """The parameters to give to Tune."""
        return asdict(self)

    def rows(self) -> Any:
        """Train, and yield a row for each evaluation: columns of the evaluations table, and "status"."""
        files = TrialFiles(Path(self.folder), Path(self.samples))
        try:
            yield from self._trained(files)
        except StorageError as error:
            yield {"status": OUT_OF_STORAGE, "error": str(error)}
        except UserError as error:
            yield {"status": "failed", "error": str(error)}
        except TrialBusyError:
            raise  # an earlier process of this trial still lives: to be tried again, like any trouble of the infrastructure
        except Exception as error:
            if self.workers > 1:
                raise  # the other workers would wait for this one; Ray Train ends them
            with suppress(OSError):
                files.error.write_text(traceback.format_exc())
            reason = " ".join(str(error).split())[:300]
            yield {"status": "failed", "error": f"{type(error).__name__}: {reason} (traceback in {files.error})"}

    def _trained(self, files: TrialFiles) -> Iterator[dict[str, Any]]:
        torch.set_num_threads(self.threads)
        device = torch.device("cuda" if self.gpus_per_worker else "cpu")
        machine = {"device": _device_name(device), "threads": self.threads}
        config = TrialConfig.model_validate_json(self.config)
        with MemoryLimit(self.memory or sys.maxsize).watched() as memory:
            for evaluation in run_trial(config, Home(Path(self.home)), files, device, memory.checked):
                yield evaluation.row() | machine | {"status": evaluation.status}
                if evaluation.status == "running":
                    memory.check()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def tune_trial(parameters: Mapping[str, Any]) -> None:
    """The trainable given to Tune."""
    job = TrialJob(**parameters)
    if job.workers == 1:
        for row in job.rows():
            tune.report(row)
    else:
        _train_on_workers(job)


def resources(
    threads: int, workers: int, gpus_per_worker: float, memory: int | None = None
) -> tune.PlacementGroupFactory:
    """What a trial's own actor takes: all with one worker; no core with more, as Ray Train takes those for the workers."""
    if workers > 1:
        return tune.PlacementGroupFactory([{"memory": _WAITING_BYTES}])  # a group without any resource is refused
    return tune.PlacementGroupFactory([{"CPU": threads, "GPU": gpus_per_worker, "memory": memory or 0}])


def _train_on_workers(job: TrialJob) -> None:
    trainer = TorchTrainer(
        _worker,
        train_loop_config=job.as_dict(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=job.workers,
            use_gpu=job.gpus_per_worker > 0,
            resources_per_worker={"CPU": job.threads, "GPU": job.gpus_per_worker},
        ),
        run_config=ray.train.RunConfig(
            name=f"train-{job.number:05d}",
            storage_path=str(Path(job.folder) / "train"),
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]
            # The controller retries for ever unless told; see RAY.md, placement-group leak.
            failure_config=ray.train.FailureConfig(max_failures=2, controller_failure_limit=2),  # type: ignore[call-arg]
        ),
    )
    trainer.fit()


def _worker(parameters: dict[str, Any]) -> None:
    """One of a trial's workers; all report at each evaluation, and rank 0's row is the one that counts."""
    group = get_current_placement_group()
    for row in TrialJob(**parameters).rows():
        ray.train.report(row | {PLACEMENT_GROUP: group.id.hex() if group else ""})
