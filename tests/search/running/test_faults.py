"""What a search does when something breaks: real processes are killed, real disks fill."""

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from search.running.tune import INFRASTRUCTURE_RETRIES, run_study
from spaces.errors import UserError
from trainables.images.domains import open_domain, write_domain
from trainables.storage.home import Home, writing
from trainables.training.checkpoints import recorded
from trainables.training.trial_files import TrialFiles

pytestmark = pytest.mark.ray

New = Callable[..., tuple[StudyPaths, StudySpec]]

ONE = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["scratch"])
    trial.suggest_categorical("loss/n_critic", [1])
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_int("seed", 0, 1000)
"""

LONG = {"early_stopping": False, "max_images": 160, "code": ONE}
"""Trials of 20 evaluations."""


def rows_of(paths: StudyPaths, trial: int) -> list[dict[str, object]]:
    return [row for row in load(paths.evaluations).to_pylist() if row["trial"] == trial]


def check_records(paths: StudyPaths, spec: StudySpec) -> dict[int, str]:
    """Every trial exactly once in journal and table, with the same state, and no evaluation twice; gives the statuses."""
    states = {"completed": "COMPLETE", "stopped": "PRUNED", "diverged": "PRUNED", "failed": "FAIL"}
    rows = load(paths.evaluations).to_pylist()
    table = {row["trial"]: row["status"] for row in rows}
    assert max(Counter((row["trial"], row["images_seen"]) for row in rows).values()) == 1
    journal = {trial.number: trial.state.name for trial in Ledger(paths, spec).study.get_trials()}
    assert journal == {trial: states[status] for trial, status in table.items()}
    assert len(journal) == spec.trials
    return table


def trainer(paths: StudyPaths, trial: int) -> psutil.Process | None:
    """The process that trains a trial, if it lives and is one of Ray's."""
    try:
        process = psutil.Process(int(TrialFiles(paths.trial(trial), paths.samples(trial)).lock.read_text().split()[0]))
        return process if process.cmdline()[0].startswith("ray::") else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def grids(paths: StudyPaths, trial: int) -> list[Path]:
    return sorted(paths.samples(trial).glob("[!.]*.png"))


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """`act` in a thread beside the block; what it raises is raised at the block's end."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(timeout=60)
    if raised:
        raise raised[0]
    assert not thread.is_alive()


def until(true: Callable[[], Any], seconds: float = 300) -> Any:
    """What `true` gives, once that is true."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def test_a_killed_trial_goes_on_from_its_checkpoint_and_the_loss_is_counted(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=1, **LONG)

    def kill_twice() -> None:
        for evaluations in (3, 8):
            process = until(lambda n=evaluations: trainer(paths, 0) if len(grids(paths, 0)) >= n else None)
            seen = {path.name: path.stat().st_ino for path in grids(paths, 0)}
            process.kill()
            done = [f"{item.images_seen:09d}.png" for item in recorded(TrialFiles(paths.trial(0), paths.samples(0)))]
            kept.append({name: seen[name] for name in done if name in seen})

    kept: list[dict[str, int]] = []
    with meanwhile(kill_twice):
        assert run_study(home, paths, spec) == "complete"
    assert check_records(paths, spec) == {0: "completed"}
    rows = rows_of(paths, 0)
    assert len(rows) == 20
    assert {row["retries"] for row in rows} == {2}
    now = {path.name: path.stat().st_ino for path in grids(paths, 0)}
    assert all(now[name] == inode for known in kept for name, inode in known.items())  # none was evaluated again
    assert kept[1]


def test_a_trial_whose_process_is_always_lost_fails_once_another_one_shows_that_trials_can_run(
    home: Home, new_study: New
) -> None:
    paths, spec = new_study(trials=2, early_stopping=False, max_images=4_000, code=ONE)
    done, killed = threading.Event(), set()

    def kill_always() -> None:  # before the first evaluation, of 8 images: so make that one late
        while not done.is_set():
            process = trainer(paths, 0)
            if process and process.pid not in killed:
                killed.add(process.pid)
                process.kill()
            time.sleep(0.05)

    late = spec.base.model_copy(update={"budget": spec.base.budget.model_copy(update={"eval_every_images": 4_000})})
    spec = spec.model_copy(update={"base": late})
    with meanwhile(kill_always):
        try:
            assert run_study(home, paths, spec) == "complete"
        finally:
            done.set()
    assert check_records(paths, spec) == {0: "failed", 1: "completed"}
    assert len(killed) == INFRASTRUCTURE_RETRIES + 1
    (row,) = rows_of(paths, 0)
    assert row["retries"] == INFRASTRUCTURE_RETRIES
    assert f"its process was lost {INFRASTRUCTURE_RETRIES + 1} times without an evaluation in between" in str(
        row["error"]
    )


def test_what_is_a_trial_s_own_fault_is_not_retried(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=4, **LONG)
    paths.samples(0).mkdir(parents=True)
    grid = paths.samples(0) / "000000024.png"  # the third evaluation of trial 0 can't put it where this leads
    grid.symlink_to("/proc/nowhere/grid.png")

    def break_the_metric() -> None:  # while trial 1 trains
        until(lambda: len(grids(paths, 1)) >= 3)
        (stored,) = (home.domain("dots") / "moments").glob("*.npz")
        whole = stored.read_bytes()
        values = dict(np.load(stored))
        with writing(stored) as beside, beside.open("wb") as file:  # a half written one would be computed anew
            np.savez(file, **values | {"mean": np.full_like(values["mean"], np.nan)})
        until(lambda: (home.root / "studies/s/trials/00002").exists())
        stored.write_bytes(whole)

    with meanwhile(break_the_metric):
        assert run_study(home, paths, spec) == "complete"
    statuses = check_records(paths, spec)
    assert statuses[0] == "failed"
    assert "FileNotFoundError" in str(rows_of(paths, 0)[-1]["error"])
    assert [row["images_seen"] for row in rows_of(paths, 0)] == [8, 16]
    assert "Traceback" in (paths.trial(0) / "error.txt").read_text()
    assert statuses[1] == "diverged"
    assert np.isnan(rows_of(paths, 1)[-1]["fd"])
    assert statuses[3] == "completed"
    assert {row["retries"] for row in load(paths.evaluations).to_pylist()} == {0}


def test_a_trial_over_its_memory_limit_fails_with_a_word_on_it(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=1, memory_per_trial=100 * 2**20, **LONG)
    assert run_study(home, paths, spec) == "complete"
    assert check_records(paths, spec) == {0: "failed"}
    assert "over its memory limit" in str(rows_of(paths, 0)[-1]["error"])
    assert {row["retries"] for row in rows_of(paths, 0)} == {0}


@pytest.fixture
def small_disk(home: Home) -> Iterator[Path]:
    """A file system of 16 MB, where the studies lie."""
    place = home.root / "studies"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("left", [0, 30_000])
def test_a_full_disk_ends_the_run_in_one_line_and_resume_goes_on_after_space_is_made(
    home: Home, small_disk: Path, new_study: New, left: int
) -> None:
    paths, spec = new_study(trials=2, concurrency=2, **LONG)
    ballast = small_disk / "ballast"

    def fill() -> None:
        until(lambda: len(grids(paths, 0)) >= 3)
        with ballast.open("wb") as file:
            try:
                while True:
                    os.write(file.fileno(), b"\0" * 4096)
            except OSError:
                os.ftruncate(file.fileno(), max(0, ballast.stat().st_size - left))

    with meanwhile(fill), pytest.raises(UserError, match=r"No space left.*make space.*understock resume s") as stopped:
        run_study(home, paths, spec)
    assert "\n" not in str(stopped.value)
    before = load(paths.evaluations).num_rows
    assert {row["status"] for row in load(paths.evaluations).to_pylist()} == {"running"}
    ballast.unlink()
    assert before >= 3
    assert run_study(home, paths, spec) == "complete"
    assert check_records(paths, spec) == {0: "completed", 1: "completed"}
    assert load(paths.evaluations).num_rows == 40


def interrupted(process: subprocess.Popen[str], signals: list[int], gap: float) -> float:
    """Signal a driver's whole process group, as Ctrl-C does; gives the seconds until it had ended, as it should."""
    asked = time.monotonic()
    for number in signals:
        os.killpg(process.pid, number)
        time.sleep(gap)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert "interrupted; go on with: understock resume s --home" in complaint
    assert "Traceback" not in complaint
    return time.monotonic() - asked


@pytest.mark.parametrize(
    ("signals", "evaluations"),
    [
        ([signal.SIGINT], 3),
        ([signal.SIGINT] * 2, 3),
        ([signal.SIGTERM], 3),
        ([signal.SIGINT], 0),
    ],
    ids=["Ctrl-C", "Ctrl-C twice", "SIGTERM", "Ctrl-C while Ray starts"],
)
def test_an_interrupted_search_can_be_resumed(
    home: Home,
    new_study: New,
    driver: Callable[[], subprocess.Popen[str]],
    signals: list[int],
    evaluations: int,
) -> None:
    paths, spec = new_study(trials=1, **LONG)
    process = driver()
    until(lambda: len(grids(paths, 0)) >= evaluations and paths.journal.exists())
    took = interrupted(process, signals, 0.3)
    print(f"{took=:.1f}")
    assert took < 45
    assert run_study(home, paths, spec) == "complete"
    assert check_records(paths, spec) == {0: "completed"}
    assert not paths.ray.exists()


def test_a_damaged_last_checkpoint_costs_one_evaluation(
    home: Home, new_study: New, driver: Callable[[], subprocess.Popen[str]]
) -> None:
    paths, spec = new_study(trials=1, **LONG)
    process = driver()
    until(lambda: len(grids(paths, 0)) >= 4)
    process.kill()
    process.wait()
    until(lambda: trainer(paths, 0) is None)
    files = TrialFiles(paths.trial(0), paths.samples(0))
    newest = max(files.slots, key=lambda path: path.stat().st_mtime_ns)
    last = len(recorded(files))
    newest.write_bytes(newest.read_bytes()[:-1])
    assert run_study(home, paths, spec) == "complete"
    assert check_records(paths, spec) == {0: "completed"}
    notes = {row["images_seen"]: row["note"] for row in rows_of(paths, 0) if row["note"]}
    assert notes == {8 * last: f"{newest.name} damaged: went on from {8 * (last - 1)} images"}


def test_other_images_under_the_target_s_name_halt_the_search_and_fail_no_trial(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=3, **LONG)
    old = open_domain(home, "dots")
    images = np.array(old.images)

    def replace() -> None:
        until(lambda: grids(paths, 0))
        write_domain(old.path, 255 - images, old.labels, old.is_val, origin="test", resizer="none")

    said = r"study 's' stopped: domain 'dots' is another than its trials were planned with .*resume s, or .*--name$"
    with meanwhile(replace), pytest.raises(UserError, match=said):
        run_study(home, paths, spec)
    rows = load(paths.evaluations).to_pylist()
    assert {(row["trial"], row["status"]) for row in rows} == {(0, "completed"), (1, "running")}
    with pytest.raises(UserError, match="has changed since it started"):
        run_study(home, paths, spec)
    write_domain(old.path, images, old.labels, old.is_val, origin="test", resizer="none")
    assert run_study(home, paths, spec) == "complete"
    assert check_records(paths, spec) == {0: "completed", 1: "completed", 2: "completed"}


def test_a_study_whose_workers_can_not_import_halts_in_one_line_and_goes_on_once_they_can(
    home: Home, new_study: New, tmp_path: Path, driver: Callable[[], subprocess.Popen[str]]
) -> None:
    paths, spec = new_study(trials=4)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "safetensors.py").write_text("raise ImportError('the wrong one')\n")
    with pytest.MonkeyPatch.context() as there:  # of this process's workers alone: it has imported the right one
        there.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "broken"), os.environ.get("PYTHONPATH", "")]))
        with pytest.raises(UserError, match=r"every trial came to nothing.*ImportError: the wrong one") as stopped:
            run_study(home, paths, spec)
    assert "\n" not in str(stopped.value)
    rows = load(paths.evaluations).to_pylist()
    assert {(row["trial"], row["status"], row["retries"]) for row in rows} == {(n, "running", 0) for n in range(3)}
    out, err = driver().communicate(timeout=300)
    assert "Traceback" not in out + err
    assert set(check_records(paths, spec).values()) <= {"completed", "stopped"}


def test_a_study_whose_every_process_dies_halts_and_ray_s_words_are_in_its_log(
    home: Home, new_study: New, capfd: pytest.CaptureFixture[str]
) -> None:
    def dies(parameters: object) -> None:  # as a crash or the kernel's memory killer has it
        os.kill(os.getpid(), signal.SIGKILL)

    paths, spec = new_study(trials=3, concurrency=2)
    with pytest.raises(UserError, match=r"every trial came to nothing, the last one for: The actor died"):
        run_study(home, paths, spec, trainable=dies)
    said = "".join(capfd.readouterr())
    assert said.count("\n") < 30 and "Traceback" not in said and "(raylet)" not in said, said
    assert "A worker died or was killed" in paths.log.read_text()
    assert {row["status"] for row in load(paths.evaluations).to_pylist()} == {"running"}
    assert run_study(home, paths, spec) == "complete"
