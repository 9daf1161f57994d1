"""What several sections of the report share: a study's tables, and the words for them."""

from html import escape

import pandas as pd
import pyarrow as pa

from analysis import figures, tables
from analysis.page import listed, text
from analysis.tables import PARTS, Metric, Score
from search.study import StudySpec
from spaces.config import SCRATCH


class Evidence:
    """The tables that several sections share, computed once."""

    def __init__(self, table: pa.Table, spec: StudySpec) -> None:
        """`table` is as `search.results.load` gives it."""
        self.table, self.spec = table, spec
        self.rows = tables.evaluations(table)
        self.trials = tables.trials_frame(table, spec)
        self.settings = tables.settings(self.rows, spec)
        self.answer = tables.summary(table, spec)
        self.metric = self.answer.metric
        self.metrics = [Metric.of(name, spec) for name in spec.base.protocol.metrics]
        self.ranked = tables.ranking(self.trials, self.metric)
        self.looks = figures.styles([*spec.sources, *self.rows["source"].unique()])
        self.hovers = {int(row["trial"]): self._hover(row) for _, row in self.trials.iterrows()}

    def _hover(self, row: pd.Series) -> str:
        lines = [f"trial {row['trial']}: {row['source']}, {parts(row[PARTS])}, {row['status']}"]
        lines += [f"{name} {text(row[name])}" for name in self.settings if not pd.isna(row[name])]
        return "<br>".join(map(escape, lines))

    @property
    def cure(self) -> str:
        """What to run for more data: resume what isn't over, else search for longer."""
        if len(self.trials) < self.spec.trials or "running" in self.answer.statuses:
            return f"run `understock resume {self.spec.name}`"
        return "run the command for more trials under What was run"

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


def parts(name: str) -> str:
    """What `transfer/parts` copies, in words."""
    return {"none": "nothing transferred", "both": "both networks"}.get(name, f"{name} only")


def origin(score: Score) -> str:
    """What a trial started from, in words."""
    return "from scratch" if score.source == SCRATCH else f"from {score.source}, {parts(score.parts)}"
