"""What a run enters and shows of what Tune tells it, without Tune."""

import errno
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState
from rich.console import Console

from search.proposals import overlaid
from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from search.running.live import View
from search.running.run import Run
from spaces.errors import UserError
from spaces.trials import parse_trial_json
from trainables.machine.imports import NOT_IMPORTED
from trainables.running.given import ChangedDataError
from trainables.running.tune_trial import DATA_CHANGED, OUT_OF_STORAGE
from trainables.storage.home import Home, StorageError

New = Callable[..., tuple[StudyPaths, StudySpec]]


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def new_run(home: Home, new_study: New, screen: io.StringIO) -> Callable[..., Run]:
    """A run of a study, which is made if it is not there."""

    def make(**settings: object) -> Run:
        paths, spec = new_study(**settings)
        return Run(home, Ledger(paths, spec), View(spec, {}, Console(file=screen, width=200)))

    return make


def rows(run: Run) -> list[tuple[int, str, float | None]]:
    """Each evaluation that is on disk: images seen, the trial's status and its score."""
    table = load(run.ledger.paths.evaluations).to_pylist()
    return [(row["images_seen"], row["status"], row["fd"]) for row in table]


def report(images: int, fd: float, status: str = "running") -> dict[str, object]:
    return {"images_seen": images, "fd": fd, "status": status}


def test_a_job_says_which_trial_it_is_and_where_its_files_go(home: Home, new_run: Callable[..., Run]) -> None:
    run = new_run(threads_per_trial=2)
    jobs = [run.start(tune_id) or pytest.fail("nothing to do") for tune_id in ("a", "b")]
    assert [(job.number, job.reference, job.evaluated, job.threads) for job in jobs] == [
        (0, False, 0, 2),
        (1, True, 0, 2),
    ]
    assert parse_trial_json(jobs[1].config, "a job").source == "scratch"
    assert home.root / jobs[1].folder == run.ledger.paths.trial(1)


def test_a_job_holds_its_trial_to_the_source_domains_that_it_was_planned_with(new_run: Callable[..., Run]) -> None:
    run = new_run()
    spec = run.ledger.spec
    run.ledger.spec = spec.model_copy(update={"digests": {"domain:dots": "a", "domain:rings": "b", "domain:bars": "c"}})
    config = overlaid(spec.base, {"method": "untranslated", "source": "rings"}, "test")
    assert run._job(0, config, 0).digests == {"domain:dots": "a", "domain:rings": "b"}


def test_a_disk_that_is_full_while_the_space_suggests_halts_the_run_and_fails_no_trial(
    new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, fsync = new_run(), os.fsync
    journal = run.ledger.paths.journal

    def full(file: int) -> None:
        if b'"param_name"' in journal.read_bytes():  # the first parameter is being noted
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    assert run.start("a") is None
    monkeypatch.undo()
    assert isinstance(run.halted, StorageError)
    assert "optuna.journal can't be written (No space left on device); make space there" in str(run.halted)
    again = Run(run._home, Ledger(run.ledger.paths, run.ledger.spec), run._view)
    job = again.start("b") or pytest.fail("nothing to do")
    assert (job.number, again.ledger.study.get_trials()[0].state) == (0, TrialState.RUNNING)


def test_a_taken_up_trial_is_told_how_far_it_was_and_what_it_repeats_is_not_news(new_run: Callable[..., Run]) -> None:
    run = new_run()
    run.start("a")
    assert run.note("a", report(8, 3.0))
    again = Run(run._home, Ledger(run.ledger.paths, run.ledger.spec), run._view)
    job = again.start("b") or pytest.fail("nothing to do")
    assert (job.number, job.evaluated) == (0, 8)
    assert [again.note("b", report(images, 3.0)) for images in (8, 16)] == [False, True]
    assert rows(again) == [(8, "running", 3.0), (16, "running", 3.0)]


UNTRAINED = report(0, 9.0) | {"iterations": 0, "losses": {}, "node": "10.0.0.1-abc"}
TRAINED = report(8, 3.0) | {"losses": {"loss_d": 1.0, "loss_g": 2.0}, "node": "10.0.0.1-abc"}
BROKEN = report(16, float("nan"), "diverged") | {"losses": {"loss_d": float("nan"), "loss_g": 2.0}}


@pytest.mark.parametrize("reported", [[UNTRAINED], [UNTRAINED, TRAINED], [UNTRAINED, TRAINED, BROKEN]], ids=len)
def test_what_a_taken_up_trial_repeats_is_no_news_whatever_it_lacks_and_wherever_it_is_now(
    new_run: Callable[..., Run], screen: io.StringIO, reported: list[dict[str, object]]
) -> None:
    """It has no losses at 0 images, its last may be no numbers, and a new Ray calls even the same node something else."""
    run = new_run()
    run.start("a")
    assert all(run.note("a", each) for each in reported)
    said = screen.getvalue()
    again = Run(run._home, Ledger(run.ledger.paths, run.ledger.spec), run._view)
    again.start("b")
    assert not any(again.note("b", each | {"node": "10.0.0.2-def"}) for each in reported)
    assert "0 images, fd 9" in said and "0 images, fd 9" not in screen.getvalue().removeprefix(said)
    assert load(again.ledger.paths.evaluations)["node"].to_pylist()[0] == "10.0.0.1-abc"
    assert again.note("b", report(8, 2.5) | {"losses": {"loss_d": 1.0, "loss_g": 3.0}})  # trained again otherwise


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (report(8, 3.0), "stopped"),
        (report(8, 3.0, "completed"), "completed"),
        (report(8, 3.0, "diverged"), "diverged"),
        ({"status": "failed", "error": "why"}, "failed"),
        ({}, "failed"),
    ],
    ids=["the scheduler stopped it", "completed", "diverged", "failed", "no report"],
)
def test_a_trial_ends_as_its_last_report_says(
    new_run: Callable[..., Run], last: dict[str, object], status: str
) -> None:
    run = new_run(trials=1)
    run.start("a")
    run.note("a", report(8, 3.0))
    run.end("a", last)
    assert rows(run) == [(8, status, 3.0)]
    assert run.ledger.to_do == 0
    assert not run.halted


def test_a_job_has_the_digests_of_its_own_data_alone(new_run: Callable[..., Run]) -> None:
    run = new_run()
    jobs = [run.start(tune_id) or pytest.fail("nothing to do") for tune_id in ("a", "b")]
    assert [sorted(job.digests) for job in jobs] == [["domain:dots", "source:seed-7"], ["domain:dots"]]
    assert jobs[0].digests["source:seed-7"] == run.ledger.spec.digests["source:seed-7"]


@pytest.mark.parametrize(("status", "halting"), [(OUT_OF_STORAGE, StorageError), (DATA_CHANGED, ChangedDataError)])
def test_a_trial_without_room_on_its_disk_or_with_other_data_halts_the_run_and_stays_open(
    new_run: Callable[..., Run], screen: io.StringIO, status: str, halting: type[UserError]
) -> None:
    run = new_run()
    run.start("a")
    run.note("a", report(8, 3.0))
    run.end("a", {"status": status, "error": "why"})
    assert isinstance(run.halted, halting) and str(run.halted) == "why"
    assert run.start("b") is None
    assert not run.note("a", report(16, 2.0))
    run.end("a", report(16, 2.0, "completed"))
    assert rows(run) == [(8, "running", 3.0)]
    assert screen.getvalue().count("\n") == 2, screen.getvalue()  # it started, and was evaluated


def test_a_disk_that_refuses_the_ledger_halts_the_run(new_run: Callable[..., Run]) -> None:
    run = new_run()
    run.start("a")
    folder = run.ledger.paths.evaluations
    folder.rename(folder.with_name("away"))
    folder.write_text("in the folder's place")
    assert not run.note("a", report(8, 3.0))
    assert isinstance(run.halted, StorageError), f"{run.halted=}"
    assert str(Path(folder)) in str(run.halted)


def test_a_run_halts_once_its_seconds_are_spent_unless_it_was_halted_before(new_run: Callable[..., Run]) -> None:
    run = new_run(max_seconds=1e-6)
    run.check_time()
    assert run.halted == "time is up"
    run.halted = "interrupted"
    run.check_time()
    assert run.halted == "interrupted"


def test_tune_may_save_a_run_and_gets_nothing_of_it(new_run: Callable[..., Run]) -> None:
    assert len(pickle.dumps(new_run())) < 100


def test_losses_are_counted_and_shown(new_run: Callable[..., Run], screen: io.StringIO) -> None:
    run = new_run()
    run.start("a")
    run.lost("a", 1, 3, "why")
    run.lost("unknown", 1, 3, "why")
    assert [row["retries"] for row in load(run.ledger.paths.evaluations).to_pylist()] == [1]
    assert screen.getvalue().count("(retry 1 of 3)") == 1


def statuses(run: Run) -> dict[int, str]:
    return {row["trial"]: row["status"] for row in load(run.ledger.paths.evaluations).to_pylist()}


def start(run: Run, *tune_ids: str) -> None:
    for tune_id in tune_ids:
        assert run.start(tune_id), tune_id


ALSO_LOST = {"status": NOT_IMPORTED, "error": "ModuleNotFoundError: No module named 'x'"}


def test_trials_lost_alike_one_after_the_other_halt_the_run_and_stay_to_do(new_run: Callable[..., Run]) -> None:
    run = new_run(trials=6)
    start(run, "a", "b", "c")
    run.give_up("a", 4, "the node 10.0.0.1 died, actor 0a3f")
    run.give_up("b", 4, "the node 10.0.0.2 died, actor bb77")
    assert not run.halted
    run.give_up("c", 4, "the node 10.0.0.1 died, actor 19")
    assert isinstance(run.halted, UserError)
    assert "every trial came to nothing, the last one for: the node 10.0.0.1 died" in str(run.halted)
    assert "understock resume s" in str(run.halted)
    assert run.start("d") is None
    again = Run(run._home, Ledger(run.ledger.paths, run.ledger.spec), run._view)
    assert again.ledger.to_do == 6
    assert [(again.start(tune_id) or pytest.fail("nothing")).number for tune_id in "abcdef"] == [0, 1, 2, 3, 4, 5]


def test_a_lost_trial_has_failed_once_another_one_reports(new_run: Callable[..., Run]) -> None:
    run = new_run(trials=4)
    start(run, "a", "b", "c", "d")
    run.give_up("a", 4, "why")
    run.end("b", ALSO_LOST)
    assert statuses(run) == dict.fromkeys(range(4), "running")
    run.note("c", report(8, 3.0))
    assert statuses(run) == {0: "failed", 1: "failed", 2: "running", 3: "running"}
    run.end("c", report(8, 3.0, "completed"))
    run.give_up("d", 4, "why")
    run.settle()
    assert statuses(run) == {0: "failed", 1: "failed", 2: "completed", 3: "failed"}
    assert not run.halted and run.ledger.to_do == 0
    errors = {row["trial"]: row["error"] for row in load(run.ledger.paths.evaluations).to_pylist()}
    assert errors[0] == "its process was lost 4 times without an evaluation in between: why"
    assert errors[1] == ALSO_LOST["error"]


def test_a_study_of_which_nothing_ever_came_is_not_complete(new_run: Callable[..., Run]) -> None:
    run = new_run(trials=1)
    start(run, "a")
    run.end("a", ALSO_LOST)
    run.settle()
    assert "every trial came to nothing, the last one for: ModuleNotFoundError" in str(run.halted)
    assert run.ledger.to_do == 1
