"""What several sections of the report share: the rows of each study, what is computed from them, and what to run next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any

import pandas as pd

from analysis import tables
from analysis.commands import longer, short_command
from analysis.drawn import counts, equally_drawn
from analysis.figures.style import Style, styles
from analysis.findings.gains import Gain, gain_of_training, gains
from analysis.findings.matrix import Before, before
from analysis.findings.spending import device_hours
from analysis.findings.trends import Trend, trends
from analysis.page import Block, Section, Sheet, listed, sheet, text
from analysis.tables import WAY
from analysis.words import used
from search.fronts import labelled
from search.records.results import config_of
from search.records.standing import UNFINISHED, State, standing_rows, state_of
from search.records.study import StudyPaths, StudySpec
from spaces.config import TrialConfig
from spaces.counts import plural
from spaces.protocol import Metric
from spaces.trials import CONFIGS, DEFAULT_METHOD, takes_models, translates
from trainables.storage.home import Home

MOST_ROWS = 500
"""How many rows a table behind a figure has at most; more would make the page slow."""


@dataclass(frozen=True)
class StudyData:
    """One study: its rows, and what is computed from them once."""

    home: Home
    paths: StudyPaths
    spec: StudySpec
    rows: pd.DataFrame
    """The evaluations as `tables.evaluations` gives them, with `hours`, the device-hours of training and
    evaluation."""
    running: bool
    """Whether a process works on the study, as of when the rows were read."""
    looks: dict[str, Style]
    """How each source is drawn, in the figures of all studies of a report."""

    @classmethod
    def of(cls, home: Home, studies: Sequence[tuple[StudyPaths, StudySpec]]) -> list["StudyData"]:
        """Read the studies of a report, in whatever state they are."""
        found = []
        for paths, spec in studies:
            running, table = standing_rows(paths)
            rows = tables.evaluations(table)
            found.append((paths, spec, rows.assign(hours=rows["seconds"] * device_hours(spec)[1]), running))
        looks = styles(name for _, spec, rows, _ in found for name in (*spec.sources, *rows["source"].unique()))
        return [cls(home, *each, looks) for each in found]

    @cached_property
    def trials(self) -> pd.DataFrame:
        return tables.trials_of(self.rows, self.spec)

    @cached_property
    def settings(self) -> list[str]:
        return tables.settings(self.rows)

    @cached_property
    def answer(self) -> tables.Answer:
        return tables.summary_of(self.rows, self.spec)

    @cached_property
    def metric(self) -> Metric:
        return tables.metric_of(self.spec.metric, self.spec)

    @cached_property
    def metrics(self) -> list[Metric]:
        return [tables.metric_of(name, self.spec) for name in self.spec.base.protocol.metrics]

    @cached_property
    def goals(self) -> list[Metric]:
        """All that the search goes by; of a front more than one."""
        return labelled(self.spec.goals, self.spec.base.protocol.extractor)

    @cached_property
    def ranked(self) -> pd.DataFrame:
        return tables.ranking(self.trials, self.metric)

    @cached_property
    def gains(self) -> list[Gain]:
        return gains(self.rows, self.metric)

    @cached_property
    def gain_of_training(self) -> Gain | None:
        return gain_of_training(self.rows, self.metric, self.spec.ranking)

    @cached_property
    def trends(self) -> list[Trend]:
        return trends(self.rows, self.metric)

    @cached_property
    def before(self) -> Before:
        return before(self.paths.ranking, self.spec)

    @cached_property
    def hovers(self) -> dict[int, str]:
        """What a figure shows when a trial is pointed at, by the trial's number; escaped."""
        return {int(row["trial"]): self._hover(row) for row in self.trials.to_dict("records")}

    def _hover(self, row: dict[str, object]) -> str:
        lines = [f"trial {row['trial']}: {row['source']}, {used(str(row[WAY]))}, {row['status']}"]
        lines += [f"{name} {text(row[name])}" for name in self.settings if not pd.isna(row[name])]
        return "<br>".join(map(escape, lines))

    @property
    def is_all_finetuning(self) -> bool:
        """Whether no trial is of another method."""
        return bool((self.rows["method"] == DEFAULT_METHOD).all())

    @property
    def has_untrained(self) -> bool:
        """Whether a trial trained nothing: a source as it is."""
        return bool(tables.trained_nothing(self.rows).any())

    @property
    def is_unequally_drawn(self) -> bool:
        """Whether scores are of unequally many drawn images, at rungs and at trials' ends, and by a metric that depends on it."""
        measured = self.rows[self.rows[self.metric.name].notna()]
        return len(equally_drawn(measured, self.metric)) > 1

    @property
    def drawn(self) -> str:
        """That scores at rungs are of fewer drawn images than at trials' ends, and what that does; "" where they are not."""
        measured = self.rows[self.rows[self.metric.name].notna()]
        known = sorted(int(count) for count in counts(measured).unique() if count)
        if len(known) < 2:
            return ""
        said = f"At a trial's end {self.metric.label} is of {text(known[-1])} drawn images, at rungs of {listed(known[:-1])}"
        if self.metric.by_count:
            return f"{said}, by which it comes out worse."
        if self.metric.is_ratio:
            return (
                f"{said}, carried on to as many: that is 1 to 3 % too high in the mean, and more for single ones, so a fall by "
                "as much from a rung to the end need not be training."
            )
        return f"{said}, by which it is the same in the mean, and noisier."

    @property
    def names(self) -> dict[str, str]:
        """What columns are called in tables, where it is not by their own name."""
        way = {WAY: "parts" if self.is_all_finetuning else "way"}
        return way | {"images_seen": "images seen", "seconds": "seconds, evaluation included"}

    @property
    def unit(self) -> str:
        """What the cost of the study is counted in, "core-hours" or "GPU-hours"."""
        return device_hours(self.spec)[0]

    @property
    def hours_a_second(self) -> float:
        """Device-hours that a trial's second costs."""
        return device_hours(self.spec)[1]

    @property
    def hours(self) -> float:
        """Device-hours that all trials took, evaluation included."""
        return float(self.rows.groupby("trial")["seconds"].max().sum()) * self.hours_a_second

    @property
    def measured_by(self) -> str:
        """The protocol as JSON: equal for studies whose scores compare on one target."""
        return self.spec.base.protocol.model_dump_json()

    def config(self, trial: int) -> TrialConfig:
        """A trial's whole config, out of its row."""
        return config_of(tables.as_configured(self.rows[self.rows["trial"] == trial]).iloc[-1])

    def translates(self, trial: int) -> bool:
        """Whether a trial makes its images from those of a source domain."""
        method = self.row(trial)["method"]
        return method in CONFIGS and translates(method)

    def has_start(self, trial: int) -> bool:
        """Whether there is something that a trial's samples began as: images that it translates, or a source model's samples."""
        method = self.row(trial)["method"]
        return method not in CONFIGS or translates(method) or takes_models(method)

    def row(self, trial: int) -> "pd.Series[Any]":
        """A trial's last evaluation."""
        return self.rows[self.rows["trial"] == trial].iloc[-1]

    def whole_or_head(self, caption: str, frame: pd.DataFrame, names: dict[str, str]) -> Sheet:
        """The frame as a folded table, or its first 500 rows and the command that gives all."""
        if len(frame) > MOST_ROWS:
            all_of_them = f"understock report {self.spec.name} --format csv"
            caption += f" (the first {text(MOST_ROWS)} of {text(len(frame))}; all: {all_of_them})"
        return sheet(caption, frame.head(MOST_ROWS), names)

    @property
    def pixels(self) -> int | None:
        """Pixels along a side of the trials' images; None where they are all of translators, whose networks take any."""
        known = self.rows["network/resolution"].dropna()
        return None if known.empty else int(known.iloc[0])

    @property
    def through(self) -> int:
        """How many trials are."""
        return int((~self.trials["status"].isin(UNFINISHED)).sum())

    @cached_property
    def state(self) -> State:
        """Whether the study runs, was interrupted or is through."""
        return state_of(self.paths, self.spec, self.through, running=self.running)

    @property
    def standing(self) -> str:
        """That there is more to come, and how, in a sentence; nothing of a study that is through."""
        if self.state == "completed":
            return ""
        through = self.spec.through(self.through)
        if self.state == "running":
            return f"The search still runs: {through}."
        return f"The search was interrupted: {through}; go on with `understock resume {self.spec.name}`."

    @property
    def cure(self) -> str:
        """What gives more data: to wait for what runs, to resume what was interrupted, else to search for longer."""
        if self.state == "running":
            return "the search still runs"
        return f"run `{f'understock resume {self.spec.name}' if self.state == 'interrupted' else longer(self.spec)}`"

    def instead(self, why: str, name: str, **fields: object) -> str:
        """The words "WHY, run COMMAND", with a command for this study's target that differs in some fields."""
        spec = self.spec.model_copy(update=fields)
        return f"{why}, run `{short_command(spec, name=f'{spec.target[:60]}-{name}')}`"

    @property
    def grid(self) -> str:
        """The command that fills sources, networks and seeds alike; without a source model, what gives more data."""
        if not self.spec.sources:
            return self.cure
        fields = {"space": "source_by_parts", "sampler": "grid", "early_stopping": False, "domains": ()}
        return self.instead("for every source and choice of networks with two seeds", "source-by-parts", **fields)

    @property
    def clock(self) -> str:
        """What seconds and hours are of."""
        said = "Seconds and hours are of training and evaluation together"
        untimed = self.rows["wall_seconds"].isna() & self.rows["seconds"].notna()
        return (
            f"{said}; of {plural(int(untimed.sum()), 'row')} of an earlier version of training alone."
            if untimed.any()
            else f"{said}."
        )

    @property
    def floor(self) -> str:
        """What the floor is, and whether it was measured with as many images as the generated ones."""
        said = "Floor: what real images score in place of generated ones"
        counts = self.rows[["floor_n", "n_fake"]].dropna().drop_duplicates()
        short = counts[counts["floor_n"] < counts["n_fake"]]
        distances = " and ".join(metric.label for metric in self.metrics if metric.name in ("fd", "fid"))
        if counts.empty or not distances:
            return f"{said}."
        if short.empty:
            return f"{said}; for {distances}, of as many: {listed(counts['n_fake'])}."
        real, generated = (text(int(short[name].iloc[0])) for name in ("floor_n", "n_fake"))
        return (
            f"{said}. Careful: for {distances} it was measured with {real} real images in place of {generated}, and a "
            "Frechet distance falls as images are added, so this floor is too high."
        )


def of_each(
    anchor: str,
    title: str,
    studies: Sequence[StudyData],
    block: Callable[[StudyData], Block],
    overview: Callable[[Sequence[StudyData]], str],
) -> Section:
    """A section with a block a study, headed by its name where there are several; `overview` is said of several only."""
    if len(studies) == 1:
        return Section(anchor, title, [block(studies[0])])
    return Section(
        anchor, title, [replace(block(study), heading=study.spec.name) for study in studies], overview(studies)
    )
