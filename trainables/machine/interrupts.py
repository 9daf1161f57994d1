"""Ctrl-C and SIGTERM are held back while something is done that they must not cut off.

There are two such things. Optuna's journal can't bear an interrupt while it gives its lock back. And while Ray starts
processes, Python drops what a signal handler raises inside the hooks of a fork (those of `logging` and `random`, say),
with a mere "Exception ignored in".
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def handling_interrupts(handle: Callable[[int, Any], None]) -> Iterator[Mapping[int, Any]]:
    """Let Ctrl-C or SIGTERM in the block call `handle` with the signal's number and frame.

    The block gets the handlers of before, by signal number; they are put back at its end. Outside the main thread,
    which alone gets signals, nothing is done and the block gets an empty mapping.
    """
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before: dict[int, Any] = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def kept_interrupts() -> Iterator[None]:
    """Let Ctrl-C or SIGTERM in the block take effect at its end, before any error that the block raised.

    What it does then is up to the handler of before: it raises KeyboardInterrupt, unless the program has a handler of
    its own. A second signal does not wait, and raises KeyboardInterrupt where it comes.
    """
    came: list[int] = []
    failed: Exception | None = None

    def keep(number: int, frame: Any) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    with handling_interrupts(keep) as before:
        try:
            yield
        except Exception as error:
            failed = error
    if came:
        if not callable(handler := before[came[0]]):
            raise KeyboardInterrupt
        handler(came[0], None)
    if failed:
        raise failed
