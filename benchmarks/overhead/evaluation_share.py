"""What evaluating costs beside training, of a trial of `quickstart` with default settings.

    python -m benchmarks.overhead.evaluation_share

Side by side: the trial as it is searched with, and the same with everything measured of all images at every rung, as versions
before rungs did. Real trials, from the builtin source model mdi on the digits of MNIST, one thread; medians over repeats.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import torch

from search.launch import resolve_study
from search.proposals import load_space, overlaid
from spaces.config import TrialConfig
from spaces.trials import parse_trial
from trainables.images.importing.importers import add_domain
from trainables.machine.devices import best_device, use_cores
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import Evaluation, evaluations
from trainables.training.trial_files import TrialFiles


def configs(home: Home) -> dict[str, TrialConfig]:
    """The two trials, by name."""
    base = resolve_study(home, "digits", "quickstart", sources="mdi").spec.base
    now = overlaid(base, {"source": "mdi"} | dict(load_space("quickstart").transfer_first[0]), "benchmark")
    values = now.model_dump()
    values["protocol"]["n_rung"] = None
    values["budget"] |= {"eval_growth": 1, "eval_start": False}
    return {"everything at every rung": parse_trial(values, "benchmark"), "one number at a rung": now}


def last(config: TrialConfig, home: Home, folder: Path, device: torch.device) -> Evaluation:
    """Train to the end."""
    *_, last = evaluations(run_trial(config, home, TrialFiles(folder / "trial", folder / "samples"), device))
    return last


def main(repeats: int) -> None:
    """Print a row a trial: seconds of training and of evaluating, and the share."""
    use_cores(1)
    with tempfile.TemporaryDirectory() as name:
        home, device = Home(Path(name) / "home"), best_device()
        add_domain(home, "digits", "builtin:mnist", 32)
        trials = configs(home)
        seconds: dict[str, list[tuple[float, float]]] = {what: [] for what in trials}
        for repeat in range(-1, repeats):  # the first leaves what is computed once a domain
            for what, config in trials.items():
                end = last(config, home, Path(name) / f"{what} {repeat}", device)
                if repeat >= 0:
                    seconds[what].append((end.train_seconds, end.wall_seconds - end.train_seconds))
    print(f"{'':28} {'training':>10} {'evaluating':>11} {'of training':>12}")
    for what, found in seconds.items():
        training, evaluating = (median(column) for column in zip(*found, strict=True))
        print(f"{what:28} {training:8.1f} s {evaluating:9.1f} s {evaluating / training:11.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    main(parser.parse_args().repeats)
