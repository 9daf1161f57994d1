"""Target-set size: the score against the number of target images, with transfer and from scratch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.findings.gains import configurations
from analysis.tables import TARGET_IMAGES, WAY, equal_budget, last_rows, ranking, trained_nothing
from spaces.config import SCRATCH
from spaces.protocol import Metric


@dataclass(frozen=True)
class Worth:
    """`images` of the target with transfer are worth as much as `scratch_images` from scratch."""

    images: int
    source: str
    value: float
    scratch_images: float
    bound: str
    """Where the score lies outside of what scratch was measured at, "more than" or "fewer than"; else ""."""


def by_size(rows: pd.DataFrame, chosen: Sequence[str], metric: Metric) -> pd.DataFrame:
    """A row a source and size: the best configuration's mean over seeds at equal budget, and its range.

    `rows` are evaluations of one target under one protocol, every `data/target_images` a number. Trials that trained
    nothing are left out, as target images are nothing to them. Equal budget: the most images seen at which every source
    and size with a score has one. Columns: source, target_images, images_seen, way, mean, low, high, seeds, trials (how
    many had a score there), trial (the first of the best configuration).
    """
    scored = rows[rows["trial"].isin(ranking(last_rows(rows), metric)["trial"]) & ~trained_nothing(rows)]
    budget, level = equal_budget(scored, metric, ["source", TARGET_IMAGES])
    others = [name for name in chosen if name != TARGET_IMAGES]
    found = []
    for (source, size), group in level.groupby(["source", TARGET_IMAGES]):
        best = configurations(group, others, metric)[0]
        found.append(
            {
                "source": source,
                "target_images": int(size),
                "images_seen": budget,
                WAY: best.way,
                "mean": best.mean,
                "low": min(best.values),
                "high": max(best.values),
                "seeds": len(best.values),
                "trials": len(group),
                "trial": best.trials[0],
            }
        )
    columns = ["source", "target_images", "images_seen", WAY, "mean", "low", "high", "seeds", "trials", "trial"]
    return pd.DataFrame(found, columns=columns)


def worth(sizes: pd.DataFrame, metric: Metric) -> list[Worth]:
    """For each size, how many images scratch needs for what the best source reaches with that size.

    Scratch's score lies linearly over the logarithm of the number of images, and never gets worse with more. Empty unless
    scratch has two sizes.
    """
    scratch = sizes[sizes["source"] == SCRATCH].sort_values("target_images")
    if len(scratch) < 2:
        return []
    costs = np.minimum.accumulate(metric.sign * scratch["mean"].to_numpy(float))
    logs = np.log(scratch["target_images"].to_numpy(float))
    found = []
    for size, group in sizes[sizes["source"] != SCRATCH].groupby("target_images"):
        best = group.loc[(metric.sign * group["mean"]).idxmin()]
        cost = metric.sign * float(best["mean"])
        bound = "more than" if cost < costs[-1] else "fewer than" if cost > costs[0] else ""
        images = math.exp(float(np.interp(-cost, -costs, logs)))  # -costs never fall
        found.append(Worth(int(size), str(best["source"]), float(best["mean"]), images, bound))
    return found
