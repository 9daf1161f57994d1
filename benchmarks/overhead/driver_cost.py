"""What the driver costs: trials that do nothing, through Optuna, the ledger, Ray and Tune.

    python -m benchmarks.overhead.driver_cost --trials 2000 --at-once 16

A trial reports one row and ends. Prints trials a minute at the start and at the end of the study, and their ratio.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

from ray import tune

from benchmarks import small_study  # sets Ray's variables
from search.records.results import load
from search.running.tune import run_study
from spaces.trials import parse_trial_json


def nothing(parameters: Mapping[str, Any]) -> None:
    """A trial that is through at once, with a score that its seed decides."""
    config = parse_trial_json(parameters["config"], "a trial")
    tune.report({"status": "completed", "images_seen": config.budget.images, "iw": float(config.seed), "iterations": 1})


def main() -> None:
    """Run a study of trials that do nothing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--sampler", default="tpe", choices=("tpe", "random"))
    given = parser.parse_args()
    with small_study.temporary_home() as home:
        paths, spec = small_study.small_study(
            home, trials=given.trials, concurrency=given.at_once, sampler=given.sampler, early_stopping=True
        )
        start = time.monotonic()
        run_study(home, paths, spec, trainable=nothing)
        took = time.monotonic() - start
        ends = sorted(path.stat().st_mtime for path in paths.evaluations.glob("*.parquet"))
        statuses = load(paths.evaluations).column("status").to_pylist()
    assert statuses == ["completed"] * given.trials, f"{set(statuses)=}"
    span = max(2, given.trials // 10)
    skip = given.at_once  # the first ones wait for their processes
    rates = [60 * (span - 1) / (part[-1] - part[0]) for part in (ends[skip : skip + span], ends[-span:])]
    print(f"{given.trials} trials, {given.at_once} at once, sampler {given.sampler}: {took:.0f} s in all")
    print(f"trials/min over the first {span}: {rates[0]:.0f}")
    print(f"trials/min over the last {span}:  {rates[1]:.0f}")
    print(f"end / start: {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
