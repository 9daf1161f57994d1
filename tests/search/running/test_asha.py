"""What the scheduler decides, without a cluster."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from search.running.stopping import scheduler_of

New = Callable[..., tuple[StudyPaths, StudySpec]]


def decision(scheduler: Any, name: str, fd: float, images: int = 8, reference: bool = False) -> str:
    trial = SimpleNamespace(trial_id=name, config={"reference": reference})
    if name not in scheduler._trial_info:
        scheduler.on_trial_add(None, trial)
    return str(scheduler.on_trial_result(None, trial, {"images_seen": images, "fd": fd}))


def test_a_trial_among_the_worst_is_stopped_and_the_reference_is_not(new_study: New) -> None:
    scheduler = scheduler_of(Ledger(*new_study()))
    said = [decision(scheduler, name, fd) for name, fd in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    assert said == ["CONTINUE", "STOP", "STOP"]
    assert decision(scheduler, "scratch", 9.0, reference=True) == "CONTINUE"
    assert decision(scheduler, "scratch", 9.0, images=32, reference=True) == "STOP"  # its budget is spent


def test_a_resumed_search_stops_by_what_the_earlier_one_saw(new_study: New) -> None:
    study = new_study()
    ledger = Ledger(*study)
    for fd in (1.0, 1.1, 1.2):
        number, config = ledger.ask() or (0, study[1].base)
        ledger.record(number, config, {"images_seen": 8, "fd": fd})
        ledger.finish(number, config, "stopped")
    assert decision(scheduler_of(Ledger(*study)), "new", 2.0) == "STOP"
    assert decision(scheduler_of(Ledger(*study)), "new", 0.5) == "CONTINUE"


def test_a_resumed_trial_is_not_stopped_at_an_evaluation_that_it_had_passed(new_study: New) -> None:
    scheduler = scheduler_of(Ledger(*new_study()))
    for name, fd in (("a", 1.0), ("b", 1.1)):
        decision(scheduler, name, fd)
    resumed = SimpleNamespace(trial_id="resumed", config={"evaluated": 16})
    scheduler.on_trial_add(None, resumed)
    said = [scheduler.on_trial_result(None, resumed, {"images_seen": images, "fd": 9.0}) for images in (8, 16, 32)]
    assert said == ["CONTINUE", "CONTINUE", "STOP"]
