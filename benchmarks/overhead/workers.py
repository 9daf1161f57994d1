"""Measures what several workers a trial cost: python -m benchmarks.overhead.workers [TRIALS]

It takes some minutes, and prints two tables. One has the trials a minute of a study whose trials are nearly nothing
(one iteration, one small evaluation), one trial at a time, with one worker and with two on this machine. The other is
of a trial of two workers: the seconds from Ray Train's `fit` to the first all-reduce, and from the last to the return,
with understock's settings and with Ray Train's own.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

START_UPS = 3
"""How many fits in a row are timed."""


def trials_a_minute(workers: int, trials: int, home_folder: Path) -> float:
    """Run a study; give its trials a minute from the end of the first to that of the last, without Ray's start."""
    from search.launch import begin, resolve_study
    from search.records.study import open_study
    from search.running.tune import run_study
    from trainables.images.importing.importers import add_domain
    from trainables.storage.home import Home

    home = Home.make(home_folder)
    if "mnist" not in home.names("domains"):
        add_domain(home, "mnist", "builtin:mnist", 32)
    spec = resolve_study(
        home,
        "mnist",
        "quickstart",
        name=f"workers-{workers}",
        sources="mnist",
        max_images=1,
        trials=trials,
        sampler="random",
        concurrency=1,
        threads_per_trial=1,
        workers_per_trial=workers,
    ).spec
    protocol = spec.base.protocol.model_copy(update={"metrics": (spec.metric,), "n_fake": 100})
    begin(home, spec.model_copy(update={"base": spec.base.model_copy(update={"protocol": protocol})}))
    paths, spec = open_study(home, spec.name)
    run_study(home, paths, spec)
    ends = sorted(path.stat().st_mtime for path in paths.evaluations.glob("[!.]*.parquet"))
    return 60 * (len(ends) - 1) / (ends[-1] - ends[0])


def start_ups(workers: int) -> None:
    """Print the seconds to the first all-reduce, and from the last one to the return, of each of some fits in a row."""
    from trainables.cluster.connection import connected
    from trainables.cluster.crew import Crew
    from trainables.cluster.workers import fit

    with tempfile.TemporaryDirectory() as folder, connected(None, workers, Path(folder) / "ray.log"):
        for _ in range(START_UPS):
            start = time.time()
            fit(_step, {"file": f"{folder}/stepped"}, Crew(workers, 1, 0.0), Path(folder))
            stepped = float(Path(folder, "stepped").read_text())
            print(f"{stepped - start:.2f} {time.time() - stepped:.2f}")


def _step(parameters: dict[str, Any]) -> None:
    import torch

    from trainables.training.parallel import Group

    group = Group.current(2)
    group.average_([torch.ones(1)])
    if group.rank == 0:
        Path(parameters["file"]).write_text(str(time.time()))


RAYS_OWN_SETTINGS = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "2",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "1",
    "RAY_TRAIN_METRICS_ENABLED": "1",
}


def measured_start_ups(settings: dict[str, str]) -> tuple[float, float]:
    """Run `start_ups` in a process of its own, as settings are read when Ray is imported; give the two medians."""
    root = str(Path(__file__).parents[2])
    environment = os.environ | settings | {"PYTHONPATH": root}
    command = [sys.executable, __file__, "start-ups"]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    times = [tuple(map(float, line.split())) for line in said.splitlines()]
    return median(time[0] for time in times), median(time[1] for time in times)


def main(trials: int) -> None:
    """Measure and print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        print("| workers a trial | trials a minute |\n|---|---|")
        for workers in (1, 2):
            print(f"| {workers} | {trials_a_minute(workers, trials, Path(folder)):.1f} |")
    print("\n| two workers | fit to first step, s | last step to return, s |\n|---|---|---|")
    for name, settings in (("understock's settings", {}), ("Ray Train's own", RAYS_OWN_SETTINGS)):
        first, last = measured_start_ups(settings)
        print(f"| {name} | {first:.1f} | {last:.1f} |")


if __name__ == "__main__":
    if sys.argv[1:] == ["start-ups"]:
        start_ups(2)
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 8)
