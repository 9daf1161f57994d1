"""The rows of one table, which benchmarks give, and the contenders behind them, which take turns in one process."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One piece of work, ours against each peer's: medians, in seconds unless `unit` says otherwise."""

    work: str
    """What is done, in words."""
    ours: float
    peers: Mapping[str, float] = field(default_factory=dict)
    """What each peer takes for the same work, by its name."""
    floor: float | None = None
    """The least that this machine could do it in; each benchmark's docstring says how it is found."""
    unit: str = "s"
    wanted: str = ""
    """The goal that we set ourselves, in words."""
    remark: str = ""

    def cells(self) -> list[str]:
        """Write the row as text: work, ours, each peer with its ratio to ours, floor, wanted, remark."""
        peers = "\n".join(f"{name} {_short(value)} ({value / self.ours:.2f}x)" for name, value in self.peers.items())
        floor = "" if self.floor is None else f"{_short(self.floor)} {self.unit}"
        return [self.work, f"{_short(self.ours)} {self.unit}", peers, floor, self.wanted, self.remark]


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, repeats: int = 5, warm_up: int = 1
) -> dict[str, float]:
    """Time contenders, which are functions by name, in turns; give the median seconds of each.

    There are `repeats` rounds, in which each has one turn, after `warm_up` rounds that do not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warm_up + repeats):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def agree(values: Mapping[str, float], relative: float) -> None:
    """Raise AssertionError unless all contenders' values are the same, up to a relative difference."""
    first, *others = values.values()
    for other in others:
        np.testing.assert_allclose(other, first, rtol=relative, err_msg=str(dict(values)))


def show(rows: Iterable[Row]) -> None:
    """Print the rows as a table, each as soon as it is there; in plain Markdown where it goes to a file."""
    headings = ["work", "ours", "peers (their time over ours)", "floor", "wanted", "remark"]
    console = Console()
    if console.is_terminal:
        table = Table(*headings, box=box.SIMPLE)
        with Live(table, console=console, auto_refresh=False) as live:
            for row in rows:
                table.add_row(*row.cells())
                live.refresh()
        return
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(cell.replace(chr(10), '<br>') for cell in row.cells())} |", flush=True)


def _short(value: float) -> str:
    """Write a number with three digits, or all of its whole ones."""
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
