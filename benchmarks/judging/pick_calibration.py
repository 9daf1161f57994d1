"""Counts how often `pick` is right, on made-up homes of known truth: python -m benchmarks.judging.pick_calibration [HOMES]

Each home has trials of 3 targets x (scratch, 3 sources x 3 choices of networks) x 2 seeds, drawn from a world in which
sources differ, targets differ by `tau` and seeds by `sigma`. `pick` is asked for a target of the home, and for one that
was never trained on. Printed are how often the 90 % interval of pick's score relative to scratch holds the truth, how
often it says that one arm is better than another, how often that is wrong, and how much worse the pick is than the best
arm.
"""

import sys
from itertools import product

import numpy as np
from rich.console import Console
from rich.table import Table

from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.bench import Bench, Network
from search.picking.evidence import Evidence, Tried
from search.picking.pick import expected, judge, rivals
from spaces.presets import small

SOURCES, TRANSFERRED, SEEDS = ("a", "b", "c"), ("both", "generator", "discriminator"), 2
ARMS: list[Arm] = [SCRATCH_ARM, *(Arm.finetuned(*way) for way in product(SOURCES, TRANSFERRED))]
BENCH = Bench("fd", ("efficientnet_lite0", 64, "", "train", 1_000), Network(32, 16, 128))


def home(rng: np.random.Generator, tau: float, sigma: float) -> tuple[Evidence, dict[str, dict[Arm, float]]]:
    """Draw a home: trials of targets t0 to t2, and the true log score of each arm on these and on t3."""
    gain, of_source = -rng.uniform(0, 1), dict(zip(SOURCES, rng.normal(0, 0.3, 3), strict=True))
    of_parts = {"both": 0.0, "generator": 0.2, "discriminator": 0.5}
    evidence, truths = Evidence(BENCH, 12_000), {}
    for target in ("t0", "t1", "t2", "t3"):
        near = dict(zip(SOURCES, rng.normal(0, 0.4, 3), strict=True))
        level, own = rng.normal(7, 0.5), rng.normal(0, tau)
        here = {source: rng.normal(0, tau) for source in SOURCES}
        truths[target] = {
            arm: level
            + (0.0 if s is None else gain + own + of_source[s] + here[s] + of_parts[arm.parts] + 0.2 * near[s])
            for arm in ARMS
            for s in [arm.source]
        }
        evidence.rankings[target] = {source: float(np.exp(7 + near[source])) for source in SOURCES}
        for seed, arm in product(range(SEEDS), ARMS if target != "t3" else []):
            score = float(np.exp(truths[target][arm] + rng.normal(0, sigma)))
            evidence.tried.append(Tried(target, seed, target, target, arm, score, 60.0, small(target, 32)))
    return evidence, truths


def trial(rng: np.random.Generator, tau: float, sigma: float, target: str, seed: int) -> tuple[bool, int, int, float]:
    """Draw a home and ask `pick` once.

    Gives whether the interval held the truth, the number of claims, the number of wrong ones, and the log of the pick's
    true score over the best arm's.
    """
    evidence, truths = home(rng, tau, sigma)
    truth = truths[target]
    judged = judge(evidence, target, SOURCES, seed)
    picked = judged.arms[judged.order[0]]
    _, to_scratch = expected(judged, seed)
    held = to_scratch.low <= np.exp(truth[picked] - truth[SCRATCH_ARM]) <= to_scratch.high
    said = [rival for rival in rivals(judged, evidence, target) if rival.separated]
    lesser = [truth[rival.arm] for rival in said]
    return bool(held), len(said), sum(other < truth[picked] for other in lesser), truth[picked] - min(truth.values())


def main(homes: int) -> None:
    """Print a row for each world and each kind of target, over so many homes."""
    outcomes = ("90 % interval holds", "claims a home (of 9)", "wrong claims", "pick over best")
    table = Table("tau", "sigma", "target", *outcomes, box=None)
    for tau, sigma, target in product((0.05, 0.2, 0.5), (0.03, 0.1, 0.3), ("t0", "t3")):
        rng = np.random.default_rng([int(tau * 100), int(sigma * 100)])
        held, claims, wrong, over = zip(*(trial(rng, tau, sigma, target, i) for i in range(homes)), strict=True)
        world = (f"{tau}", f"{sigma}", "tried" if target == "t0" else "new")
        claimed = (f"{np.mean(claims):.1f}", f"{sum(wrong) / max(1, sum(claims)):.1%}")
        table.add_row(*world, f"{np.mean(held):.0%}", *claimed, f"{np.exp(np.mean(over)) - 1:.1%}")
    Console(width=130).print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
