import pytest

import trainables.progress as under_test
from trainables.progress import progress, watch


def test_watching_counts_each_item_once_the_next_is_asked_for() -> None:
    seen: list[tuple[int, int]] = []
    assert list(watch("abc", lambda done, total: seen.append((done, total)), total=10, already=4)) == ["a", "b", "c"]
    assert seen == [(4, 10), (5, 10), (6, 10)]


def test_off_a_terminal_progress_is_plain_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(under_test, "_LINE_EVERY_SECONDS", 0.0)
    with progress("importing cats", "images") as report:
        report(5, 10)
    assert capsys.readouterr().err.startswith("importing cats: 5 of 10 images, about")
