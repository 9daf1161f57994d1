"""What a search may cost, over all its runs, and when more of it is not worth it."""

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from search.launch import resolve_study
from search.records.results import load
from search.records.study import StudyPaths, StudySpec, close, closed
from search.running.ledger import Ledger
from search.running.limits import LEAST, Limits
from search.running.live import View
from search.running.run import Run
from spaces.errors import UserError
from trainables.storage.home import Home
from verbs.options import share

New = Callable[..., tuple[StudyPaths, StudySpec]]


def new_run(home: Home, paths: StudyPaths, spec: StudySpec, screen: io.StringIO | None = None) -> Run:
    return Run(home, Ledger(paths, spec), View(spec, {}, Console(file=screen or io.StringIO(), width=200)))


def evaluated(run: Run, tune_id: str, fd: float, seconds: float, status: str | None = "completed") -> None:
    """A trial is started and evaluated; and ends, if it has a status."""
    assert run.start(tune_id), "nothing to do"
    result = {"images_seen": 32, "fd": fd, "wall_seconds": seconds, "status": status or "running"}
    run.note(tune_id, result)
    if status:
        run.end(tune_id, result)


def statuses(paths: StudyPaths) -> list[str]:
    return [row["status"] for row in load(paths.evaluations).to_pylist()]


@pytest.mark.parametrize(
    ("limit", "spent"),
    [
        ({"hours": 4.0}, "1 of 4 hours"),
        ({"core_hours": 24.0}, "12 of 24 core-hours"),
        ({"core_hours": 12.0, "hours": 4.0}, "12 of 12 core-hours"),
        ({"until_gain": 0.02}, None),
    ],
)
def test_what_earlier_runs_took_counts(home: Home, new_study: New, limit: dict[str, float], spent: str | None) -> None:
    """Two trials of an hour, two at once, on three cores and two workers each."""
    paths, spec = new_study(**limit, concurrency=2, threads_per_trial=3, workers_per_trial=2)
    run = new_run(home, paths, spec)
    for tune_id in ("a", "b"):
        evaluated(run, tune_id, 3.0, 3600.0)
    assert Limits(paths, spec).spent == spent


def test_hours_of_gpus_need_some(new_study: New) -> None:
    with pytest.raises(UserError, match="--gpu-hours 3: its trials have no GPU; give --core-hours or --hours"):
        new_study(gpu_hours=3.0)


def test_a_search_that_has_cost_what_it_may_is_complete_and_what_ran_is_stopped(home: Home, new_study: New) -> None:
    paths, spec = new_study(hours=2.0)
    run = new_run(home, paths, spec)
    evaluated(run, "a", 3.0, 1.5 * 3600)
    evaluated(run, "b", 2.0, 1.0 * 3600, status=None)
    again = new_run(home, paths, spec)  # a new process, which counts what is on disk
    again.start("c")
    again.check_time()
    assert (again.halted, again.enough) == ("closed", "its 2 hours are spent")
    again.ledger.close(again.enough)
    assert again.ledger.to_do == 0 and closed(paths) == "its 2 hours are spent"
    assert statuses(paths) == ["completed", "stopped"]
    assert Ledger(paths, spec).ask() is None


def test_a_process_that_died_while_it_closed_a_study_leaves_nothing_running(home: Home, new_study: New) -> None:
    paths, spec = new_study(hours=2.0)
    run = new_run(home, paths, spec)
    evaluated(run, "a", 3.0, 60.0, status=None)
    run.start("b")  # which was never evaluated
    close(paths, "its 2 hours are spent")
    ledger = Ledger(paths, spec)
    assert (ledger.to_do, statuses(paths)) == (0, ["stopped", "stopped"])


def test_with_a_limit_the_number_of_trials_has_none_unless_it_is_given(home: Home, new_study: New) -> None:
    _, spec = new_study(hours=1.0, trials=None)
    assert spec.trials is None and spec.of_trials(5) == "5 trials"
    _, spec = new_study(name="other", hours=1.0, trials=7)
    assert spec.of_trials(5) == "5 of 7 trials"
    assert resolve_study(home, "dots", spec.space, sources="seed-7").spec.trials == 24


def test_a_metric_without_ratios_has_no_gain(home: Home, new_study: New) -> None:
    with pytest.raises(UserError, match="--until-gain: what more trials would gain is not known of kd"):
        new_study(until_gain=0.02, metric="kd")


@pytest.mark.slow
def test_a_search_ends_when_another_hour_gains_too_little(home: Home, new_study: New) -> None:
    """Every trial comes to nearly the same, and an hour has room for two."""
    screen = io.StringIO()
    paths, spec = new_study(until_gain=0.2, trials=None)
    run = new_run(home, paths, spec)
    for number in range(LEAST - 1):
        evaluated(run, f"t{number}", 3.0 + 0.001 * (number % 3), 1800.0)
    run = new_run(home, paths, spec, screen)
    for number in range(40):
        evaluated(run, f"t{number}", 3.0 + 0.001 * (number % 3), 1800.0)
        if run.halted:
            break
    assert run.halted == "closed" and LEAST <= run.ledger.through < 40
    assert run.enough is not None and re.match(
        r"another hour would gain less than 20 %: \d more trials would", run.enough
    )
    assert screen.getvalue().count("another hour: ") == run.ledger.through - LEAST + 1


@pytest.mark.slow
def test_a_search_goes_on_while_there_is_something_to_gain(home: Home, new_study: New) -> None:
    paths, spec = new_study(until_gain=0.01, trials=None)
    run = new_run(home, paths, spec)
    for number in range(LEAST + 3):
        evaluated(run, f"t{number}", 3.0 * 1.7**number, 60.0)
    assert not run.halted


@pytest.mark.parametrize(("said", "found"), [("2%", 0.02), ("2", 0.02), (" 0.5 % ", 0.005), (None, None)])
def test_a_percentage(said: str | None, found: float | None) -> None:
    assert share(said) == found


@pytest.mark.parametrize("said", ["two", "0", "100%", "-1%", "nan"])
def test_what_is_no_percentage_is_refused(said: str) -> None:
    with pytest.raises(UserError, match="is no percentage between 0 and 100"):
        share(said)
