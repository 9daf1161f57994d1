"""What a run enters and shows of what Tune tells it, without Tune."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from search.running.live import View
from search.running.run import Run
from spaces.errors import UserError
from spaces.trials import parse_trial_json
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


def test_a_taken_up_trial_is_told_how_far_it_was_and_what_it_repeats_is_not_news(new_run: Callable[..., Run]) -> None:
    run = new_run()
    run.start("a")
    assert run.note("a", report(8, 3.0))
    again = Run(run._home, Ledger(run.ledger.paths, run.ledger.spec), run._view)
    job = again.start("b") or pytest.fail("nothing to do")
    assert (job.number, job.evaluated) == (0, 8)
    assert [again.note("b", report(images, 3.0)) for images in (8, 16)] == [False, True]
    assert rows(again) == [(8, "running", 3.0), (16, "running", 3.0)]


@pytest.mark.parametrize(
    ("last", "error", "status"),
    [
        (report(8, 3.0), None, "stopped"),
        (report(8, 3.0, "completed"), None, "completed"),
        (report(8, 3.0, "diverged"), None, "diverged"),
        ({"status": "failed", "error": "why"}, None, "failed"),
        (report(8, 3.0), "its process was lost", "failed"),
        ({}, None, "failed"),
    ],
    ids=["the scheduler stopped it", "completed", "diverged", "failed", "lost", "no report"],
)
def test_a_trial_ends_as_its_last_report_says(
    new_run: Callable[..., Run], last: dict[str, object], error: str | None, status: str
) -> None:
    run = new_run(trials=1)
    run.start("a")
    run.note("a", report(8, 3.0))
    run.end("a", last, error)
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
    run.lost("a", 1, 3)
    run.lost("unknown", 1, 3)
    assert [row["retries"] for row in load(run.ledger.paths.evaluations).to_pylist()] == [1]
    assert screen.getvalue().count("(retry 1 of 3)") == 1
