"""Runs the trials of the cases."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from method_cases import config_of

from trainables.methods.registry import method_of
from trainables.running.given import gather
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.learner import Learner
from trainables.training.loop import Evaluation, evaluations
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles

CPU = torch.device("cpu")


def files_in(folder: Path) -> TrialFiles:
    return TrialFiles(folder, folder / "samples")


def run(case: str, home: Home, folder: Path) -> list[Evaluation]:
    return list(evaluations(run_trial(config_of(case), home, files_in(folder), CPU)))


def run_broken(case: str, home: Home, folder: Path) -> list[Evaluation]:
    """As `run`, killed after the first evaluation and taken up again; gives what the second process did."""
    begun = evaluations(run_trial(config_of(case), home, files_in(folder), CPU))
    next(begun)
    del begun
    return run(case, home, folder)


def learner_of(case: str, home: Home) -> Learner:
    config = config_of(case)
    return method_of(config.method).build(config, gather(config, home), CPU, Group())


def numbers(found: list[Evaluation]) -> list[dict[str, Any]]:
    """All but the seconds."""
    return [{k: v for k, v in each.as_dict().items() if not k.endswith("_seconds")} for each in found]


@dataclass(frozen=True)
class Trained:
    """What a case's trial gave, unbroken and broken off, and where its files are."""

    unbroken: list[Evaluation]
    resumed: list[Evaluation]
    folder: Path

    @property
    def files(self) -> tuple[TrialFiles, TrialFiles]:
        """Of the unbroken trial, and of the other."""
        return files_in(self.folder / "unbroken"), files_in(self.folder / "broken")
