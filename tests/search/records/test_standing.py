from collections.abc import Callable, Mapping

import pytest

from analysis.tables import summary
from search.records.results import Status, load
from search.records.standing import standing, standing_rows
from search.records.study import StudyPaths, StudySpec, close, only_driver, write_spec
from search.running.ledger import Ledger
from spaces.errors import UserError
from trainables.storage.home import Home

New = Callable[..., tuple[StudyPaths, StudySpec]]


def tried(study: tuple[StudyPaths, StudySpec], scores: Mapping[float, Status]) -> None:
    """Trials of these scores, each ended by that status; "running" for one that was left."""
    ledger = Ledger(*study)
    for score, status in scores.items():
        number, config = ledger.ask() or pytest.fail("nothing to do")
        ledger.record(number, config, {"images_seen": 8, "fd": score + 9, "iw": -score, "status": "running"})
        ledger.record(number, config, {"images_seen": 16, "fd": score, "iw": -score, "status": "running"})
        if status != "running":
            ledger.finish(number, config, status)


def statuses(paths: StudyPaths) -> list[str]:
    return list(dict.fromkeys(standing_rows(paths)[1]["status"].to_pylist()))


def test_a_study_runs_as_long_as_a_process_holds_it_and_was_interrupted_after_that(home: Home, new_study: New) -> None:
    paths, spec = new_study()
    with only_driver(paths):
        tried((paths, spec), {5.0: "completed", 3.0: "running"})
        assert standing(home, "s").state == "running"
        assert (standing_rows(paths)[0], statuses(paths)) == (True, ["completed", "running"])
    assert standing(home, "s").state == "interrupted"
    assert (standing_rows(paths)[0], statuses(paths)) == (False, ["completed", "interrupted"])
    assert "interrupted" not in load(paths.evaluations)["status"].to_pylist()  # the files stay as they are


def test_a_study_is_completed_once_all_its_trials_are_through_or_no_more_are_wanted(home: Home, new_study: New) -> None:
    tried(new_study(trials=2), {5.0: "completed", 3.0: "failed"})
    assert (standing(home, "s").state, standing(home, "s").trials) == ("completed", "2 of 2")
    paths, _ = new_study(name="t", trials=None, hours=1.0)
    assert (standing(home, "t").state, standing(home, "t").trials) == ("interrupted", "0")
    close(paths, "the hour is over")
    assert standing(home, "t").state == "completed"


@pytest.mark.parametrize("metric", ["fd", "iw"])
def test_the_best_score_is_the_one_that_the_table_has_too(home: Home, new_study: New, metric: str) -> None:
    scores: dict[float, Status] = {5.0: "completed", 4.0: "stopped", 1.0: "diverged", 2.0: "failed", 3.0: "running"}
    paths, spec = new_study(trials=6, metric=metric)
    tried((paths, spec), scores)
    best = summary(load(paths.evaluations), spec).best
    assert best is not None and best.value == standing(home, "s").best == (3.0 if metric == "fd" else -3.0)


def test_images_that_are_left_untranslated_are_never_called_best(home: Home, new_study: New) -> None:
    paths, spec = new_study()
    spec = spec.model_copy(
        update={"space": "methods", "sources": ("rings",), "domains": ("rings",), "sampler": "random"}
    )
    write_spec(paths, spec)
    tried((paths, spec), {5.0: "completed", 6.0: "completed", 7.0: "completed", 1.0: "completed"})
    assert load(paths.evaluations).to_pylist()[-1]["method"] == "untranslated"
    assert standing(home, "s").best == 5.0


def test_a_study_that_was_cut_off_before_its_first_trial_has_no_score(home: Home, new_study: New) -> None:
    new_study()
    found = standing(home, "s")
    assert (found.state, found.trials, found.best, found.metric) == (
        "interrupted",
        "0 of 4",
        None,
        "FD (efficientnet_lite0)",
    )


def test_no_trials_file_is_read_for_it(home: Home, new_study: New) -> None:
    paths, spec = new_study()
    tried((paths, spec), {5.0: "completed"})
    for file in paths.evaluations.iterdir():
        file.write_bytes(b"no parquet")
    assert standing(home, "s").best == 5.0


def test_a_damaged_journal_is_named_with_the_way_to_mend_it(home: Home, new_study: New) -> None:
    paths, spec = new_study()
    tried((paths, spec), {5.0: "completed"})
    paths.journal.write_bytes(b"{\n" + paths.journal.read_bytes())
    with pytest.raises(UserError, match=r"optuna.journal is damaged \(.*\); mend it with: understock resume s"):
        standing(home, "s")


@pytest.mark.parametrize("written", ["{", "[]", "{}", "7"])
def test_a_damaged_closing_is_named(home: Home, new_study: New, written: str) -> None:
    paths, _ = new_study()
    paths.closing.write_text(written)
    with pytest.raises(UserError, match=r"closing.json is damaged \(.*\); the study is over") as refused:
        standing(home, "s")
    assert "\n" not in str(refused.value)
