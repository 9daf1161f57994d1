"""Locks between the processes of a machine."""

import fcntl
from pathlib import Path
from threading import Timer

import pytest

from trainables.storage import locks
from trainables.storage.locks import locked


@pytest.mark.parametrize(("held_seconds", "said"), [(0.1, ""), (1.0, "waiting for another understock that is busy\n")])
def test_who_waits_for_long_says_for_what(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    held_seconds: float,
    said: str,
) -> None:
    monkeypatch.setattr(locks, "_QUIET_SECONDS", 0.5)
    with (tmp_path / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        Timer(held_seconds, other.close).start()
        with locked(tmp_path / "lock", "busy"):
            assert other.closed
    assert capsys.readouterr().err == said
