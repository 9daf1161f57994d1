"""Replays searches of few trials in the photo study: how far is the winner that they report behind the best?

    python -m benchmarks.judging.replay [--trials 12] [--repeats 4000]

A trial of the replay is one that was recorded (docs/photo-study.csv: three targets, three sources, which networks, two
seeds). A search sees one of the seeds' last scores a trial, drawn at random, and reports the choice with the best score
that it saw. It is behind by that choice's mean over both seeds beside the best choice's. Random search draws source and
networks as `quickstart` does. With whole configurations first, as a search has it today, every source comes first with both
networks, then scratch, and the rest is drawn; nearest first is by the source as it is, in docs/photo-transfer.csv. Learning
rates were not varied in that study, so what drawing them costs is not in it.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from spaces.config import SCRATCH

DOCS = Path(__file__).parents[2] / "docs"
PARTS = ("generator", "discriminator", "both")

Choice = tuple[str, str]
"""A source, and which of its networks."""
Recorded = Mapping[Choice, list[float]]
"""The last scores of each choice, by seed."""


def recorded() -> dict[str, dict[Choice, list[float]]]:
    """By target."""
    last: dict[tuple[str, str], dict[str, str]] = {}
    with (DOCS / "photo-study.csv").open() as file:
        for row in csv.DictReader(file):
            last[row["target"], row["trial"]] = row  # rows ascend
    found: dict[str, dict[Choice, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in last.values():
        found[row["target"]][row["source"], row["transfer/parts"]].append(float(row["fd"]))
    return found


def nearness() -> dict[str, dict[str, float]]:
    """By target, of each source what its generator scored before the first image."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    with (DOCS / "photo-transfer.csv").open() as file:
        for row in csv.DictReader(file):
            if row["images_seen"] == "0":
                found[row["target"]].setdefault(row["source"], float(row["fd"]))
    return found


def drawn(sources: list[str], rng: np.random.Generator) -> Choice:
    """A trial of random search."""
    source = str(rng.choice([SCRATCH, *sources]))
    return source, "none" if source == SCRATCH else str(rng.choice(PARTS))


def winner(first: list[Choice], of: Recorded, trials: int, rng: np.random.Generator) -> Choice:
    """What a search reports, of `trials` trials of which the first are given."""
    sources = sorted({source for source, _ in of if source != SCRATCH})
    seen = [*first, *(drawn(sources, rng) for _ in range(trials - len(first)))][:trials]
    return min((float(rng.choice(of[choice])), choice) for choice in seen)[1]


def show(trials: int, repeats: int) -> None:
    """Print a row a way of searching."""
    targets, near = recorded(), nearness()

    def whole(target: str) -> list[Choice]:
        sources = {source for source, _ in targets[target] if source != SCRATCH}
        return [*((s, "both") for s in sorted(sources, key=lambda s: near[target][s])), (SCRATCH, "none")]

    ways: dict[str, Callable[[str], list[Choice]]] = {
        "random search": lambda _: [],
        "whole configurations first": whole,
    }
    print(f"behind the best, of {trials} trials, in the mean of {repeats:,} replays")
    print(f"{'':30}" + "".join(f"{name:>15}" for name in targets) + f"{'mean':>10}")
    for way, first in ways.items():
        rng, behind = np.random.default_rng(0), []
        for name, of in targets.items():
            means = {choice: float(np.mean(scores)) for choice, scores in of.items()}
            found = [means[winner(first(name), of, trials, rng)] for _ in range(repeats)]
            behind.append(float(np.mean(found)) / min(means.values()) - 1)
        print(f"{way:30}" + "".join(f"{share:15.1%}" for share in behind) + f"{np.mean(behind):10.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=4000)
    given = parser.parse_args()
    show(given.trials, given.repeats)
