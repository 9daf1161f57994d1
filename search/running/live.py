"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.fronts import Member, front_of, labelled
from search.picking.arms import Arm
from search.records.journal import is_score
from search.records.results import NO_SCORE, score_of
from search.records.study import StudySpec, rung_images
from spaces.config import TrialConfig
from spaces.protocol import GOALS

_SHOWN = 12
"""How many trials, the latest ones, the table on a terminal has room for."""


class View:
    """The view is told of every event of a search, keeps what is worth seeing, and shows it."""

    def __init__(
        self,
        spec: StudySpec,
        earlier: Mapping[int, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
        console: Console | None = None,
    ) -> None:
        """Begin with `earlier`, the evaluations of trials that an earlier run finished."""
        self._spec, self._console = spec, console or Console()
        self._done = self._done_before = len(earlier)
        self._start = time.monotonic()
        self._trials: dict[int, dict[str, Any]] = {}
        self._failures: list[str] = []
        self._bests: dict[int, tuple[float, str]] = {}
        """The best score of each trial that makes images, and where it was; of none that has no score in the end."""
        self._complete: list[Member] = []
        """Trials that spent their budget and make images, of a search for a front."""
        self.spent: str | None = None
        """How much is spent of what the search may cost, if there is such a limit."""
        self._ahead = ""
        for number, rows in earlier.items():
            for row in rows:
                if row["status"] not in NO_SCORE:
                    self._compare(number, Arm.of_row(row), row)
                if row["status"] == "completed" and row is rows[-1]:
                    self._enter(number, Arm.of_row(row), _values(spec, row))
        self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=2, transient=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def started(self, number: int, config: TrialConfig, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Show that a trial was handed to Tune; `rows` are its evaluations of an earlier run."""
        arm = Arm.of(config)
        self._trials[number] = {"what": arm, "status": "running", "images": 0, "values": {}}
        for row in rows:
            if self._compare(number, arm, row):
                self._trials[number] |= {"images": row["images_seen"], "values": _values(self._spec, row)}
        images = self._trials[number]["images"]
        how = f"goes on at {images:,} images" if images else "started"
        rates = f", lr_g {config.rates[0]:.1e}, lr_d {config.rates[1]:.1e}" if config.rates else ""
        self._say(f"trial {number}: {how}, {arm}{rates}")

    def evaluated(self, number: int, row: Mapping[str, Any]) -> None:
        """Show an evaluation that a trial reported."""
        trial = self._trials[number]
        if row.get("note"):
            self._say(f"trial {number}: {row['note']}")
        if self._compare(number, trial["what"], row):
            trial |= {"images": row["images_seen"], "values": _values(self._spec, row), "status": "running"}
            scores = ", ".join(f"{name} {value:.4g}" for name, value in trial["values"].items())
            self._say(f"trial {number}: {row['images_seen']:,} images, {scores}")

    def _compare(self, number: int, arm: Arm, row: Mapping[str, Any]) -> bool:
        """Keep the trial's best score, if it makes images; False if the row has none."""
        value = row.get(self._spec.metric)
        if not is_score(value):
            return False
        if arm.makes_images:
            here = (value, f"trial {number}, {arm}, {row['images_seen']:,} images")
            self._bests[number] = min(self._bests.get(number, here), here, key=self._cost)
        return True

    def _cost(self, found: tuple[float, str]) -> float:
        return found[0] if self._spec.direction == "minimize" else -found[0]

    @property
    def _best(self) -> tuple[float, str] | None:
        return min(self._bests.values(), key=self._cost, default=None)

    def _enter(self, number: int, arm: Arm, values: Mapping[str, float]) -> None:
        """Count a trial that spent its budget among those that a front may have, if it makes images."""
        if self._spec.front and len(values) == len(self._spec.goals) and arm.makes_images:
            self._complete.append(Member(number, str(arm), values))

    def _leading(self) -> str:
        """The best so far, or the front."""
        if not self._spec.front:
            best = self._best
            return f"best so far: {self._spec.metric} {best[0]:.4g}, {best[1]}" if best else "no evaluation yet"
        front = front_of(self._complete, self._spec.goals)
        goals = labelled(self._spec.goals, self._spec.base.protocol.extractor)
        members = "; ".join(each.said(goals) for each in front)
        return f"front so far, of {len(self._complete)} to the end: {members}" if front else "no trial to its end yet"

    def lost(self, number: int, times: int, limit: int, reason: str) -> None:
        """Show that a trial's process was lost, `times` in a row without an evaluation in between; it is taken up again."""
        self._trials[number]["status"] = f"lost, retry {times} of {limit}"
        self._say(
            f"trial {number}: its process was lost ({reason}); it goes on from its last evaluation (retry {times} of {limit})"
        )

    def set_aside(self, number: int, error: str) -> None:
        """Show that a trial came to nothing, and that it depends on the others whether it has failed."""
        self._trials[number]["status"] = "set aside"
        self._say(f"trial {number}: {error}; set aside until another trial reports something")

    def ended(self, number: int, status: str, error: str | None) -> None:
        """Show that a trial is through, and why."""
        self._trials[number]["status"] = status
        self._done += 1
        if status in NO_SCORE:
            self._bests.pop(number, None)
        if status == "completed":
            self._enter(number, self._trials[number]["what"], self._trials[number]["values"])
        reason = f", {error}" if error else ""
        if error:
            self._failures.append(f"trial {number} {status}: {error}")
        self._say(f"trial {number}: {status}{reason} ({self._spec.of_trials(self._done)}, {self._left()})")
        if self._spec.front and status == "completed":
            self._say(self._leading())

    def ahead(self, what: str) -> None:
        """Show what more trials would gain."""
        self._ahead = what
        self._say(what)

    def _say(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _left(self) -> str:
        """Guess the time left from the trials of this run, which early stopping makes unequal; or say what is spent."""
        if self.spent:
            return self.spent
        if self._spec.trials is None:
            return "until another hour gains too little"
        through = self._done - self._done_before
        if not through:
            return "time left not known yet"
        seconds = (time.monotonic() - self._start) / through * (self._spec.trials - self._done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def _render(self) -> Group:
        spec = self._spec
        table = Table(box=None, pad_edge=False)
        goals = (f"{name} ({GOALS[name].direction})" for name in spec.goals)
        for heading in ("trial", "what", "images seen", "rung", *goals, "status"):
            table.add_column(heading, overflow="fold", no_wrap=heading in ("images seen", "rung"))
        for number, trial in list(self._trials.items())[-self._room() :]:
            values = [f"{trial['values'][name]:.4g}" if name in trial["values"] else "" for name in spec.goals]
            progress = f"{trial['images']:,} / {spec.base.budget.images:,}"
            table.add_row(
                str(number), Text(str(trial["what"])), progress, self._rung(trial["images"]), *values, trial["status"]
            )
        bar = Table.grid()  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=spec.trials, completed=self._done, width=40))
        header = Text(f"study {spec.name}: {spec.of_trials(self._done)}, {self._left()}")
        ahead = [Text(self._ahead)] if self._ahead else []
        return Group(
            header,
            bar,
            table,
            Text(self._leading()),
            *ahead,
            *(Text(failure, style="red") for failure in self._failures[-3:]),
        )

    def _room(self) -> int:
        """How many trials the terminal has lines for; on a narrow one a trial takes several."""
        lines = 1 if self._console.width >= 100 else 2 if self._console.width >= 80 else 3
        return max(1, min(_SHOWN, (self._console.height - 8) // lines))

    def _rung(self, images: int) -> str:
        """How many of ASHA's rungs, where it decides who goes on, a trial has reached."""
        if not self._spec.early_stopping:
            return "-"
        rungs = rung_images(self._spec)
        return f"{sum(images >= rung for rung in rungs)} of {len(rungs)}"


def _values(spec: StudySpec, row: Mapping[str, Any]) -> dict[str, float]:
    """What a row has of each goal, as far as those are numbers."""
    found = {name: score_of(row, name) for name in spec.goals}
    return {name: value for name, value in found.items() if is_score(value)}
