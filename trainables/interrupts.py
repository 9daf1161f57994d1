"""Ctrl-C while something is done that it must not cut off.

Optuna's journal can't bear an interrupt while it gives its lock back. And while Ray starts processes, Python drops what a
signal handler raises inside the hooks of a fork (those of `logging` and `random`, say), with a mere "Exception ignored in".
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """Ctrl-C or SIGTERM in the block raises KeyboardInterrupt at its end, in place of any error; a second one where it comes.

    Outside the main thread, which alone gets signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def keep(number: int, frame: Any) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, keep) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except Exception:
        if not came:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt
