"""The progress of long work: shown as a bar with the time left on a terminal, as plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_SECONDS = 10.0
"""Seconds between two plain lines, at least; work that is through sooner prints none."""


@contextmanager
def progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how far the work in the block is: it gets `report(done, total)`, to call as often as it likes.

    `what` says what is done ("importing cats"), `unit` what is counted ("images").
    """
    console = Console(file=sys.stderr)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _plain_lines(what, unit)


def _plain_lines(what: str, unit: str) -> Callable[[int, int], None]:
    """Make a `report(done, total)` that prints a line now and then, with the time left at the speed so far."""
    start = said = time.monotonic()
    # speed counts from the first report: a resumed training has much done by then
    first: tuple[float, int] | None = None

    def report(done: int, total: int) -> None:
        nonlocal said, first
        now = time.monotonic()
        first = first or (now, done)
        if now - said >= _LINE_EVERY_SECONDS or (done == total and now - start >= _LINE_EVERY_SECONDS):
            said = now
            new = done - first[1]
            left = f", about {(now - first[0]) / new * (total - done):.0f} s left" if new else ""
            print(f"{what}: {done:,} of {total:,} {unit}{left}", file=sys.stderr, flush=True)

    return report
