"""Progress of long work: a bar with the time left on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_EVERY_SECONDS = 10.0


@contextmanager
def progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Gives `report(done, total)`, to be called as often as one likes."""
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
    start = said = time.monotonic()
    first: tuple[float, int] | None = (
        None  # speed counts from here: a resumed training has much done at its first report
    )

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
