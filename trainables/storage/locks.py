"""Locks between the processes of this machine, or of those that mount a folder: each goes with the process that holds it."""

import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_QUIET_SECONDS = 5.0
"""How long a process waits for another one without a word."""


def lock_within(file: IO[Any], seconds: float) -> bool:
    """Lock an open file for this process alone; False if others have it locked for so many seconds."""
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)


@contextmanager
def locked(path: Path, doing: str) -> Iterator[None]:
    """Let one process of this machine at a time into a block for the same file `path`, which is made if missing.

    The others wait, and say on stderr after 5 seconds that it is for one that is `doing` something.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        if not lock_within(lock, _QUIET_SECONDS):
            print(f"waiting for another understock that is {doing}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
