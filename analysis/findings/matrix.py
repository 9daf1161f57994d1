"""Sources against targets: what each source came to in each study, beside the rank it had before any training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings.gains import configurations
from analysis.tables import WAY, choices, comparable, equal_budget, last_rows, of_a_side, ranking, spread
from search.records.study import StudySpec
from spaces.config import SCRATCH
from spaces.errors import UserError
from spaces.protocol import Metric
from trainables.storage.json_files import read_json


@dataclass(frozen=True)
class Before:
    """What was known of the sources before any training: a rank, 1 the best, and the values it came from."""

    ranks: dict[str, float]
    parts: dict[str, dict[str, float]]
    """What each rank was made of, by name and then by source: {"fd": {source: value}}."""
    told: dict[str, str] = field(default_factory=dict)
    """Network, licence and origin of each source, as it was when the search began; nothing of earlier versions'."""


def before(file: Path, spec: StudySpec) -> Before:
    """Read the ranks from `file`, which `understock search` leaves; where it is not there, from the spec's distances.

    UserError if the file is damaged.
    """
    if not file.is_file():
        names = sorted(spec.ranking, key=lambda name: spec.ranking[name])
        distances = {"fd": dict(spec.ranking)} if names else {}
        return Before({name: place + 1.0 for place, name in enumerate(names)}, distances)
    try:
        rows: list[dict[str, Any]] = read_json(file)["rows"]
        order = sorted(rows, key=lambda row: float(row["rank"]))
        parts: dict[str, dict[str, float]] = {}
        for row in rows:
            for name, part in row["parts"].items():
                if part["value"] is not None:
                    parts.setdefault(name, {})[str(row["source"])] = float(part["value"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} can't be read ({type(error).__name__}: {error}); remove it to go on without") from None
    told = {
        str(row["source"]): f"{row.get('network')}; licence {row['licence']}; {row.get('origin')}"
        for row in rows
        if row.get("licence")
    }
    return Before({str(row["source"]): place + 1.0 for place, row in enumerate(order)}, parts, told)


def column(rows: pd.DataFrame, spec: StudySpec, metric: Metric, ranks: dict[str, float]) -> pd.DataFrame:
    """One study's column: a row a source, scratch first, then as they were ranked before training.

    What has no source is no row, and images that are handed on untranslated are no way of using one.
    Columns: source, images_seen (equal budget: the most at which every source with a score has one), way (of using
    it that has the best mean), mean, low, high (of all its trials there, where one that diverged counts as the worst of
    all), seeds (of their best configuration), trials, share (how much better than scratch, of scratch's score), before (rank, NaN
    for scratch) and after (rank among sources by mean).
    """
    rows = of_a_side(rows)
    ranked = ranking(last_rows(rows), metric)
    scored = rows[rows["trial"].isin(comparable(ranked, ranked)["trial"])]
    budget, level = equal_budget(scored, metric, ["source"])
    chosen = choices(rows)
    names = [SCRATCH, *sorted({*spec.sources, *rows["source"]} - {SCRATCH}, key=lambda n: (ranks.get(n, np.inf), n))]
    peers = comparable(last_rows(rows), ranked)
    found = pd.DataFrame([_cell(level, peers, name, chosen, metric) for name in names])
    found.insert(1, "images_seen", budget)
    reference = float(found.loc[found["source"] == SCRATCH, "mean"].iloc[0])
    found["share"] = metric.sign * (reference - found["mean"]) / abs(reference) if reference else np.nan
    sources = found["source"] != SCRATCH
    found["before"] = found["source"].map(ranks).astype(float)
    found["after"] = (metric.sign * found["mean"].where(sources)).rank(method="min")
    return found


def _cell(level: pd.DataFrame, peers: pd.DataFrame, name: str, chosen: Sequence[str], metric: Metric) -> dict[str, Any]:
    """A source by the way of using it that has the best mean."""
    own = level[level["source"] == name]
    if own.empty:
        nothing = dict.fromkeys(("mean", "low", "high"), np.nan)
        return {"source": name, WAY: None, **nothing, "seeds": 0, "trials": 0}
    ways = []
    for way, group in own.groupby(WAY):
        mine, whole = (frame["source"].eq(name) & frame[WAY].eq(way) for frame in (level, peers))
        seeds = len(configurations(group, chosen, metric)[0].values)
        found = spread(level, peers[whole], mine, metric)
        ways.append({"source": name, WAY: way, **found, "seeds": seeds, "trials": len(group)})
    return min(ways, key=lambda cell: metric.sign * cell["mean"])


def regret(found: pd.DataFrame, metric: Metric) -> float | None:
    """How much worse the source ranked first before training is than the best one; None if either is not known."""
    judged = found.dropna(subset=["before", "after"])
    if len(judged) < 2:
        return None
    first = judged.loc[judged["before"].idxmin(), "mean"]
    return float(metric.sign * first - (metric.sign * judged["mean"]).min())


def rank_correlation(found: pd.DataFrame) -> float | None:
    """Spearman's rank correlation of the ranks before and after training; None below 3 sources."""
    judged = found.dropna(subset=["before", "after"])
    if len(judged) < 3 or judged["after"].nunique() == 1:
        return None
    return float(np.corrcoef(judged["before"].rank(), judged["after"].rank())[0, 1])
