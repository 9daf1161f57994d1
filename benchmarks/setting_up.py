"""What benchmarks begin with: builtin domains in a home, the extractor that scores, and learners that are stepped by hand."""

from collections.abc import Iterator
from typing import Any

import torch

from spaces.config import TrialConfig
from spaces.protocol import LITE0
from trainables.images.importing.importers import add_domain
from trainables.methods.registry import method_of
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.learner import Learner
from trainables.training.parallel import Group

CPU = torch.device("cpu")
JUDGES = (LITE0, "random_convnet")
"""Extractors that a benchmark is scored by: the default, and one that nobody trained."""


def ending(extractor: str) -> str:
    """What names of studies and files end with whose scores are in that extractor's features."""
    return "" if extractor == LITE0 else f"-{extractor}"


def add_builtin(home: Home, *names: str) -> None:
    """Put the builtin domains of these names, at 32 pixels, into the home where it lacks them."""
    there = home.names("domains")
    for name in names:
        if name not in there:
            add_domain(home, name, f"builtin:{name}", 32)


def learner_of(config: TrialConfig, home: Home) -> tuple[Learner, Iterator[Any]]:
    """A trial's learner on one CPU process as it begins, and the endless batches that its steps take."""
    method, given = method_of(config.method), gather(config, home)
    return method.build(config, given, CPU, Group()), method.batches(config, given, 0, CPU)
