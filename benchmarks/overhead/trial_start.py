"""Times the start of a trial, from the scheduler's decision to its first training step, and tells where the time goes.

    python -m benchmarks.overhead.trial_start

Trials are of the quickstart space (width 16, 32 pixels, grafted on builtin source models) and have one worker; actors
are reused. The decision is when the searcher asks the ledger for a trial.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray import tune

from benchmarks import small_study  # sets Ray's variables
from search.launch import resolve_study
from search.records.study import StudyPaths, write_spec
from search.running.ledger import Ledger
from search.running.tune import run_study
from spaces.config import Budget, TrialConfig
from spaces.protocol import IwProtocol
from spaces.trials import parse_trial_json
from trainables.images.domains import write_domain
from trainables.machine.devices import use_cores
from trainables.running.trial import run_trial
from trainables.running.tune_trial import TrialJob
from trainables.storage.home import Home
from trainables.training.loop import Progress

STAGES = ("ask", "hand over", "set up", "first step")


def stamped(parameters: Mapping[str, Any]) -> None:
    """The trial as `tune_trial` trains it, with the times of its entry, first and second iteration left in a file."""
    stamps = {"entered": time.time()}
    job = TrialJob(**parameters)
    use_cores(job.threads)
    config = parse_trial_json(job.config, "a trial")
    for item in run_trial(config, Home(Path(job.home)), job.files, torch.device("cpu")):
        if isinstance(item, Progress):
            if item.begun <= 2:
                stamps[("first", "second")[item.begun - 1]] = time.time()
            continue
        (job.files.folder / "stamps.json").write_text(json.dumps(stamps))
        tune.report(item.row() | {"status": item.status})


def stamp_asks(stamps: dict[int, tuple[float, float]]) -> None:
    """Let the ledger note when it is asked, and when it has answered."""
    ask = Ledger.ask

    def timed(ledger: Ledger) -> tuple[int, TrialConfig] | None:
        start = time.time()
        if asked := ask(ledger):
            stamps[asked[0]] = start, time.time()
        return asked

    Ledger.ask = timed  # type: ignore[method-assign]


def main() -> None:
    """Run a study, and print the median of each part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--at-once", type=int, default=1)
    given = parser.parse_args()
    asked: dict[int, tuple[float, float]] = {}
    stamp_asks(asked)
    with small_study.temporary_home() as home:
        images = np.random.default_rng(0).integers(0, 255, (500, 3, 32, 32), dtype=np.uint8)
        write_domain(
            home.domain("noise"),
            images,
            np.zeros(500, np.int64),
            np.arange(500) % 10 == 0,
            origin="noise",
            resizer="none",
        )
        spec = resolve_study(
            home,
            "noise",
            "quickstart",
            trials=given.trials,
            concurrency=given.at_once,
            threads_per_trial=1,
            early_stopping=False,
        ).spec
        iw = IwProtocol(folds=4, partitions=1)
        protocol = spec.base.protocol.model_copy(update={"metrics": ("iw",), "n_fake": 16, "iw": iw})
        budget = Budget(images=480, eval_every_images=480)
        spec = spec.model_copy(update={"base": spec.base.model_copy(update={"protocol": protocol, "budget": budget})})
        paths = StudyPaths.of(home, spec.name)
        write_spec(paths, spec)
        run_study(home, paths, spec, trainable=stamped)
        times = []
        for number, (start, answered) in sorted(asked.items())[2 * given.at_once :]:  # the first start their process
            stamps = json.loads((paths.trial(number) / "stamps.json").read_text())
            marks = [start, answered, stamps["entered"], stamps["first"], stamps["second"]]
            times.append([after - before for before, after in pairwise(marks)])
    print(f"{len(times)} trials, {given.at_once} at once, after the first ones; seconds, median and 90th percentile")
    for name, values in zip(STAGES, zip(*times, strict=True), strict=True):
        print(f"{name:20}{statistics.median(values):7.3f}{np.quantile(values, 0.9):8.3f}")
    begun, ended = [sum(parts[:3]) for parts in times], [sum(parts) for parts in times]
    for name, values in (("until the step begins", begun), ("until it is done", ended)):
        print(f"{name:20}{statistics.median(values):7.3f}{np.quantile(values, 0.9):8.3f}")


if __name__ == "__main__":
    main()
