"""A search by several goals: what its journal keeps, how it is made anew, what is stopped, and what is said of it."""

import io
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState
from rich.console import Console

from analysis.answer import lines
from search.launch import resolve_study
from search.picking.arms import Arm
from search.recommendation import fronts_say
from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from search.running.live import View
from search.running.stopping import FrontHalving, scheduler_of
from spaces.errors import UserError
from trainables.storage.home import Home

New = Callable[..., tuple[StudyPaths, StudySpec]]
SCORES = ((30.0, 5.0), (20.0, 9.0), (40.0, 4.0), (41.0, 8.0))


def row(images: int, fd: float | None, seconds: float | None, kd: float = 1.0) -> dict[str, object]:
    return {"images_seen": images, "iterations": 1, "fd": fd, "kd": kd, "wall_seconds": seconds}


def searched(new_study: New, **settings: object) -> tuple[StudyPaths, StudySpec]:
    """Four trials with their fd and seconds, of which the third was stopped."""
    study = new_study(**({"metric": "fd,seconds", "trials": 6} | settings))
    ledger = Ledger(*study)
    for place, (fd, seconds) in enumerate(SCORES):
        number, config = ledger.ask() or pytest.fail("nothing to do")
        for images in (8, 32):
            ledger.record(number, config, row(images, fd + 32 - images, seconds * images / 32, kd=fd))
        ledger.finish(number, config, "stopped" if place == 2 else "completed")
    return study


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
@pytest.mark.slow
def test_optuna_has_every_score_of_trials_to_the_end_and_proposes_the_next(new_study: New, sampler: str) -> None:
    paths, spec = searched(new_study, sampler=sampler)
    assert spec.goals == ("fd", "seconds")
    ledger = Ledger(paths, spec)
    found = [(trial.state, trial.values) for trial in ledger.study.get_trials()[:4]]
    whole, stopped = TrialState.COMPLETE, (TrialState.PRUNED, None)
    assert found == [(whole, [30, 5]), (whole, [20, 9]), stopped, (whole, [41, 8])]
    assert ledger.ask() is not None
    assert {trial.number for trial in ledger.study.best_trials} == {0, 1}


def test_a_lost_journal_of_a_front_is_made_anew(new_study: New) -> None:
    paths, spec = searched(new_study)
    before = [(t.number, t.state, t.params, t.values) for t in Ledger(paths, spec).study.get_trials()]
    paths.journal.unlink()
    assert [(t.number, t.state, t.params, t.values) for t in Ledger(paths, spec).study.get_trials()] == before


def test_a_journal_of_other_scores_is_found_out(new_study: New) -> None:
    paths, spec = searched(new_study)
    paths.journal.write_text(paths.journal.read_text().replace("[20.0,9.0]", "[19.0,9.0]"))
    assert Ledger(paths, spec).study.get_trials()[1].values == [20, 9]
    assert paths.journal.with_name("optuna.journal.damaged").is_file()


def test_a_trial_that_lacks_one_of_the_scores_has_failed(new_study: New) -> None:
    ledger = Ledger(*new_study(metric="fd,kd"))
    number, config = ledger.ask() or pytest.fail("nothing to do")
    ledger.record(number, config, row(32, 3.0, 1.0, kd=float("nan")))
    assert ledger.finish(number, config, "completed") == ("failed", "its last evaluation has kd nan, which is no score")


def decision(scheduler: FrontHalving, name: str, fd: float, seconds: float, **config: object) -> str:
    trial = SimpleNamespace(trial_id=name, config=config)
    return scheduler.on_trial_result(None, trial, row(8, fd, seconds))


def test_stopping_goes_by_the_front_at_a_rung(new_study: New) -> None:
    scheduler = scheduler_of(Ledger(*new_study(metric="fd,seconds")))
    assert isinstance(scheduler, FrontHalving)
    assert decision(scheduler, "a", 3.0, 3.0) == "CONTINUE"  # the first
    assert decision(scheduler, "b", 1.0, 9.0) == "CONTINUE"  # worse in one, better in the other
    assert decision(scheduler, "c", 9.0, 9.0) == "STOP"  # beaten in both
    assert decision(scheduler, "d", 9.0, 9.5, reference=True) == "CONTINUE"
    assert decision(scheduler, "e", 9.0, 9.6, evaluated=8) == "CONTINUE"
    assert decision(scheduler, "f", 0.5, 1.0) == "CONTINUE"


def test_a_resumed_search_stops_by_the_rungs_of_the_earlier_one(new_study: New) -> None:
    scheduler = scheduler_of(Ledger(*searched(new_study)))
    assert decision(scheduler, "new", 80.0, 9.0) == "STOP"
    assert decision(scheduler, "newer", 10.0, 0.1) == "CONTINUE"


def test_status_view_and_pick_say_the_front_and_what_one_pays_for_the_other(new_study: New, home: Home) -> None:
    paths, spec = searched(new_study)
    said = "\n".join(lines(load(paths.evaluations), spec))
    assert "2 of 3 trials to the end" in said
    pays = "from trial 1 to trial 0: seconds of a trial -4 (44.4%) for FD (efficientnet_lite0) +10 (50.0%)"
    assert pays in said
    assert f"there, {pays}" in list(fronts_say(home, spec.target))
    assert not list(fronts_say(home, "another"))
    screen = io.StringIO()
    ledger = Ledger(paths, spec)
    number, config = ledger.ask() or pytest.fail("nothing to do")
    with View(spec, ledger.earlier, Console(file=screen, width=140)) as view:
        view.started(number, config)
        view.evaluated(number, row(32, 10.0, 20.0))
        view.ended(number, "completed", None)
    assert "front so far, of 4 to the end: trial 4" in screen.getvalue()
    assert str(Arm.of(config)) in screen.getvalue()


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"metric": "fd,iw", "sampler": "transfer"}, "goes by one metric"),
        ({"metric": "fd", "sampler": "nsga2"}, "searches a front"),
        ({"metric": "fd,kd", "until_gain": 0.02}, "not known of a front"),
        ({"metric": "fd,pair_error"}, "is of translations"),
    ],
)
def test_what_a_front_can_not_have_is_refused(
    home: Home, new_study: New, settings: dict[str, object], word: str
) -> None:
    new_study()
    with pytest.raises(UserError, match=word):
        resolve_study(home, "dots", "quickstart", name="other", sources="seed-7", **settings)  # type: ignore[arg-type]
