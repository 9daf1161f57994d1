"""A study that goes on to more trials than it was begun with."""

from collections.abc import Callable

import pytest
from optuna.trial import TrialState

from search.launch import begin
from search.records.study import StudyPaths, StudySpec, close, open_study
from search.running.ledger import Ledger
from search.running.more_trials import raised
from spaces.errors import UserError
from trainables.storage.home import Home

New = Callable[..., tuple[StudyPaths, StudySpec]]

ONE_WAY = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["scratch"])
"""


def tried(ledger: Ledger) -> list[object]:
    """All that the ledger has left to do, each ended at once: what varied of each trial's config."""
    found = []
    while asked := ledger.ask():
        number, config = asked
        ledger.record(number, config, {"images_seen": 8, "fd": 3.0 + number, "status": "running"})
        ledger.finish(number, config, "completed")
        found.append((config.source, getattr(config, "transfer", None), config.seed, config.optim.lr_g))
    return found


def test_a_study_that_was_through_owes_the_rest_and_keeps_what_it_has(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=3)
    tried(Ledger(paths, spec))
    before = [trial.params for trial in Ledger(paths, spec).study.trials]
    more = raised(paths, spec, 7)
    assert open_study(home, "s")[1] == more == spec.model_copy(update={"trials": 7})
    ledger = Ledger(*open_study(home, "s"))
    assert (ledger.through, ledger.to_do) == (3, 4)
    assert len(tried(ledger)) == 4
    assert [trial.params for trial in ledger.study.trials][:3] == before
    assert {trial.state for trial in ledger.study.trials} == {TrialState.COMPLETE}
    assert Ledger(*open_study(home, "s")).to_do == 0


def test_a_grid_that_was_begun_in_part_goes_on_with_its_other_cells(home: Home, new_study: New, grid_code: str) -> None:
    paths, spec = new_study(grid_code, sampler="grid", trials=2)
    first = tried(Ledger(paths, spec))
    found = first + tried(Ledger(paths, raised(paths, spec, 6)))
    assert len(found) == len(set(map(str, found))) == 6
    with pytest.raises(UserError, match="has a grid of 6 cells; give --trials 6"):
        raised(*open_study(home, "s"), 7)


def test_a_grid_of_an_earlier_version_which_noted_no_number_goes_on_likewise(new_study: New, grid_code: str) -> None:
    paths, spec = new_study(grid_code, sampler="grid", trials=2)
    ledger = Ledger(paths, spec)
    first = tried(ledger)
    ledger.study.set_user_attr("planned", True)
    found = first + tried(Ledger(paths, raised(paths, spec, 6)))
    assert len(found) == len(set(map(str, found))) == 6


def test_trials_that_come_first_come_too_where_there_was_no_room_for_them(new_study: New) -> None:
    paths, spec = new_study(trials=1)
    sources = [tried(Ledger(paths, spec))[0], *tried(Ledger(paths, raised(paths, spec, 2)))]
    assert [source for source, *_ in sources] == ["seed-7", "scratch"]  # type: ignore[misc]


def test_what_can_not_be_is_refused_and_the_study_stays_as_it_was(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=3)
    with pytest.raises(UserError, match=r"--trials 2: study 's' has 3 already; give how many it should have in all"):
        raised(paths, spec, 2)
    with pytest.raises(UserError, match="trials"):
        raised(paths, spec, 10**12)
    close(paths, "its 2 hours are spent")
    with pytest.raises(UserError, match="is over, as its 2 hours are spent; begin another study"):
        raised(paths, spec, 9)
    unlimited = new_study(name="hours", trials=None, hours=1.0)
    with pytest.raises(UserError, match="has no number of trials but other limits"):
        raised(*unlimited, 9)
    same = new_study(ONE_WAY, name="one", trials=1)
    with pytest.raises(UserError, match="varies nothing"):
        raised(*same, 2)
    assert [open_study(home, name)[1].trials for name in ("s", "hours", "one")] == [3, None, 1]
    paths.closing.unlink()
    assert raised(paths, spec, 3) == spec  # as who repeats the command asks for


def test_whoever_asks_for_more_by_search_is_told_of_resume(home: Home, new_study: New) -> None:
    _, spec = new_study(trials=3)
    with pytest.raises(UserError, match=r"it has 3, asked for 9\).*: understock resume s --trials 9$"):
        begin(home, spec.model_copy(update={"trials": 9}))
