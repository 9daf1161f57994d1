"""Real searches under a real Ray, small enough for a test."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from search.curve_stopping import beliefs_of
from search.prior import prior_of
from search.proposals import overlaid
from search.records.results import load
from search.records.study import StudyPaths, StudySpec, open_study
from search.running.ledger import Ledger
from search.running.tune import run_study
from spaces.errors import UserError
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import evaluations
from trainables.training.trial_files import TrialFiles

pytestmark = pytest.mark.ray

New = Callable[..., tuple[StudyPaths, StudySpec]]

BROKEN = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["seed-7"])
    trial.suggest_categorical("network/width", [2, 4])
    trial.suggest_categorical("optim/lr_g", [1e-4, 1e12])
    trial.suggest_categorical("optim/lr_d", [1e-4])
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_categorical("optim/precision", ["float32"])
"""

LATE = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["seed-7"])
    trial.suggest_categorical("optim/lr_g", [1e-4, 1e-1])
    trial.suggest_categorical("optim/lr_d", [1e-4])
    trial.suggest_categorical("seed", [0, 1, 2, 3])
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_categorical("optim/precision", ["float32"])
"""
"""Half of its trials get no better."""


def statuses(paths: StudyPaths) -> dict[int, str]:
    return {row["trial"]: row["status"] for row in load(paths.evaluations).to_pylist()}


def check_records(paths: StudyPaths, spec: StudySpec) -> None:
    """Every trial exactly once in journal and table, with the same state, and no evaluation twice."""
    ledger = Ledger(paths, spec)
    told = {trial.number: trial.user_attrs.get("status") for trial in ledger.study.get_trials()}
    assert told == statuses(paths)
    assert len(told) == spec.trials
    rows = Counter((row["trial"], row["images_seen"]) for row in load(paths.evaluations).to_pylist())
    assert max(rows.values()) == 1


def mtimes(paths: StudyPaths) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in paths.root.glob("trials/*/*")}


def test_a_search_runs_to_its_end_and_a_second_run_changes_nothing(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=6, concurrency=2)
    assert run_study(home, paths, spec) == "complete"
    check_records(paths, spec)
    assert set(statuses(paths).values()) <= {"completed", "stopped"}
    assert "completed" in statuses(paths).values()
    before = mtimes(paths)
    assert run_study(home, paths, spec) == "complete already"
    assert mtimes(paths) == before
    assert run_study(home, paths, spec, trials=8) == "complete"
    check_records(*open_study(home, "s"))
    assert mtimes(paths).items() > before.items()


def test_a_search_that_goes_by_earlier_ones_runs_and_keeps_what_it_began_from(home: Home, new_study: New) -> None:
    assert run_study(home, *new_study(name="earlier", trials=4)) == "complete"
    paths, spec = new_study(sampler="transfer", trials=2)
    assert run_study(home, paths, spec) == "complete"
    check_records(paths, spec)
    assert {case.study for case in prior_of(spec, paths).cases} == {"earlier"}
    assert prior_of(spec, paths).seconds("finetune") > 0


def test_a_search_stops_trials_by_their_curves_and_keeps_what_it_believed(home: Home, new_study: New) -> None:
    assert run_study(home, *new_study(name="earlier", trials=4, early_stopping=False)) == "complete"
    paths, spec = new_study(LATE, stopping="curves", trials=8, sampler="grid")
    assert run_study(home, paths, spec) == "complete"
    check_records(paths, spec)
    ended = statuses(paths)
    stopped = {each.trial: each.images for each in beliefs_of(paths) if each.stopped}
    assert stopped and {number for number, status in ended.items() if status == "stopped"} == set(stopped)
    last = {row["trial"]: row["images_seen"] for row in load(paths.evaluations).to_pylist()}
    assert {number: last[number] for number in stopped} == stopped
    assert run_study(home, paths, spec) == "complete already"


def test_a_trial_under_ray_gives_the_numbers_that_it_gives_without(home: Home, new_study: New, tmp_path: Path) -> None:
    paths, spec = new_study(trials=1)
    assert run_study(home, paths, spec) == "complete"
    parameters = Ledger(paths, spec).study.trials[0].params
    files = TrialFiles(tmp_path / "t", tmp_path / "s")
    alone = evaluations(run_trial(overlaid(spec.base, parameters, "x"), home, files, torch.device("cpu")))
    rows = load(paths.evaluations).to_pylist()
    assert [(row["images_seen"], row["fd"]) for row in rows] == [(e.images_seen, e.metrics["fd"]) for e in alone]


def test_trials_that_can_not_be_trained_do_not_end_the_search(home: Home, new_study: New, grid_code: str) -> None:
    paths, spec = new_study(BROKEN, sampler="grid", trials=None)
    assert run_study(home, paths, spec) == "complete"
    check_records(paths, spec)
    assert Counter(statuses(paths).values())["failed"] == 2
    rows = load(paths.evaluations).to_pylist()
    errors = {row["error"] for row in rows if row["status"] == "failed"}
    assert all("source 'seed-7' does not fit target 'dots'" in error for error in errors)
    assert "diverged" in statuses(paths).values()


def test_two_workers_train_a_trial_through_ray_train(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=1, workers_per_trial=2, early_stopping=False)
    assert run_study(home, paths, spec) == "complete"
    check_records(paths, spec)
    assert statuses(paths) == {0: "completed"}


def test_a_changed_domain_is_refused(home: Home, new_study: New) -> None:
    paths, spec = new_study()
    changed = spec.model_copy(update={"digests": spec.digests | {"domain:dots": "0" * 64}})
    with pytest.raises(UserError, match=r"domain 'dots' has changed since it started.*--name"):
        run_study(home, paths, changed)


def wait_for_evaluations(paths: StudyPaths, n: int) -> None:
    deadline = time.monotonic() + 300
    while len(list(paths.root.glob("samples/*/[!.]*.png"))) < n:
        assert time.monotonic() < deadline, "the trials do not evaluate"
        time.sleep(0.1)


def test_ctrl_c_stops_cleanly_and_resume_goes_on(
    home: Home, new_study: New, driver: Callable[[], subprocess.Popen[str]]
) -> None:
    paths, spec = new_study(trials=3, max_images=320, early_stopping=False)
    process = driver()
    wait_for_evaluations(paths, 3)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert time.monotonic() - asked < 45
    assert process.returncode == 130, complaint
    assert "go on with: understock resume s" in complaint
    assert "running" in statuses(paths).values()
    assert run_study(home, paths, spec) == "complete"
    check_records(paths, spec)
    assert set(statuses(paths).values()) == {"completed"}


def test_a_killed_driver_loses_and_repeats_nothing(
    home: Home, new_study: New, driver: Callable[[], subprocess.Popen[str]]
) -> None:
    paths, spec = new_study(trials=3, max_images=160, early_stopping=False)
    for wanted in (3, 20):
        process = driver()
        wait_for_evaluations(paths, wanted)
        process.kill()
        process.wait()
    assert run_study(home, paths, spec) == "complete"
    check_records(paths, spec)
    assert len(load(paths.evaluations)) == 3 * 160 // 8


def test_a_second_driver_is_refused(home: Home, new_study: New, driver: Callable[[], subprocess.Popen[str]]) -> None:
    paths, spec = new_study(trials=1, max_images=20_000, early_stopping=False)
    process = driver()
    wait_for_evaluations(paths, 1)
    with pytest.raises(UserError, match="being run by another process"):
        run_study(home, paths, spec)
    process.kill()
    process.wait()


def test_the_reports_of_a_real_study_can_be_written(home: Home, new_study: New, tmp_path: Path) -> None:
    from analysis.answer import lines
    from analysis.report import write_report
    from analysis.study_data import StudyData

    paths, spec = new_study(trials=3)
    assert run_study(home, paths, spec) == "complete"
    assert "study s, completed: 3 trials" in lines(load(paths.evaluations), spec)[0]
    assert write_report(StudyData.of(home, [(paths, spec)]), tmp_path / "r.html").stat().st_size > 1_000_000
