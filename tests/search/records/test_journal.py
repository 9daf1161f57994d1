from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import search
from search.records.journal import STATES, Journal
from search.records.results import Status


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "optuna.journal", "s", ["minimize"])


def reopened(journal: Journal) -> Journal:
    """The journal as a new process finds it."""
    return Journal(journal._path, "s", ["minimize"])


def test_planned_trials_are_asked_for_first_and_planned_once(journal: Journal) -> None:
    assert not journal.planned
    journal.plan([{"x": 1}, {"x": 3}], of=4)
    assert reopened(journal).planned == 4
    assert [journal.ask().suggest_int("x", 0, 5) for _ in range(2)] == [1, 3]
    assert len(journal.trials()) == 2


def test_a_trial_that_is_reopened_suggests_what_it_suggested_before(journal: Journal) -> None:
    drawn = [journal.ask().suggest_float("x", 0, 1) for _ in range(3)]
    again = reopened(journal)
    assert [again.reopen(number).suggest_float("x", 0, 1) for number in (2, 0, 1)] == [drawn[2], drawn[0], drawn[1]]
    assert [trial.number for trial in again.trials(TrialState.RUNNING)] == [0, 1, 2]


def test_scores_are_noted_once_and_only_where_they_are_finite(journal: Journal) -> None:
    number = journal.ask().number
    journal.score(number, {8: 3.0, 16: None, 24: float("nan"), 32: float("inf")})
    journal.score(number, {8: 9.0, 40: 2.0})
    assert reopened(journal).trials()[0].intermediate_values == {8: 3.0, 40: 2.0}


@pytest.mark.parametrize("status", STATES)
def test_an_end_is_noted_with_its_reason_and_only_a_spent_budget_has_a_value(journal: Journal, status: Status) -> None:
    number = journal.ask().number
    journal.score(number, {8: 3.0} if status != "failed" else {})
    journal.retry(number, 2)
    journal.end(number, status, [5.0], "why")
    (trial,) = reopened(journal).trials()
    assert trial.state is STATES[status]
    assert trial.user_attrs == {"retries": 2, "status": status, "error": "why"}
    if status in ("completed", "failed"):
        assert trial.value == {"completed": 5.0, "failed": None}[status]


def test_a_trial_ends_once(journal: Journal) -> None:
    number = journal.ask().number
    journal.end(number, "completed", [5.0], None)
    with pytest.raises((ValueError, optuna.exceptions.UpdateFinishedTrialError)):
        journal.end(number, "failed", [None], None)
    assert reopened(journal).trials()[0].user_attrs == {"status": "completed"}


def test_nobody_else_knows_how_optuna_keeps_its_file() -> None:
    folder = Path(search.__file__).parent
    private = ("_trial_id", "JournalStorage", "get_trial_id_from")
    found = {path.name for path in folder.rglob("*.py") if any(word in path.read_text() for word in private)}
    assert found == {"journal.py", "dashboard.py"}
