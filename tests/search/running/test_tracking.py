"""Trackers that do not answer, or fail later: the search is told at once, or goes on without them."""

import socket
import time
from collections.abc import Callable
from importlib.util import find_spec

import pytest
from ray.tune.experiment import Trial

from search.records.study import StudyPaths, StudySpec
from search.running.tracking import TRACKERS, check_trackers, trackers
from spaces.errors import UserError
from trainables.storage.home import Home

New = Callable[..., tuple[StudyPaths, StudySpec]]
Run = Callable[..., tuple[int, str, str]]


def test_an_mlflow_server_that_does_not_answer_is_a_line(new_study: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    paths, spec = new_study()
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{mute.getsockname()[1]}")
        with pytest.raises(UserError, match=r"tracker 'mlflow' can't be had: .*; mend that, or leave out"):
            trackers(["mlflow"], paths, spec)
    assert time.monotonic() - start < 60


def test_a_tracker_that_fails_is_told_nothing_more_and_ends_no_search(
    new_study: New, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, spec = new_study()
    (tracker,) = trackers(["tensorboard"], paths, spec)
    (paths.root / "tensorboard").write_text("in the folder's place")
    trial = Trial("a", stub=True, config={"number": 0, "config": spec.base.model_dump_json()})
    tracker.on_trial_start(1, [trial], trial)
    tracker.on_trial_result(1, [trial], trial, {"images_seen": 8, "fd": 3.0})
    tracker.on_trial_complete(1, [trial], trial)
    said = capsys.readouterr().err
    assert said.startswith("tracker 'tensorboard' failed, and the search goes on without it: [Errno")
    assert said.count("\n") == 1


NO_WANDB = pytest.mark.skipif(find_spec("wandb") is not None, reason="the package is there")


def test_trackers_whose_packages_are_there_pass_the_check() -> None:
    check_trackers([name for name in TRACKERS if name != "wandb"])


@NO_WANDB
@pytest.mark.parametrize(
    "command",
    ["search dots --sources seed-7 --track wandb", "search nope --track wandb --dry-run", "resume nope --track wandb"],
)
def test_a_tracker_without_its_package_is_told_of_before_anything_else(run: Run, home: Home, command: str) -> None:
    code, _, said = run(command)
    assert (code, said.count("\n")) == (2, 1)
    assert (
        "tracker 'wandb' needs a package (No module named 'wandb'); pip install 'understock[wandb]', or leave out"
        in said
    )
    assert home.names("studies") == []


@NO_WANDB
def test_a_tracker_without_its_package_is_a_line(new_study: New) -> None:
    paths, spec = new_study()
    with pytest.raises(UserError, match=r"pip install 'understock\[wandb\]'"):
        trackers(["wandb"], paths, spec)
