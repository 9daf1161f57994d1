"""What a live search has in hand after some seconds."""

import math

import pytest

from benchmarks.live_search import in_hand

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
