"""A study with one trial that really was trained."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from search.records.results import write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.config import TrialConfig
from trainables.running.trial import run_trial
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.loop import evaluations
from trainables.training.trial_files import TrialFiles

Finish = Callable[..., StudyPaths]


@pytest.fixture
def finish(home: Home, tiny_config: Callable[..., TrialConfig]) -> Finish:
    """Makes a study "s" of one trial, which really was trained; keywords are the trial's config's."""

    def make(digests: dict[str, str] | None = None, **fields: Any) -> StudyPaths:
        paths, config = StudyPaths.of(home, "s"), tiny_config(**fields)
        spec: dict[str, Any] = {
            "name": "s",
            "target": config.target,
            "space": "quickstart",
            "trials": 2,
            "sources": [],
            "train_images": 40,
            "base": config.model_dump(),
            "digests": digests or {},
            "versions": {"understock": "0.1.0"},
            "created": "2026",
        }
        write_spec(paths, StudySpec.parse(spec, "test"))
        files = TrialFiles(paths.trial(0), paths.samples(0))
        rows = [each.row() for each in evaluations(run_trial(config, home, files, torch.device("cpu")))]
        write_trial(paths.evaluation(0), config, study="s", trial=0, status="completed", evaluations=rows)
        return paths

    return make


@pytest.fixture
def finished(finish: Finish) -> StudyPaths:
    """Study "s" from scratch."""
    return finish()


@pytest.fixture
def from_a_source(finish: Finish, tiny_source: SourceModel) -> StudyPaths:
    """Study "s" from source "seed-7"."""
    return finish({"source:seed-7": tiny_source.facts.digest}, source="seed-7")
