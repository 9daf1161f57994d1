"""What a live search has in hand after some seconds."""

import math
from types import SimpleNamespace

import pytest

from benchmarks.search_efficiency import live_search
from benchmarks.search_efficiency.live_search import in_hand
from spaces.presets import small
from trainables.storage.home import Home
from trainables.training.loop import Evaluation

ROWS = [
    {"status": status, "seconds": seconds, "fd": fd}
    for status, seconds, fd in (
        ("completed", "10.0", "900"),
        ("stopped", "15.0", "100"),
        ("completed", "30.0", "500"),
        ("over", "41.0", "200"),
    )
]


@pytest.mark.parametrize(
    ("seconds", "best"), [(9.9, math.inf), (10.0, 900.0), (29.0, 900.0), (30.0, 500.0), (50.0, 500.0)]
)
def test_in_hand_is_what_came_through_in_time(seconds: float, best: float) -> None:
    assert in_hand(ROWS, seconds) == best


def test_a_trial_that_diverged_has_a_row_without_a_score(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    config = small("dogs", 32)
    asked = iter([(0, config)])
    ledger = SimpleNamespace(ask=lambda: next(asked, None), finish=lambda *_: None)
    ended = Evaluation("diverged", 768, 12, 1.0, 1.0)
    for name, made in {
        "_spec": None,
        "begin": None,
        "open_study": (None, None),
        "_tell": None,
        "Ledger": ledger,
        "scheduler_of": None,
        "_trained": (ended, "diverged"),
    }.items():
        monkeypatch.setattr(live_search, name, lambda *_, made=made: made)
    (row,) = live_search.searched(home, "dogs", "random search", 0, 0.0)
    assert row[-4:-2] == ("diverged", 768) and row[-1] == ""
    assert in_hand([dict(zip(live_search.COLUMNS, map(str, row), strict=True))], math.inf) == math.inf
