"""A made-up table, to try a replay before anything is recorded: of a world that the model of transfer does not have.

Its scores have effects that the model knows (source, parts, nearness, rates) and such that it does not: the best rates of an
arm are its own, curves cross, trials from scratch begin late. Nothing that a replay says of it is evidence of anything.
"""

import json
import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from search.picking.arms import SCRATCH_ARM, Arm, trial_values
from search.picking.recorded import ABOUT
from search.records.results import SCHEMA, flat_config
from spaces.presets import small
from spaces.trials import parse_trial

TARGETS = ("cats", "insects", "nature_scenes", "structures")
SOURCES = ("cats", "dogs", "hoofed", "insects", "nature_scenes", "structures", "mdi")
RATES = (3e-4, 1e-3, 3e-3)
EVALUATIONS, IMAGES = 8, 6_144

_MEASURED = {
    "extractor": "efficientnet_lite0",
    "input_size": 64,
    "resizer": "made up",
    "split": "train",
    "n_fake": 1_000,
    "metric_seed": 0,
}


def made_up(seed: int = 0, seeds: int = 1) -> pa.Table:
    """The table of one such world: every arm at every pair of rates, on every target, with so many seeds."""
    rng = np.random.default_rng(seed)
    of_source = dict(zip(SOURCES, rng.normal(0, 0.25, len(SOURCES)), strict=True))
    rows: list[dict[str, Any]] = []
    rankings = {}
    for target in TARGETS:
        sources = [source for source in SOURCES if source != target]
        near = dict(zip(sources, rng.normal(0, 0.3, len(sources)), strict=True))
        rankings[target] = _ranking({source: math.exp(7.5 + z + rng.normal(0, 0.1)) for source, z in near.items()})
        gains = {source: -0.6 + of_source[source] + 0.5 * near[source] + rng.normal(0, 0.1) for source in sources}
        trials = _trials(gains, rng.normal(7.5, 0.3), seeds, rng)
        for number, (arm, rates, own_seed, curve) in enumerate(trials):
            rows += _rows(target, number, arm, rates, own_seed, curve)
    about = {"studies": {}, "rankings": rankings}
    return pa.Table.from_pylist(rows, SCHEMA).replace_schema_metadata({ABOUT: json.dumps(about).encode()})


def _ranking(distances: dict[str, float]) -> dict[str, Any]:
    """As a study keeps it, as far as evidence is read from it."""
    order = sorted(distances, key=lambda source: distances[source])
    rows = [
        {"source": source, "rank": float(place), "parts": {"fd": {"value": distances[source]}}}
        for place, source in enumerate(order, 1)
    ]
    return {"counted": ["fd"], "rows": rows}


_Trial = tuple[Arm, tuple[float, float] | None, int, list[float]]


def _trials(gains: dict[str, float], level: float, seeds: int, rng: np.random.Generator) -> Iterator[_Trial]:
    """Arm, rates, seed and log scores of every trial on a target."""
    arms = [SCRATCH_ARM, *(Arm.finetuned(*way) for way in product(gains, ("both", "generator", "discriminator")))]
    of_parts = {"none": 0.0, "both": 0.0, "generator": 0.25, "discriminator": 0.35}
    for arm in arms:
        best = np.log(1e-3) + rng.normal(0, 0.5, 2)
        start = (0.0 if arm.source is None else gains[arm.source]) + of_parts[arm.parts]
        late = 0.9 if arm.source is None else 0.3
        for g, d in product(RATES, RATES):
            off = 0.08 * float(((np.log([g, d]) - best) ** 2).sum()) + rng.normal(0, 0.03)
            for own_seed in range(seeds):
                final = level + start + off + rng.normal(0, 0.03)
                left = 1 - np.arange(1, EVALUATIONS + 1) / EVALUATIONS
                yield arm, (g, d), own_seed, list(final + late * left + rng.normal(0, 0.03, EVALUATIONS) * (left > 0))
    for source, gain in gains.items():
        yield Arm("as_is", source, "none"), None, 0, [level + gain + 0.15 + rng.normal(0, 0.05)]


def _rows(
    target: str, trial: int, arm: Arm, rates: tuple[float, float] | None, seed: int, curve: list[float]
) -> Iterator[dict[str, Any]]:
    base = small(target, 32).model_dump() | {"budget": {"images": IMAGES, "eval_every_images": IMAGES // EVALUATIONS}}
    config = parse_trial(trial_values(base, target, arm, rates) | {"seed": seed}, "a made-up trial")
    known = flat_config(config) | _MEASURED | {"study": f"made-up-{target}", "trial": trial, "retries": 0}
    for step, log_score in enumerate(curve, 0 if rates is None else 1):
        seen = step * (IMAGES // EVALUATIONS)
        seconds = 4.0 if rates is None else 9.0 * step
        said = {"status": "completed", "images_seen": seen, "iterations": seen // 32, "fd": math.exp(log_score)}
        yield known | said | {"wall_seconds": seconds}
