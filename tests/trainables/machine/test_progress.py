import itertools

import pytest

import trainables.machine.progress as under_test
from trainables.machine.progress import progress


def test_time_left_goes_by_the_speed_since_the_first_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = itertools.count(0.0, 10.0)
    monkeypatch.setattr(under_test.time, "monotonic", lambda: next(now))
    with progress("training dogs", "iterations") as report:
        for done in (900, 910, 920):
            report(done, 1000)
    assert capsys.readouterr().err.splitlines()[-1].endswith("920 of 1,000 iterations, about 80 s left")


def test_off_a_terminal_progress_is_plain_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(under_test, "_LINE_EVERY_SECONDS", 0.0)
    with progress("importing cats", "images") as report:
        report(5, 10)
        report(6, 10)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "importing cats: 5 of 10 images"
    assert second.startswith("importing cats: 6 of 10 images, about")
