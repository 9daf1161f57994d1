"""What every benchmark gives: rows of one table, from contenders that take turns in one process."""

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
    """One piece of work: ours against each peer. Medians; seconds unless `unit` says otherwise."""

    work: str
    ours: float
    peers: Mapping[str, float] = field(default_factory=dict)
    floor: float | None = None
    """What the machine could do it in, and no less; how it is found stands beside each benchmark."""
    unit: str = "s"
    wanted: str = ""
    """The target, in words."""
    remark: str = ""

    def cells(self) -> list[str]:
        """The row as text: work, ours, each peer with its ratio to ours, floor, wanted, remark."""
        peers = "\n".join(f"{name} {_short(value)} ({value / self.ours:.2f}x)" for name, value in self.peers.items())
        floor = "" if self.floor is None else f"{_short(self.floor)} {self.unit}"
        return [self.work, f"{_short(self.ours)} {self.unit}", peers, floor, self.wanted, self.remark]


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, repeats: int = 5, warm_up: int = 1
) -> dict[str, float]:
    """Median seconds of each contender over `repeats` rounds in which each has one turn, after `warm_up` rounds unheeded."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warm_up + repeats):
        for name, work in contenders.items():
            start = time.perf_counter()
            work()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def agree(values: Mapping[str, float], relative: float) -> None:
    """Refuse to compare contenders that do not compute the same."""
    first, *others = values.values()
    for other in others:
        np.testing.assert_allclose(other, first, rtol=relative, err_msg=str(dict(values)))


def show(rows: Iterable[Row]) -> None:
    """Print the table, each row as soon as it is there; plain Markdown where it goes to a file."""
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
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
