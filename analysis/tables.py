"""What the evaluations of a study say, as numbers: no drawing, no words.

A trial's score is the metric of its last evaluation; its best one would be judged by the samples that chose it. A trial
that diverged or failed has no score, even where it left the generator of an evaluation before. Trials are compared at
equal budget: each by its last evaluation until the largest number of images seen at which every side has a trial with a
score, and among trials with equally many target images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from search.records.results import flat_config
from search.records.study import StudySpec
from spaces.config import SCRATCH
from spaces.protocol import METRICS

PARTS = "transfer/parts"
TARGET_IMAGES = "data/target_images"
SEEDS = ("seed", "data/seed")
"""Settings that are chance, not choice."""

PROTOCOL = {
    "extractor": "feature extractor",
    "input_size": "pixels a side at the extractor",
    "resizer": "resizer",
    "split": "split compared with",
    "n_real": "real images",
    "n_fake": "generated images",
    "metric_seed": "seed of the metrics",
    "kd_subset": "images in a subset of KD",
    "iw_n": "images of either kind for IW",
    "floor_n": "real images for the floor",
}
"""The columns that say how metrics were measured, and in words."""

_METRIC_LABELS = {"fid": "FID", "kid": "KID", "fd": "FD ({})", "kd": "KD ({})", "iw": "IW"}
_NO_SCORE = ("diverged", "failed")


@dataclass(frozen=True)
class Metric:
    """A metric as readers meet it. Only the 2015 Inception features are called FID and KID; FD and KD name theirs."""

    name: str
    label: str

    @classmethod
    def of(cls, name: str, spec: StudySpec) -> "Metric":
        """The metric `name`, as this study's protocol measures it."""
        return cls(name, _METRIC_LABELS[name].format(spec.base.protocol.extractor))

    @property
    def sign(self) -> int:
        """1 where lower is better, -1 where higher is: `sign * value` is always a cost."""
        return 1 if METRICS[self.name].direction == "minimize" else -1

    @property
    def goal(self) -> str:
        """Which way is better, in words."""
        return (
            "nearer 0 is better" if self.name == "iw" else "lower is better" if self.sign == 1 else "higher is better"
        )


@dataclass(frozen=True)
class Score:
    """A trial's metric after so many images; `floor` is what real images score in place of generated ones."""

    trial: int
    source: str
    parts: str
    value: float
    floor: float | None
    images_seen: int
    seconds: float
    """Of training, evaluation left out."""


@dataclass(frozen=True)
class Answer:
    """What a study found."""

    metric: Metric
    best: Score | None
    """The best last evaluation of all."""
    budget: int | None
    """Equal budget, in images seen: the most that a trial of each side has reached and has a score at."""
    transfer: Score | None
    """The best of its side at equal budget; where there is none, the best trial stands alone, at its own budget."""
    scratch: Score | None
    transfer_trials: int
    """Trials of the side, whatever came of them, with as many target images as the best trial."""
    scratch_trials: int
    statuses: dict[str, int]
    """Trials by status."""
    seconds: float
    """Wall time of all trials added up."""

    @property
    def gain(self) -> float | None:
        """How much better transfer is than scratch at equal budget, in the metric's units; negative if scratch wins."""
        if self.transfer is None or self.scratch is None:
            return None
        return self.metric.sign * (self.scratch.value - self.transfer.value)


def evaluations(table: pa.Table) -> pd.DataFrame:
    """The table as a frame, by trial and images seen, with metrics that are not finite set to NaN."""
    rows = table.to_pandas()
    metrics = list(METRICS)
    rows[metrics] = rows[metrics].where(np.isfinite(rows[metrics].astype(float)))
    return rows.sort_values(["trial", "images_seen"], kind="stable", ignore_index=True)


def settings(rows: pd.DataFrame, spec: StudySpec) -> list[str]:
    """The config columns that differ among trials, source and parts left out."""
    columns = [name for name in flat_config(spec.base) if name not in ("target", "source", PARTS)]
    return [name for name in columns if rows[name].nunique(dropna=False) > 1]


def trials_frame(table: pa.Table, spec: StudySpec) -> pd.DataFrame:
    """One row a trial, with its last evaluation: number, source, parts, metrics, cost, status, retries, what varies, error."""
    return trials_of(evaluations(table), spec)


def trials_of(rows: pd.DataFrame, spec: StudySpec) -> pd.DataFrame:
    """The same from rows as `evaluations` gives them."""
    columns = ["trial", "source", PARTS, *spec.base.protocol.metrics, "images_seen", "train_seconds", "status"]
    columns += ["retries"] if rows["retries"].gt(0).any() else []
    columns += [*settings(rows, spec), "error"]
    return last_rows(rows)[columns].reset_index(drop=True)


def ranking(trials: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The trials that have a score, best first; of equals, the earlier one."""
    scored = trials[~trials["status"].isin(_NO_SCORE) & trials[metric.name].notna()]
    order = (metric.sign * scored[metric.name]).sort_values(kind="stable").index
    return scored.loc[order]


def at_budget(rows: pd.DataFrame, images: int) -> pd.DataFrame:
    """Of each trial that reached `images`, its last evaluation until then."""
    reached = rows.groupby("trial")["images_seen"].transform("max") >= images
    return last_rows(rows[reached & (rows["images_seen"] <= images)])


def summary(table: pa.Table, spec: StudySpec) -> Answer:
    """The best trial, and the best that transfer and scratch came to at equal budget."""
    return summary_of(evaluations(table), spec)


def summary_of(rows: pd.DataFrame, spec: StudySpec) -> Answer:
    """The same from rows as `evaluations` gives them."""
    metric = Metric.of(spec.metric, spec)
    last = last_rows(rows.assign(scratch=rows["source"] == SCRATCH))
    ranked = ranking(last, metric)
    peers = comparable(last, ranked)
    budget, sides = _both_sides(rows, ranked, peers, metric)
    return Answer(
        metric=metric,
        best=None if ranked.empty else _score(ranked.iloc[0], metric),
        budget=budget,
        transfer=sides.get(False),
        scratch=sides.get(True),
        transfer_trials=int((~peers["scratch"]).sum()),
        scratch_trials=int(peers["scratch"].sum()),
        statuses={str(status): int(n) for status, n in last["status"].value_counts().items()},
        seconds=float(last["wall_seconds"].sum()),
    )


def _both_sides(
    rows: pd.DataFrame, ranked: pd.DataFrame, peers: pd.DataFrame, metric: Metric
) -> tuple[int | None, dict[bool, Score]]:
    """The equal budget and the best of each side there, by whether it is scratch; else no budget, and the best trial."""
    scored = rows[rows["trial"].isin(ranked["trial"]) & rows["trial"].isin(peers["trial"])]
    budget, level = sides_at_equal_budget(scored, metric)
    shown = ranked.head(1) if level.empty else level.drop_duplicates("scratch")
    return budget, {bool(row["scratch"]): _score(row, metric) for _, row in shown.iterrows()}


def sides_at_equal_budget(scored: pd.DataFrame, metric: Metric) -> tuple[int | None, pd.DataFrame]:
    """The equal budget of transfer and scratch, and the trials that have a score there, best first.

    `scored` are evaluations of comparable trials with a score; the column `scratch` tells the sides apart. No budget, and
    no trials, where the two never meet.
    """
    budget, level = equal_budget(scored.assign(scratch=scored["source"] == SCRATCH), metric, ["scratch"])
    met = level["scratch"].nunique() == 2
    return (budget, level) if met else (None, level.iloc[:0])


def equal_budget(rows: pd.DataFrame, metric: Metric, sides: list[str]) -> tuple[int, pd.DataFrame]:
    """The largest number of images seen at which every side (the values of some columns) has a trial with a score.

    With it come the trials that have one there, best first. Where evaluations never meet, as many sides as possible.
    """
    present, wanted, found = 0, len(rows[sides].drop_duplicates()), (0, rows)
    for images in sorted(rows["images_seen"].unique(), reverse=True):
        level = ranking(at_budget(rows, images), metric)
        if len(level[sides].drop_duplicates()) > present:
            present, found = len(level[sides].drop_duplicates()), (int(images), level)
        if present == wanted:
            break
    return found


def cells(rows: pd.DataFrame, spec: StudySpec) -> pd.DataFrame:
    """Source by transfer parts, at the largest number of images seen at which every cell with a score has one.

    A row a cell: source, parts, images_seen, best (score), trial (whose), scored and trials (how many), seeds (that the
    best trial's settings ran with), mean, low and high (of their scores). Cells without a score have NaN and 0.
    """
    metric = Metric.of(spec.metric, spec)
    last = last_rows(rows)
    ranked = ranking(last, metric)
    ranked = comparable(ranked, ranked)
    budget, level = equal_budget(rows[rows["trial"].isin(ranked["trial"])], metric, ["source", PARTS])
    chosen = [name for name in settings(rows, spec) if name not in SEEDS]
    order = {name: place for place, name in enumerate((SCRATCH, *spec.sources))}
    return pd.DataFrame(
        [
            {"source": source, "parts": parts, "images_seen": budget, "trials": len(group)}
            | _cell(level[(level["source"] == source) & (level[PARTS] == parts)], metric, chosen)
            for (source, parts), group in last.sort_values("source", key=lambda names: names.map(order)).groupby(
                ["source", PARTS], sort=False
            )
        ],
        columns=["source", "parts", "images_seen", "best", "trial", "scored", "trials", "seeds", "mean", "low", "high"],
    )


def _cell(level: pd.DataFrame, metric: Metric, chosen: Sequence[str]) -> dict[str, Any]:
    if level.empty:
        return {"best": np.nan, "trial": -1, "scored": 0, "seeds": 0, "mean": np.nan, "low": np.nan, "high": np.nan}
    best, keys = level.iloc[0], level[list(chosen)].astype(str)
    twins = level[(keys == keys.iloc[0]).all(axis=1)]
    return {
        "best": best[metric.name],
        "trial": int(best["trial"]),
        "scored": len(level),
        "seeds": len(twins[list(SEEDS)].drop_duplicates()),
        "mean": twins[metric.name].mean(),
        "low": twins[metric.name].min(),
        "high": twins[metric.name].max(),
    }


def front(trials: pd.DataFrame, first: Metric, second: Metric) -> pd.Series:
    """Which trials no other beats in one metric without losing in the other: the Pareto front. NaN is not on it."""
    a, b = (metric.sign * trials[metric.name].to_numpy(float) for metric in (first, second))  # costs, (T,)
    no_worse = (a <= a[:, None]) & (b <= b[:, None])  # (T, T): the column's trial against the row's
    beaten = no_worse & ((a < a[:, None]) | (b < b[:, None]))
    return pd.Series(~beaten.any(axis=1) & np.isfinite(a + b), index=trials.index)


def agreement(trials: pd.DataFrame, first: Metric, second: Metric) -> float | None:
    """Spearman's rank correlation of two metrics' costs: 1 if they rank the trials alike. None below 3 trials."""
    both = trials[[first.name, second.name]].dropna()
    ranks = pd.DataFrame({metric.name: (metric.sign * both[metric.name]).rank() for metric in (first, second)})
    if len(ranks) < 3 or (ranks.nunique() == 1).any():
        return None
    return float(np.corrcoef(ranks[first.name], ranks[second.name])[0, 1])


def cost_to_reach(rows: pd.DataFrame, trial: int, metric: Metric, value: float, cost: str) -> float | None:
    """The `cost` (a column) at the trial's first evaluation that is as good as `value`; None if none is."""
    own = rows[(rows["trial"] == trial) & (metric.sign * rows[metric.name] <= metric.sign * value)]
    return None if own.empty else float(own[cost].iloc[0])


def disagreements(trials: pd.DataFrame, first: Metric, second: Metric) -> pd.DataFrame:
    """The trials with both metrics, and where either ranks them: `first_rank`, `second_rank` (1 is best), `apart`.

    Those that the two place furthest apart come first; of equals, the one that `first` likes better.
    """
    both = trials.dropna(subset=[first.name, second.name])
    ranks = [(metric.sign * both[metric.name]).rank(method="min") for metric in (first, second)]
    found = both.assign(first_rank=ranks[0], second_rank=ranks[1], apart=(ranks[0] - ranks[1]).abs())
    return found.sort_values(["apart", "first_rank"], ascending=[False, True], kind="stable")


def protocol(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """What the metrics were measured with: each field's values. More than one means rows that don't compare."""
    return {name: sorted(rows[name].dropna().unique().tolist()) for name in PROTOCOL}


def last_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each trial, its last evaluation."""
    return rows.groupby("trial").tail(1)


def comparable(trials: pd.DataFrame, ranked: pd.DataFrame) -> pd.DataFrame:
    """The trials with as many target images as the best ranked one; all where none is ranked."""
    sizes = trials[TARGET_IMAGES].astype("Float64").fillna(-1)
    return trials[sizes == sizes.loc[ranked.index[0]]] if len(ranked) else trials


def _score(row: pd.Series, metric: Metric) -> Score:
    floor = row[f"{metric.name}_floor"]
    return Score(
        trial=int(row["trial"]),
        source=str(row["source"]),
        parts=str(row[PARTS]),
        value=float(row[metric.name]),
        floor=None if pd.isna(floor) else float(floor),
        images_seen=int(row["images_seen"]),
        seconds=float(row["train_seconds"]),
    )
