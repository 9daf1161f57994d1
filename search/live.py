"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.study import StudySpec
from spaces.config import SCRATCH, TrialConfig

_SHOWN = 12


class View:
    """Told of every event of a search; keeps what is worth seeing and shows it."""

    def __init__(self, spec: StudySpec, already_done: int, console: Console | None = None) -> None:
        self._spec, self._console = spec, console or Console()
        self._done, self._done_before = already_done, already_done
        self._start = time.monotonic()
        self._trials: dict[int, dict[str, Any]] = {}
        self._best: tuple[float, str] | None = None
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=2, transient=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def started(self, number: int, config: TrialConfig) -> None:
        """A trial was handed to Tune."""
        self._trials[number] = {"what": _what(config), "status": "running", "images": 0, "value": None}
        self._say(
            f"trial {number}: started, {_what(config)}, lr_g {config.optim.lr_g:.1e}, lr_d {config.optim.lr_d:.1e}"
        )

    def evaluated(self, number: int, row: Mapping[str, Any]) -> None:
        """A trial reported an evaluation."""
        trial, value = self._trials[number], row.get(self._spec.metric)
        if row.get("images_seen") is None or value is None:
            return
        trial |= {"images": row["images_seen"], "value": value}
        sign = 1 if self._spec.direction == "minimize" else -1
        if self._best is None or sign * value < sign * self._best[0]:
            self._best = (value, f"trial {number}, {trial['what']}, {row['images_seen']:,} images")
        self._say(f"trial {number}: {row['images_seen']:,} images, {self._spec.metric} {value:.4g}")

    def ended(self, number: int, status: str, error: str | None) -> None:
        """A trial is through, for whatever reason."""
        self._trials[number]["status"] = status
        self._done += 1
        self._say(
            f"trial {number}: {status}{f', {error}' if error else ''} ({self._done}/{self._spec.trials} trials, {self._left()})"
        )

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _left(self) -> str:
        """Time left, from the trials of this run; a guess, as early stopping makes them unequal."""
        through = self._done - self._done_before
        if not through:
            return "time left not known yet"
        seconds = (time.monotonic() - self._start) / through * (self._spec.trials - self._done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def _render(self) -> Group:
        spec = self._spec
        table = Table(box=None, pad_edge=False)
        for heading in ("trial", "what", "images seen", f"{spec.metric} ({spec.direction})", "status"):
            table.add_column(heading)
        for number, trial in list(self._trials.items())[-_SHOWN:]:
            value = "" if trial["value"] is None else f"{trial['value']:.4g}"
            progress = f"{trial['images']:,} / {spec.base.budget.images:,}"
            table.add_row(str(number), Text(trial["what"]), progress, value, trial["status"])
        best = f"best so far: {spec.metric} {self._best[0]:.4g}, {self._best[1]}" if self._best else "no evaluation yet"
        bar = ProgressBar(total=spec.trials, completed=self._done, width=40)
        header = Text(f"study {spec.name}: {self._done} of {spec.trials} trials, {self._left()}")
        return Group(header, bar, table, Text(best))


def _what(config: TrialConfig) -> str:
    return SCRATCH if config.source == SCRATCH else f"{config.source} ({config.transfer.parts})"
