"""Training on several workers, through Ray Train, whose errors are told apart: the training's own, and lost workers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray.exceptions
import ray.train
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.exceptions import RayTrainError
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.callback import RayTrainCallback

from trainables.cluster.crew import Crew
from trainables.cluster.meeting import join_workers
from trainables.storage.store import UnreachableError
from trainables.training.parallel import STEP_TIMEOUT, WorkerLostError
from trainables.training.trial_files import TrialBusyError


class CrewLostError(Exception):
    """A worker, its node, or what steers the workers was lost; the training can go on elsewhere."""


_LOST = (RayTrainError, ray.exceptions.RayError, WorkerLostError, TrialBusyError, UnreachableError)
"""The errors that are no fault of the training: of a worker that was lost, and of the others of its group after it."""


def fit(
    work: Callable[[dict[str, Any]], None],
    parameters: Mapping[str, Any],
    crew: Crew,
    folder: Path,
    callbacks: Sequence[RayTrainCallback] = (),
) -> None:
    """Run `work(parameters)` on every worker of `crew`, as one torch.distributed group, until all are through.

    `folder` is for Ray Train's own files, on storage that all nodes share; `callbacks` are Ray Train's. Nothing is
    retried: an error that `work` raises on any worker ends all of them and is raised here. Raises CrewLostError if a
    worker was lost; the caller decides whether to go on.
    """
    backend = "nccl" if crew.gpus >= 1 else "gloo"  # workers that share a GPU can't be in one NCCL group

    def join_and_work(parameters: dict[str, Any]) -> None:
        join_workers(backend, STEP_TIMEOUT)
        work(parameters)

    trainer = _Trainer(
        join_and_work,
        train_loop_config=dict(parameters),
        torch_config=_JoinedByThemselves(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=crew.workers, use_gpu=crew.gpus > 0, resources_per_worker=crew.bundle
        ),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=str(folder),
            callbacks=list(callbacks),  # type: ignore[arg-type]
            failure_config=ray.train.FailureConfig(0, controller_failure_limit=0, max_preemption_failures=0),  # type: ignore[call-arg]
        ),
    )
    try:
        trainer.fit()
    except ray.train.WorkerGroupError as error:
        failures = error.worker_failures.values()
        own = [failure for failure in failures if isinstance(failure, ImportError) or not isinstance(failure, _LOST)]
        if own:
            raise own[0] from error
        lost = (f"worker {rank}: {_in_a_line(failure)}" for rank, failure in error.worker_failures.items())
        raise CrewLostError("; ".join(lost)) from error
    except ray.train.ControllerError as error:
        raise CrewLostError(_in_a_line(error.controller_failure)) from error
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        raise CrewLostError(_in_a_line(error)) from error


def _in_a_line(error: Exception) -> str:
    """Give the first and the last line of an error's message, in one line; a traceback may lie between them."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(dict.fromkeys((lines[0], lines[-1])))[:400]


class _JoinedByThemselves(TorchConfig):
    """Ray Train's settings for torch: it chooses each worker's GPU, but leaves their group to `join_workers`."""

    backend_cls = Backend


class _Trainer(TorchTrainer):
    """Ray Train's trainer without two processes that it starts beside the workers: each takes seconds and a core."""

    def _create_default_callbacks(self) -> list[RayTrainCallback]:
        """Leave out the cleaner of placement groups: `remove_orphaned_groups` does its work, and needs no dashboard."""
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if not isinstance(callback, PlacementGroupCleanerCallback)]

    def _initialize_and_run_controller(self, **arguments: Any) -> Any:
        arguments["scaling_policy"] = _AskedByPlacementGroup(self.scaling_config)  # type: ignore[arg-type]
        return super()._initialize_and_run_controller(**arguments)  # type: ignore[misc]


class _AskedByPlacementGroup(FixedScalingPolicy):
    """As many workers as were asked for, without a process that tells an autoscaler: it sees their placement group."""

    def after_controller_start(self, train_run_context: Any) -> None:
        pass

    def _maybe_send_resource_request(self) -> None:
        pass
