"""What the evaluations of a study say, as numbers: no drawing, no words.

A trial's score is the metric of its last evaluation; its best one would be judged by the samples that chose it. A trial
that diverged or failed has no score, even where it left the generator of an evaluation before. Trials are compared at
equal budget: each by its last evaluation until the largest number of images seen at which every side has a trial with a
score, and among trials with equally many target images. A trial of a method that trains nothing, such as the source as it
is, has spent all that it ever will at its one evaluation, so it stands with that at any budget and any target-set size.
Where a score depends on how many images are drawn, trials are compared by equally many (`equally_drawn`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.drawn import equally_drawn
from search.fronts import not_beaten
from search.picking.arms import Arm
from search.records.results import CONFIG_COLUMNS, LEAVES, NO_SCORE, SCHEMA
from search.records.study import StudySpec
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import lookup
from spaces.protocol import EARLIER_IW, METRICS, RECORD, Metric
from spaces.trials import CONFIGS, DEFAULT_METHOD, makes_images, makes_more, trains

ARM = ("source", "method", "transfer/parts")
"""The config columns that say which arm a trial belongs to."""
WAY = "way"
"""The column of how a trial uses its source: the networks that are fine-tuned ("both"), else the method ("as is")."""
AS_IS = Arm("as_is", None, "none").way
"""The way of the baseline that every method must beat: the source model sampled untouched, which takes no training."""
UNTRAINED = frozenset(Arm(method, None, "none").way for method in CONFIGS if not trains(method))
"""The ways of all baselines that train nothing: a source as it is, its images untranslated, mixtures of the target's few."""
HANDED_ON = frozenset(Arm(method, None, "none").way for method in CONFIGS if not makes_images(method))
"""The ways of those among them that make no images: whatever their score, they are no answer."""
NO_SOURCE = "no source"
"""The source of a trial that learns nothing and takes images from nowhere else, as baselines of few-shot generation: its config
says scratch, but nothing is trained, from scratch or otherwise."""
TARGET_IMAGES = "data/target_images"
SEEDS = ("seed", "data/seed")
"""Settings that are chance, not choice."""


@dataclass(frozen=True)
class Score:
    """A trial's metric after so many images; `floor` is what real images score in place of generated ones."""

    trial: int
    source: str
    way: str
    value: float
    floor: float | None
    images_seen: int
    seconds: float
    """Seconds of training and evaluation until then."""
    se: float | None = None
    """Standard error of the value over draws of the images that it was measured on; None of a metric without."""


@dataclass(frozen=True)
class Answer:
    """What a study found."""

    metric: Metric
    best: Score | None
    """The best last evaluation of all."""
    budget: int | None
    """Equal budget, in images seen: the most that a trial of each side has reached and has a score at."""
    transfer: Score | None
    """The best of its side at equal budget; where there is none, the best of both stands alone, at its own budget."""
    scratch: Score | None
    transfer_trials: int
    """How many trials the side has, whatever came of them, that compare with the best trial (see `comparable`)."""
    scratch_trials: int
    statuses: dict[str, int]
    """How many trials have each status."""
    seconds: float
    """Wall time of all trials added up."""

    @property
    def gain(self) -> float | None:
        """How much better transfer is than scratch at equal budget, in the metric's units; negative if scratch wins."""
        if self.transfer is None or self.scratch is None:
            return None
        return self.metric.sign * (self.scratch.value - self.transfer.value)


def metric_of(name: str, spec: StudySpec) -> Metric:
    """The metric `name` as this study's protocol measures it, its label with the name of the extractor."""
    return METRICS[name].labelled(spec.base.protocol.extractor)


def evaluations(table: pa.Table) -> pd.DataFrame:
    """Turn the table into a frame, ordered by trial and images seen, with the column WAY.

    Metrics that are not finite become NaN. Trials without a method are of fine-tuning, from before there was another. The
    column `seconds` is what a row cost up to there, training and evaluation; where an earlier version left no such time, it is
    that of training alone. Trials without a source have NO_SOURCE.
    IW of earlier versions says so in `iw_protocol`, and is missing where other rows have today's: the two don't compare.
    """
    rows = _with_one_iw(table.to_pandas())
    metrics = list(METRICS)
    rows[metrics] = rows[metrics].where(np.isfinite(rows[metrics].astype(float)))
    rows["method"] = rows["method"].fillna(DEFAULT_METHOD)
    arms = zip(rows["method"], rows["source"], rows["transfer/parts"], strict=True)
    rows["source"] = rows["source"].mask(rows["source"].eq(SCRATCH) & makes_more_of_few(rows), NO_SOURCE)
    rows[WAY] = pd.Series([Arm(*arm).way for arm in arms], rows.index, dtype=object)
    rows["seconds"] = rows["wall_seconds"].fillna(rows["train_seconds"])
    return rows.sort_values(["trial", "images_seen"], kind="stable", ignore_index=True)


def as_configured(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the sources that their configs name, in the place of NO_SOURCE."""
    return rows.assign(source=rows["source"].replace(NO_SOURCE, SCRATCH))


def _with_one_iw(rows: pd.DataFrame) -> pd.DataFrame:
    earlier = rows["iw"].notna() & rows["iw_protocol"].isna()
    rows["iw_protocol"] = rows["iw_protocol"].astype(object).mask(earlier, EARLIER_IW)
    if (rows["iw_protocol"].notna() & ~earlier).any():
        rows.loc[earlier, list(METRICS["iw"].columns)] = np.nan
    return rows


def makes_more_of_few(rows: pd.DataFrame) -> pd.Series:
    """Whether each row is of a few-shot method; a later version's methods are not known here."""
    return rows["method"].isin([method for method in CONFIGS if makes_more(method)])


def making_images(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of trials that make images; the others are there to be beaten, and no answer."""
    return rows[~rows[WAY].isin(HANDED_ON)]


def of_a_side(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of transfer and of scratch: what has no source is neither, and what makes no images no answer."""
    return making_images(rows[rows["source"] != NO_SOURCE])


def trained_nothing(rows: pd.DataFrame) -> pd.Series:
    """Whether each row is of a trial that was complete without an iteration, as its method has nothing to train."""
    iterations = rows.groupby("trial")["iterations"].transform("max")
    return rows["status"].eq("completed") & iterations.eq(0)


def config_columns(methods: Iterable[str]) -> list[str]:
    """The columns of the configs of these methods: target and arm, the methods' own settings, those that all have."""
    own = {leaf for name in methods for leaf in lookup(LEAVES, "method", name)}
    return sorted((column for column in CONFIG_COLUMNS if column in own), key=_place)


def _place(column: str) -> int:
    """Where a config column stands among the others, the most telling ones first."""
    if column in ("target", "source", "method"):
        return 0
    return 2 if column.partition("/")[0] in TrialConfig.model_fields else 1


def settings(rows: pd.DataFrame) -> list[str]:
    """The config columns that differ among the trials whose method has them; target and arm are none of them."""
    own = {method: set(config_columns([method])) for method in rows["method"].unique()}
    holders = {
        name: frozenset(method for method, columns in own.items() if name in columns) for name in config_columns(own)
    }
    having = {methods: rows[rows["method"].isin(methods)] for methods in set(holders.values())}
    return [
        name
        for name, methods in holders.items()
        if name not in ("target", *ARM) and having[methods][name].nunique(dropna=False) > 1
    ]


def config_values(row: pd.Series) -> dict[str, Any]:
    """The config of a row's trial by column, as plain values: without the settings that only other methods have."""
    return {name: _plain(name, row[name]) for name in config_columns([row["method"]])}


def _plain(name: str, value: Any) -> Any:
    """A cell of a config column as Python has it; pandas makes floats of whole numbers beside which others are missing."""
    if pd.isna(value):
        return None
    if pa.types.is_integer(SCHEMA.field(name).type):
        return int(value)
    return value.item() if isinstance(value, np.generic) else value


def trials_frame(table: pa.Table, spec: StudySpec) -> pd.DataFrame:
    """One row a trial, with its last evaluation: number, source, way, metrics, cost, status, retries, what varies, error."""
    return trials_of(evaluations(table), spec)


def trials_of(rows: pd.DataFrame, spec: StudySpec) -> pd.DataFrame:
    """One row a trial, as `trials_frame` has them, from rows as `evaluations` gives them."""
    errors = [f"{name}_se" for name in spec.base.protocol.metrics if METRICS[name].held_out]
    measured = [*spec.base.protocol.metrics, *(name for name in errors if rows[name].notna().any())]
    columns = ["trial", "source", WAY, *measured, "images_seen", "seconds", "status"]
    columns += ["retries"] if rows["retries"].gt(0).any() else []
    columns += [*settings(rows), "error"]
    return last_rows(rows)[columns].reset_index(drop=True)


def arms(table: pa.Table) -> list[dict[str, str | None]]:
    """The config columns that the `way` of each trial was told from, for programs; None where its method has no such."""
    last = as_configured(last_rows(evaluations(table)))[list(ARM)].astype(object)
    return [
        {str(name): value for name, value in row.items()} for row in last.where(last.notna(), None).to_dict("records")
    ]


def ranking(trials: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The trials that have a score, best first; of equals, the earlier one. Those that make no images come last."""
    scored = trials[~trials["status"].isin(NO_SCORE) & trials[metric.name].notna()]
    keys = pd.DataFrame({"handed_on": scored[WAY].isin(HANDED_ON), "score": metric.sign * scored[metric.name]})
    return scored.loc[keys.sort_values(["handed_on", "score"], kind="stable").index]


def at_budget(rows: pd.DataFrame, images: int) -> pd.DataFrame:
    """Take, of each trial that reached `images` or has nothing to train, its last evaluation until then."""
    reached = rows.groupby("trial")["images_seen"].transform("max") >= images
    return last_rows(rows[(reached | trained_nothing(rows)) & (rows["images_seen"] <= images)])


def stopped_before(rows: pd.DataFrame, images: int, metric: Metric) -> int:
    """How many of the trials that compare were stopped early before so many images, and so have no score there."""
    last = last_rows(rows)
    last = comparable(last, ranking(last, metric))
    return int((last["status"].eq("stopped") & last["images_seen"].lt(images)).sum())


def summary(table: pa.Table, spec: StudySpec) -> Answer:
    """The best trial, and the best that transfer and scratch came to at equal budget."""
    return summary_of(evaluations(table), spec)


def summary_of(rows: pd.DataFrame, spec: StudySpec) -> Answer:
    """The answer, as `summary` gives it, from rows as `evaluations` gives them."""
    metric = metric_of(spec.metric, spec)
    rows = rows.assign(scratch=rows["source"] == SCRATCH)
    last = last_rows(rows)
    ranked = ranking(last, metric)
    peers = of_a_side(comparable(last, ranked))
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
        seconds=float(last["seconds"].sum()),
    )


def _both_sides(
    rows: pd.DataFrame, ranked: pd.DataFrame, peers: pd.DataFrame, metric: Metric
) -> tuple[int | None, dict[bool, Score]]:
    """The equal budget and the best of each side there, by whether it is scratch; else no budget, and the best of both."""
    ranked = ranked[ranked["trial"].isin(peers["trial"])]
    budget, level = meeting(rows[rows["trial"].isin(ranked["trial"])], metric, "scratch")
    shown = ranked.head(1) if level.empty else level.drop_duplicates("scratch")
    return budget, {bool(row["scratch"]): _score(row, metric) for _, row in shown.iterrows()}


def meeting(scored: pd.DataFrame, metric: Metric, side: str) -> tuple[int | None, pd.DataFrame]:
    """The equal budget of two sides, and the trials that have a score there, best first.

    `scored` are evaluations of comparable trials with a score; the column `side`, of bools, tells the sides apart. No
    budget, and no trials, where the two never meet.
    """
    budget, level = equal_budget(scored, metric, [side])
    met = level[side].nunique() == 2
    return (budget, level) if met else (None, level.iloc[:0])


def equal_budget(rows: pd.DataFrame, metric: Metric, sides: list[str]) -> tuple[int, pd.DataFrame]:
    """The largest number of images seen at which every side (the values of some columns) has a trial with a score.

    With it come the trials that have one there, best first, by equally many drawn images where that matters. Where evaluations
    never meet, as many sides as possible.
    """
    present, wanted, found = 0, len(rows[sides].drop_duplicates()), (0, rows)
    counts = sorted(rows["images_seen"].unique(), reverse=True)
    for images in [count for count in counts if count] or counts:  # before the first image nothing was trained
        for level in equally_drawn(ranking(at_budget(rows, images), metric), metric):
            if len(level[sides].drop_duplicates()) > present:
                present, found = len(level[sides].drop_duplicates()), (int(images), level)
        if present == wanted:
            break
    return found


def cells(rows: pd.DataFrame, spec: StudySpec) -> pd.DataFrame:
    """Sources by the ways they were used, at the largest number of images seen at which every cell with a score has one.

    A row a cell of trials that compare with the best one: source, way, images_seen, best (score), trial (whose), scored and
    trials (how many), seeds (that the best trial's settings ran with), mean, low and high (of all scores of the cell there, as
    many as they are; a trial that diverged counts as the worst of all cells). Cells without a score have NaN and 0.
    """
    metric = metric_of(spec.metric, spec)
    last = last_rows(rows)
    ranked = ranking(last, metric)
    last, ranked = comparable(last, ranked), comparable(ranked, ranked)
    budget, level = equal_budget(rows[rows["trial"].isin(ranked["trial"])], metric, ["source", WAY])
    chosen = choices(rows)
    order = {name: place for place, name in enumerate((SCRATCH, *spec.sources))}
    return pd.DataFrame(
        [
            {"source": source, WAY: way, "images_seen": budget, "trials": len(group)}
            | _cell(level[(level["source"] == source) & (level[WAY] == way)], metric, chosen)
            | spread(level, group, level["source"].eq(source) & level[WAY].eq(way), metric)
            for (source, way), group in last.sort_values("source", key=lambda names: names.map(order)).groupby(
                ["source", WAY], sort=False
            )
        ],
        columns=["source", WAY, "images_seen", "best", "trial", "scored", "trials", "seeds", "mean", "low", "high"],
    )


def choices(rows: pd.DataFrame) -> list[str]:
    """The settings that vary by choice: all but the seeds."""
    return [name for name in settings(rows) if name not in SEEDS]


def as_text(values: pd.Series) -> pd.Series:
    """The values of a setting as text, missing ones too: two trials without it have it alike, where NaN equals nothing."""
    return values.astype(object).where(values.notna(), None).map(str)


def _cell(level: pd.DataFrame, metric: Metric, chosen: Sequence[str]) -> dict[str, Any]:
    if level.empty:
        return {"best": np.nan, "trial": -1, "scored": 0, "seeds": 0}
    best, keys = level.iloc[0], level[list(chosen)].apply(as_text)
    twins = level[(keys == keys.iloc[0]).all(axis=1)]
    return {
        "best": best[metric.name],
        "trial": int(best["trial"]),
        "scored": len(level),
        "seeds": len(twins[list(SEEDS)].drop_duplicates()),
    }


def spread(level: pd.DataFrame, whole: pd.DataFrame, mine: pd.Series, metric: Metric) -> dict[str, float]:
    """Mean, low and high of the scores that are mine, out of those of all at equal budget; NaN where there are none.

    The mean is over all of them, as the best of many and the best of few do not compare. A trial that diverged, of the last
    rows `whole` of all that are mine, counts as the worst score of the level.
    """
    own = level.loc[mine, metric.name]
    if own.empty:
        return dict.fromkeys(("mean", "low", "high"), np.nan)
    worst = metric.sign * (metric.sign * level[metric.name]).max()
    lost = int(whole["status"].eq("diverged").sum())
    return {"mean": float((own.sum() + lost * worst) / (len(own) + lost)), "low": own.min(), "high": own.max()}


def front(trials: pd.DataFrame, *metrics: Metric) -> pd.Series:
    """Which trials no other beats in one metric without losing in another: the Pareto front. NaN is not on it."""
    costs = np.column_stack([metric.sign * trials[metric.name].to_numpy(float) for metric in metrics])
    return pd.Series(not_beaten(costs) & np.isfinite(costs).all(axis=1), index=trials.index)


def protocol(rows: pd.DataFrame) -> dict[str, list[Any]]:
    """What the metrics were measured with: each fact's values. More than one means rows that don't compare."""
    return {name: sorted(rows[name].dropna().unique().tolist()) for name in RECORD}


def last_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The last evaluation of each trial."""
    return rows.groupby("trial").tail(1)


def comparable(trials: pd.DataFrame, ranked: pd.DataFrame) -> pd.DataFrame:
    """The trials with as many target images as the best ranked one that was trained; all where none was.

    Trials that trained nothing compare with all: how many target images they might have had makes no difference to them.
    """
    trained = ranked[~trained_nothing(ranked)]
    sizes = trials[TARGET_IMAGES].astype("Float64").fillna(-1)
    return trials[(sizes == sizes.loc[trained.index[0]]) | trained_nothing(trials)] if len(trained) else trials


def _score(row: pd.Series, metric: Metric) -> Score:
    floor, se = (
        None if pd.isna(found := row.get(f"{metric.name}_{kind}")) else float(found) for kind in ("floor", "se")
    )
    return Score(
        trial=int(row["trial"]),
        source=str(row["source"]),
        way=str(row[WAY]),
        value=float(row[metric.name]),
        floor=floor,
        se=se,
        images_seen=int(row["images_seen"]),
        seconds=float(row["seconds"]),
    )
