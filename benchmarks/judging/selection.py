"""Counts how often the best of several configurations is called better where nothing is.

    python -m benchmarks.judging.selection [WORLDS]

In a null world every configuration, and scratch, has the same true score, and seeds differ by 10 %. Nine configurations of
transfer stand against one of scratch (or three). Printed are how often the 95 % interval of the gain over scratch lies above
zero (2.5 % is promised), how often it holds the true gain, and how far the gain is off in the mean, in standard deviations
of a single training; by Welch's t interval around the best one, and by what `analysis.findings.selection` leaves of it. In
the other worlds configurations differ by `spread`, in logs, and the best one is really better.
"""

import sys
from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import stdtrit

from analysis.findings.selection import left

SIGMA, CONFIGURATIONS = 0.1, 9


def welch(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """The difference of two means with its 95 % interval."""
    variances = [float(np.var(values, ddof=1)) / len(values) for values in (ours, theirs)]
    degrees = sum(variances) ** 2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, (ours, theirs), strict=True))
    half = float(stdtrit(degrees, 0.975)) * sum(variances) ** 0.5
    gap = float(theirs.mean() - ours.mean())
    return gap, gap - half, gap + half


def world(rng: np.random.Generator, seeds: int, scratches: int, spread: float) -> list[tuple[bool, bool, float]]:
    """Draw a world; of each way, whether it claims a gain, whether its interval holds the true one, and how far it is off."""
    truths = [rng.normal(0, spread, n) for n in (CONFIGURATIONS, scratches)]
    sides = [np.exp(truth[:, None] + rng.normal(0, SIGMA, (len(truth), seeds))) for truth in truths]
    orders = [np.argsort(side.mean(1)) for side in sides]
    ours, theirs = (side[order] for side, order in zip(sides, orders, strict=True))
    truth = float(np.exp(truths[1][orders[1][0]]) - np.exp(truths[0][orders[0][0]]))
    found = left(ours.tolist(), theirs.tolist(), 1, is_ratio=True)
    assert found is not None, "every configuration has two seeds or more"
    ways = (welch(ours[0], theirs[0]), (found.expected, found.low, found.high))
    return [(low > 0 and truth <= 0, low <= truth <= high, (gap - truth) / SIGMA) for gap, low, high in ways]


def main(worlds: int) -> None:
    """Print a row a kind of world."""
    heads = [f"{what}, {way}" for what in ("wrong claims", "interval holds", "off, sd") for way in ("Welch", "left")]
    table = Table("seeds", "scratch", "spread", *heads, box=None)
    for seeds, scratches, spread in product((2, 3), (1, 3), (0.0, 0.1, 0.3)):
        rng = np.random.default_rng([seeds, scratches, int(spread * 10)])
        claims, held, off = np.array([world(rng, seeds, scratches, spread) for _ in range(worlds)]).mean(0).T
        cells = [*(f"{x:.1%}" for x in claims), *(f"{x:.1%}" for x in held), *(f"{x:+.2f}" for x in off)]
        table.add_row(f"{seeds}", f"{scratches}", f"{spread}", *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
