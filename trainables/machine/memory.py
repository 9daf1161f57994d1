"""The limit on the memory that a trial's process may take, checked while it trains."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from spaces.errors import UserError

_EVERY_SECONDS = 0.2
"""Seconds between two looks at the process's memory."""


class MemoryLimit:
    """A limit of `limit` bytes on this process's resident memory: `check` raises UserError once it was over that.

    A thread looks, so that a peak inside an evaluation is seen too; it can't interrupt the computation, so call `check`
    between iterations.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._peak, self._process = limit, 0, psutil.Process()

    @contextmanager
    def watched(self) -> Iterator["MemoryLimit"]:
        """Watch the memory for the length of the block, in a thread."""
        done = threading.Event()
        thread = threading.Thread(target=self._watch, args=(done,), daemon=True, name="memory-limit")
        thread.start()
        try:
            yield self
        finally:
            done.set()
            thread.join()

    def _watch(self, done: threading.Event) -> None:
        self._look()
        while not done.wait(_EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        self._peak = max(self._peak, self._process.memory_info().rss)

    def check(self) -> None:
        """Raise UserError if the process has been over the limit at any look so far."""
        if self._peak > self._limit:
            raise UserError(
                f"over its memory limit: the trial's process had {self._peak / 2**30:.2f} GiB, and --memory-per-trial allows "
                f"{self._limit / 2**30:.2f}; a smaller batch or network takes less"
            )
