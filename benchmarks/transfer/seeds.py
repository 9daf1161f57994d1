"""What another seed changes, by the cells of the recorded table that were trained twice: python -m benchmarks.transfer.seeds

Of two trainings of one cell that differ in their seed alone, half the squared difference of the logs is an estimate of the
variance of one. Its root is what a training's Frechet distance differs by, as a share: it is of logs.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import spearmanr

from benchmarks.recorded_transfer.export import TABLE
from benchmarks.recorded_transfer.plan import WAVES
from benchmarks.transfer.findings import recorded, scores, whole_waves
from search.picking.arms import SCRATCH_ARM, Arm


@dataclass(frozen=True)
class Twice:
    """The arms of a target by two seeds: the last Frechet distance of each, all else equal."""

    target: str
    first: Mapping[Arm, float]
    second: Mapping[Arm, float]

    @property
    def logs(self) -> dict[Arm, float]:
        """How far the second lies above the first."""
        return {arm: math.log(self.second[arm] / score) for arm, score in self.first.items() if arm in self.second}

    @property
    def order_kept(self) -> float:
        """Spearman's correlation of the sources' order by one seed with that by the other, both networks transferred."""
        arms = sorted(arm for arm in self.logs if arm.parts == "both")
        return float(spearmanr([self.first[arm] for arm in arms], [self.second[arm] for arm in arms]).statistic)

    @property
    def regret(self) -> float:
        """How many times the second seed's best score what was best by the first comes to there."""
        arms = self.logs.keys()
        return self.second[min(arms, key=lambda arm: self.first[arm])] / min(self.second[arm] for arm in arms)


def trained_twice() -> list[Twice]:
    """Of each target the pair of waves at the first learning rates, as far as both were recorded whole."""
    table, rates = pq.read_table(TABLE), (WAVES[0].lr_g, WAVES[0].lr_d)
    first, second = (
        recorded([wave for wave in whole_waves(table, seed) if (wave.lr_g, wave.lr_d) == rates]) for seed in (0, 1)
    )
    return [Twice(one.name, scores(one), scores(other)) for one, other in zip(first, second, strict=False)]


def spread(logs: Sequence[float]) -> float:
    """The standard deviation of one training's log, by the differences of two."""
    return math.sqrt(float(np.mean(np.square(logs))) / 2)


def by_networks(found: Sequence[Twice]) -> dict[str, list[float]]:
    """The differences of all arms, and of those with the same networks transferred."""
    logs: dict[str, list[float]] = defaultdict(list)
    for twice in found:
        for arm, log in twice.logs.items():
            if arm.is_trained:
                for name in ("all", "scratch" if arm == SCRATCH_ARM else arm.parts):
                    logs[name].append(log)
    return logs


def lines(found: Sequence[Twice]) -> Iterator[str]:
    """Two tables in Markdown."""
    yield "| networks | cells | one training differs by |"
    yield "|---|---|---|"
    for name, logs in by_networks(found).items():
        yield f"| {name} | {len(logs)} | {100 * spread(logs):.1f} % |"
    yield ""
    yield "| target | order of sources kept | the first seed's best, by the second |"
    yield "|---|---|---|"
    for twice in found:
        yield f"| {twice.target} | {twice.order_kept:.2f} | {twice.regret:.2f} times the best |"


if __name__ == "__main__":
    print("\n".join(lines(trained_twice())))
