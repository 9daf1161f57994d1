"""A search whose home on an object store is out of reach for longer than anybody waits: it ends, and loses nothing."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console
from s3_proxy import Proxy, always

from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from search.running.live import View
from search.running.run import Run
from search.running.tune import run_study
from spaces.errors import UserError
from trainables.storage import store
from trainables.storage.home import Home
from trainables.storage.store import UnreachableError

pytestmark = pytest.mark.s3

New = Callable[..., tuple[StudyPaths, StudySpec]]


@pytest.fixture
def home(machine: Callable[[str], Home], s3_trouble: Proxy) -> Home:
    return machine("a")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PATIENCE_SECONDS", 1.0)


@pytest.mark.parametrize("at", ["an evaluation", "the end of a trial"])
def test_a_store_out_of_reach_halts_the_run_and_the_trial_is_taken_up_again(
    home: Home, new_study: New, s3_trouble: Proxy, at: str
) -> None:
    paths, spec = new_study(trials=1)
    run = Run(home, Ledger(paths, spec), View(spec, {}, Console(file=io.StringIO())))
    run.start("a")
    row = {"images_seen": 8, "fd": 3.0, "status": "running"}
    assert run.note("a", row)
    s3_trouble.trouble = always(503, "PUT")
    if at == "an evaluation":
        assert not run.note("a", row | {"images_seen": 16})
    else:
        run.end("a", row | {"status": "completed"})
    assert isinstance(run.halted, UnreachableError), f"{run.halted=}"
    s3_trouble.trouble = lambda method, path: None

    ledger = Ledger(paths, spec)
    assert [(row["images_seen"], row["fd"]) for row in load(paths.evaluations).to_pylist()] == [(8, 3.0)]
    again = ledger.ask() or pytest.fail("the trial is not taken up again")
    assert (again[0], len(ledger.rows(0))) == (0, 1)


def test_a_search_whose_store_is_out_of_reach_ends_in_a_line_that_says_how_to_go_on(
    home: Home, new_study: New, s3_trouble: Proxy
) -> None:
    paths, spec = new_study(trials=1)
    s3_trouble.trouble = always(503, "PUT")
    said = r"study 's' stopped: home s3://\S+: trouble .*; once it answers, go on with: understock resume s$"
    with pytest.raises(UserError, match=said):
        run_study(home, paths, spec)
