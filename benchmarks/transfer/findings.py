"""Every number of docs/findings.md, out of what was recorded: python -m benchmarks.transfer.findings

The table of `benchmarks.recorded_transfer` gives ratios of Frechet distances and rank correlations, docs/limited-data.csv what
few images change. Of the table those trials count that have its first seed and budget, in waves that all targets have: first
those at its first learning rates alone, then of every arm the best over all rates, as one who looks for them would find it.
Intervals are Student's, of 95 %: over targets, or over seeds; an ordering is reproduced where its interval excludes the contrary,
contradicted where the contrary's does, and undecided else.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import spearmanr, t

from benchmarks.recorded_transfer.export import TABLE
from benchmarks.recorded_transfer.plan import ICONS, TARGETS, WAVES, Wave
from benchmarks.results import read_rows
from benchmarks.search_efficiency.table import Target, targets_of
from search.picking.arms import SCRATCH_ARM, Arm, as_it_is
from search.picking.recorded import told

LIMITED = Path(__file__).parents[2] / "docs" / "limited-data.csv"


class Interval(NamedTuple):
    """A mean, and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """Student's, of independent values."""
        mean, n = float(np.mean(values)), len(values)
        with np.errstate(invalid="ignore"):  # about an endless mean nothing is known
            half = float(t.ppf(0.975, n - 1)) * float(np.std(values, ddof=1)) / math.sqrt(n)
        return cls(mean, mean - half, mean + half)

    @property
    def ratio(self) -> "Interval":
        """Of the logs of ratios: these."""
        return Interval(*map(math.exp, self))

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Finding:
    """What was found of a claim."""

    claim: str
    numbers: str
    verdict: str


def verdict(interval: Interval, beyond: float, more: bool = True) -> str:
    """Whether the claim holds that something is more, or less, than `beyond`."""
    if interval.low > beyond or interval.high < beyond:
        return "reproduced" if (interval.low > beyond) == more else "contradicted"
    return "undecided"


def scores(target: Target) -> Mapping[Arm, float]:
    """The last scores of a target's arms, each at the best of its learning rates; endless where no training came to its end."""
    found: dict[Arm, float] = {}
    for cell in target.cells:
        last = next((run.scores[-1] for run in cell.runs if run.alive), math.inf)
        found[cell.arm] = min(found.get(cell.arm, math.inf), last)
    return found


def arm_of(source: str, networks: str) -> Arm:
    """That of a source and a choice of networks, "none" from scratch."""
    return SCRATCH_ARM if networks == "none" else Arm.finetuned(source, networks)


def compared(targets: Sequence[Target], worse: str, better: str) -> tuple[Interval, int, int]:
    """How many times the score of `better` that of `worse` comes to; in how many pairs of target and source it is above it.

    The ratio is a geometric mean over a target's sources, then over targets, which are taken to be independent.
    """
    logs = [
        [math.log(found[arm_of(source, worse)]) - math.log(found[arm_of(source, better)]) for source in target.sources]
        for target in targets
        for found in [scores(target)]
    ]
    pairs = [each for own in logs for each in own]
    return Interval.of([float(np.mean(own)) for own in logs]).ratio, sum(each > 0 for each in pairs), len(pairs)


ORDERINGS = (
    ("both networks beat the discriminator alone", "discriminator", "both"),
    ("both networks beat the generator alone", "generator", "both"),
    ("both networks beat scratch", "none", "both"),
    ("the discriminator alone beats scratch", "none", "discriminator"),
    ("scratch beats the generator alone", "generator", "none"),
    ("the discriminator matters more than the generator", "generator", "discriminator"),
)
"""Claims that the first choice of networks is the worse one."""


def orderings(targets: Sequence[Target]) -> Iterator[Finding]:
    """What the paper says of which networks to transfer."""
    for claim, worse, better in ORDERINGS:
        ratio, above, pairs = compared(targets, worse, better)
        turned, below, _ = compared(targets, better, worse)
        names = {"none": "scratch"}
        said = f"{names.get(worse, worse)} over {names.get(better, better)}: {ratio}, above it in {above} of {pairs}"
        numbers = f"{said}; turned round {turned}, {below} of {pairs}"
        yield Finding(claim, numbers, verdict(ratio, 1.0))


def part(target: Target, source: str, name: str) -> float:
    """A part of a source's likeness."""
    value = target.likeness[source][name].value
    assert value is not None, f"{source} has no {name} to {target.name}"
    return value


def images_per_class(target: Target, source: str) -> float:
    """Density, as a source's domain has it."""
    return part(target, source, "images") / part(target, source, "classes")


def correlation(targets: Sequence[Target], name: str, icons: bool) -> Interval:
    """Spearman's, of a part of likeness with the score of both networks over a target's sources; over targets."""
    found = []
    for target in targets:
        sources = [source for source in target.sources if icons or source != ICONS]
        parts = [images_per_class(target, s) if name == "images_per_class" else part(target, s, name) for s in sources]
        by_score = [scores(target)[Arm.finetuned(source, "both")] for source in sources]
        found.append(float(spearmanr(parts, by_score)[0]))
    return Interval.of(found)


CORRELATIONS = (
    ("the Frechet distance between source and target tells which source is best", "fd", True),
    ("many images of few classes beat few images of many", "images_per_class", False),
    ("recall of the target by the source's samples predicts transfer", "recall", False),
    ("coverage predicts transfer", "coverage", False),
)
"""Claims on what goes with a lower score; True where more of it is to go with a higher one."""


CONFOUNDED = "images_per_class"
"""What decides nothing, however wide its interval: no source has both density and diversity, and they differ in all else too."""


def correlations(targets: Sequence[Target]) -> Iterator[Finding]:
    """What tells which source is best."""
    for claim, name, more in CORRELATIONS:
        whole, photos = (correlation(targets, name, icons) for icons in (True, False))
        numbers = f"Spearman's {name} with FD {whole}, without icons {photos}"
        judged = {verdict(each, 0.0, more) for each in (whole, photos)}
        decided = len(judged) == 1 and name != CONFOUNDED
        yield Finding(claim, numbers, judged.pop() if decided else "undecided")


def firsts(targets: Sequence[Target]) -> Finding:
    """How often the first source was the best, by distance and by rank."""

    def best(target: Target) -> str:
        return min(target.sources, key=lambda source: scores(target)[Arm.finetuned(source, "both")])

    by_distance = sum(min(target.distances, key=lambda s: target.distances[s]) == best(target) for target in targets)
    by_rank = sum(target.sources[0] == best(target) for target in targets)
    numbers = f"the best of 6 on {by_distance} of {len(targets)} targets, the first by `rank` on {by_rank}"
    return Finding("the first source by distance is the best", numbers, "-")


def untouched(targets: Sequence[Target]) -> Finding:
    """What fine-tuning adds to a source sampled as it is."""
    ratios = {
        f"{source} for {target.name}": scores(target)[Arm.finetuned(source, "both")] / scores(target)[as_it_is(source)]
        for target in targets
        for source in target.sources
    }
    above = ", ".join(name for name, ratio in ratios.items() if ratio > 1)
    numbers = f"{min(ratios.values()):.2f} to {max(ratios.values()):.2f} times its FD; no gain: {above}"
    return Finding("fine-tuning both networks beats the source as it is", numbers, "-")


def fewer_images() -> Iterator[Finding]:
    """What docs/limited-data.csv says of photos: the gain by how many there are, and the knobs by seed."""
    rows = read_rows(LIMITED)
    fd = {(row["table"], row["arm"], int(row["images"]), int(row["seed"])): float(row["fd"]) for row in rows}
    seeds = sorted({seed for table, _, _, seed in fd if table == "photos"})
    gains = {
        images: [
            math.log(fd["photos", "scratch + DiffAugment", images, s] / fd["photos", "transfer", images, s])
            for s in seeds
        ]
        for images in (100, 300, 1_000)
    }
    change = Interval.of([more - few for few, more in zip(gains[100], gains[1_000], strict=True)]).ratio
    means = ", ".join(f"{math.exp(float(np.mean(own))):.2f} at {images:,}" for images, own in gains.items())
    yield Finding(
        "the gain shrinks with more target images",
        f"scratch with DiffAugment over transfer: {means}; gain at 1,000 over that at 100 {change}, {len(seeds)} seeds",
        verdict(change, 1.0, more=False),
    )
    for knob in ("FreezeD", "DiffAugment"):
        ahead: dict[str, list[bool]] = {}
        for (table, arm, images, seed), score in fd.items():
            if arm == f"transfer + {knob}":
                ahead.setdefault(table, []).append(score < fd[table, "transfer", images, seed])
        numbers = ", ".join(
            f"{table}: ahead of plain transfer {sum(own)} of {len(own)}" for table, own in ahead.items()
        )
        yield Finding(f"{knob} helps few images", numbers, "undecided")


def whole_waves(table: pa.Table, seed: int = WAVES[0].seed) -> list[Wave]:
    """Those of a seed and the table's first budget that all targets have, one a pair of rates."""
    there = set(table["study"].unique().to_pylist())
    alike = [wave for wave in WAVES if (wave.seed, wave.images) == (seed, WAVES[0].images)]
    return [wave for wave in alike if there.issuperset(wave.study(target) for target in TARGETS)]


def recorded(waves: Sequence[Wave]) -> list[Target]:
    """The table's targets, by the studies of these waves."""
    wanted = {wave.study(target) for wave in waves for target in TARGETS}
    return targets_of(study for study, _ in told(pq.read_table(TABLE), None) if study.study in wanted)


def of_table(targets: Sequence[Target]) -> Iterator[Finding]:
    """What the table tells."""
    yield from orderings(targets)
    yield from correlations(targets)
    yield firsts(targets)
    yield untouched(targets)


def printed(title: str, found: Iterable[Finding]) -> None:
    """A table in Markdown."""
    print(f"\n{title}\n\n| claim | numbers | verdict |\n|---|---|---|")
    for each in found:
        print(f"| {each.claim} | {each.numbers} | {each.verdict} |")


def main() -> None:
    """Print the tables."""
    every = whole_waves(pq.read_table(TABLE))
    printed("At the first learning rates", of_table(recorded(every[:1])))
    if len(every) > 1:
        printed(f"Each arm at the best of {len(every)} pairs of learning rates", of_table(recorded(every)))
    printed("Few images", fewer_images())


if __name__ == "__main__":
    main()
