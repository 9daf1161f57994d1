"""Other people's trackers beside a study's own records: TensorBoard, MLflow and Weights & Biases, through Tune's loggers."""

import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.experiment import Trial
from ray.tune.logger import LoggerCallback, TBXLoggerCallback

from search.records.results import LOSSES, flat_config
from search.records.study import StudyPaths, StudySpec
from spaces.errors import UserError, lookup
from spaces.trials import parse_trial_json

# MLflow's own are 7 and 120 s, minutes for each of many questions, and Tune's loop waits for the answers.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

_UPLOAD_SECONDS = 60
"""That the end of a search waits for what Weights & Biases has not yet uploaded."""


def check_trackers(names: Sequence[str]) -> None:
    """UserError for a tracker that is unknown or whose package is not installed: before anything that takes time."""
    for name in names:
        lookup(TRACKERS, "tracker", name)
        if find_spec(_PACKAGES[name]) is None:
            raise _uninstalled(name, f"No module named {_PACKAGES[name]!r}")


def trackers(names: Sequence[str], paths: StudyPaths, spec: StudySpec) -> list[tune.Callback]:
    """The callbacks for Tune that feed the trackers `names`; UserError for one that can't be had, or does not answer."""
    return [_Tracker(name, _made(name, paths, spec), paths.root / "tensorboard") for name in dict.fromkeys(names)]


def _made(name: str, paths: StudyPaths, spec: StudySpec) -> LoggerCallback:
    make = lookup(TRACKERS, "tracker", name)
    try:
        logger = make(paths, spec)
        logger.setup()
    except ImportError as error:
        raise _uninstalled(name, str(error)) from None
    except Exception as error:  # of whatever kind a tracker's own are
        raise UserError(
            f"tracker {name!r} can't be had: {_in_a_line(error)}; mend that, or leave out --track"
        ) from None
    return logger


def _uninstalled(name: str, why: str) -> UserError:
    return UserError(
        f"tracker {name!r} needs a package ({why}); pip install 'understock[{name}]', or leave out --track"
    )


def _in_a_line(error: Exception) -> str:
    """What an error says, without the name and password that an address in it may hold."""
    return re.sub(r"(?<=//)[^/@\s]+@", "", " ".join(str(error).split())[:300]) or type(error).__name__


def _tensorboard(paths: StudyPaths, spec: StudySpec) -> LoggerCallback:
    return TBXLoggerCallback()


def _mlflow(paths: StudyPaths, spec: StudySpec) -> LoggerCallback:
    """Where MLFLOW_TRACKING_URI says, else a file of the study that `mlflow ui` opens."""
    here = f"sqlite:///{paths.root / 'mlflow.db'}"
    return MLflowLoggerCallback(os.environ.get("MLFLOW_TRACKING_URI") or here, experiment_name=spec.name)


def _wandb(paths: StudyPaths, spec: StudySpec) -> LoggerCallback:
    """Where WANDB_MODE, WANDB_API_KEY and so on say."""
    importlib.import_module("wandb")  # its logger has another error where there is none
    return WandbLoggerCallback(project="understock", group=spec.name, upload_timeout=_UPLOAD_SECONDS)


class _Tracker(tune.Callback):
    """Hands each trial to a Tune logger, set up, under the parameters that a reader knows, by images seen.

    A logger that fails is told nothing more, and the search goes on without it.
    """

    def __init__(self, name: str, logger: LoggerCallback, folder: Path) -> None:
        self._name, self._logger, self._folder = name, logger, folder
        self._shown: dict[str, _Shown] = {}
        self._failed = False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._tell(lambda: self._logger.log_trial_start(self._as_shown(trial)))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "images_seen" in result:
            shown = {name: value for name, value in result.items() if name not in _TUNES_OWN and value is not None}
            losses = shown.pop(LOSSES, None) or {}
            told = shown | losses | {"timesteps_total": result["images_seen"]}
            self._tell(lambda: self._logger.log_trial_result(iteration, self._as_shown(trial), told))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._tell(lambda: self._logger.log_trial_end(self._as_shown(trial), failed=False))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._tell(lambda: self._logger.log_trial_end(self._as_shown(trial), failed=True))

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        self._tell(lambda: self._logger.on_experiment_end(trials, **info))

    def _tell(self, call: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            call()
        except Exception as error:  # of whatever kind a tracker's own are
            self._failed = True
            print(
                f"tracker {self._name!r} failed, and the search goes on without it: {_in_a_line(error)}",
                file=sys.stderr,
            )

    def _as_shown(self, trial: Trial) -> Any:
        if trial.trial_id not in self._shown:
            self._shown[trial.trial_id] = _Shown(trial, self._folder)
        return self._shown[trial.trial_id]


_TUNES_OWN = {
    "config",
    "done",
    "pid",
    "hostname",
    "node_ip",
    "date",
    "timestamp",
    "time_this_iter_s",
    "time_total_s",
    "time_since_restore",
    "iterations_since_restore",
    "trial_id",
    "experiment_tag",
    "origin",
}
"""What Tune adds to a result, and what no tracker can draw."""


class _Shown:
    """A Tune trial with the trial's configuration in place of the job that Tune sees."""

    def __init__(self, trial: Trial, folder: Path) -> None:
        self._trial = trial
        flat = flat_config(parse_trial_json(trial.config["config"], "a trial"))
        self.config = self.evaluated_params = {name: value for name, value in flat.items() if value is not None}
        self.local_path = str(folder / f"{trial.config['number']:05d}")

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return f"trial-{self._trial.config['number']}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)


TRACKERS: Mapping[str, Callable[[StudyPaths, StudySpec], LoggerCallback]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}

_PACKAGES: Mapping[str, str] = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
"""What each tracker is imported from."""
