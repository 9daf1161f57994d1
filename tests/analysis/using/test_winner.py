from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.using.winner import export_model, model_path
from search.records.results import write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial_json
from trainables.methods.registry import open_sampler
from trainables.running import trial
from trainables.storage.home import Home
from trainables.training.loop import Evaluation, evaluations
from trainables.training.trial_files import TrialFiles


def run_trial(*given: Any) -> Iterator[Evaluation]:
    """The evaluations of a trial, without the progress between them."""
    return evaluations(trial.run_trial(*given))


@pytest.fixture
def finished(home: Home, tiny_config: Callable[..., TrialConfig]) -> StudyPaths:
    """A study "s" of one trial, which really was trained."""
    paths, config = StudyPaths.of(home, "s"), tiny_config()
    spec: dict[str, Any] = {
        "name": "s",
        "target": "dots",
        "space": "quickstart",
        "trials": 2,
        "sources": [],
        "train_images": 40,
        "base": config.model_dump(),
    }
    write_spec(paths, StudySpec.parse(spec | {"digests": {}, "versions": {}, "created": "2026"}, "test"))
    files = TrialFiles(paths.trial(0), paths.samples(0))
    rows = [evaluation.row() for evaluation in run_trial(config, home, files, torch.device("cpu"))]
    write_trial(paths.evaluation(0), config, study="s", trial=0, status="completed", evaluations=rows)
    return paths


def test_a_study_and_a_trial_name_the_same_generator(home: Home, finished: StudyPaths) -> None:
    assert model_path(home, "s") == model_path(home, "s:0") == finished.trial(0) / "model"


@pytest.mark.parametrize(
    ("name", "said"), [("s:1", "left no generator"), ("s:x", "a number was expected"), ("t", "unknown study")]
)
def test_what_is_not_there_is_named(home: Home, finished: StudyPaths, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        model_path(home, name)


def test_an_exported_generator_draws_the_same_images(home: Home, finished: StudyPaths, tmp_path: Path) -> None:
    export_model(model_path(home, "s"), tmp_path / "out")
    one, other = (open_sampler(path)(8, seed=3) for path in (tmp_path / "out", finished.trial(0) / "model"))
    assert torch.equal(one.images, other.images)
    assert parse_trial_json((tmp_path / "out" / "config.json").read_text(), "config.json").target == "dots"
