import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from search.launch import begin, resolve_study
from search.picking.arms import Arm
from search.picking.bench import Bench, Network
from search.picking.evidence import Evidence, Tried
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.config import TrialConfig
from spaces.presets import small
from spaces.protocol import SECONDS
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

SPACE = """
def space(trial, *, sources, train_images):
    source = trial.suggest_categorical("source", [*sources, "scratch"])
    trial.suggest_categorical("loss/n_critic", [1])
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_float("optim/lr_g", 1e-4, 1e-3, log=True)
"""

GRID = """
def space(trial, *, sources, train_images):
    source = trial.suggest_categorical("source", [*sources, "scratch"])
    if source != "scratch":
        trial.suggest_categorical("transfer/parts", ["generator", "both"])
    trial.suggest_int("seed", 0, 1)
"""


@pytest.fixture(scope="session")
def evidence_of() -> Callable[..., Evidence]:
    """Evidence of {target: {arm: [score of seed 0, of seed 1, ...]}}; `lr_g` by seed."""

    def make(scores: Mapping[str, Mapping[Arm, Sequence[float]]], lr_g: Sequence[float] = (1e-3,) * 9) -> Evidence:
        bench = Bench("fd", ("efficientnet_lite0", 64, "bicubic", "train", 1_000), Network(32, 16, 128))
        tried = [
            Tried(
                study=f"{target}-study",
                trial=i,
                target=target,
                level=target,
                arm=arm,
                score=score,
                seconds=60.0,
                config=config(target, i, lr_g[i]),
            )
            for target, arms in scores.items()
            for arm, found in arms.items()
            for i, score in enumerate(found)
        ]
        return Evidence(bench, 12_000, tried)

    def config(target: str, seed: int, lr_g: float) -> TrialConfig:
        config = small(target, 32)
        return config.model_copy(update={"seed": seed, "optim": config.optim.model_copy(update={"lr_g": lr_g})})

    return make


@pytest.fixture
def grid_code() -> str:
    return GRID


@pytest.fixture
def space_file(tmp_path: Any) -> Callable[[str], str]:
    """Writes a space's source code to a file, and gives what --space takes."""

    def write(code: str, function: str = "space") -> str:
        (tmp_path / "mine.py").write_text(code)
        return f"{tmp_path / 'mine.py'}:{function}"

    return write


@pytest.fixture
def new_study(
    home: Home, tiny_config: Callable[..., TrialConfig], tiny_source: SourceModel, space_file: Callable[[str], str]
) -> Callable[..., tuple[StudyPaths, StudySpec]]:
    """A study of domain "dots" on disk, with a protocol that costs next to nothing."""

    def make(code: str = SPACE, **settings: Any) -> tuple[StudyPaths, StudySpec]:
        tiny = tiny_config()
        values = {
            "name": "s",
            "sources": "seed-7",
            "max_images": 32,
            "trials": 4,
            "concurrency": 1,
            "threads_per_trial": 1,
        } | settings
        spec = resolve_study(home, tiny.target, space_file(code), **values).spec
        measured = tuple(goal for goal in spec.goals if goal != SECONDS)
        protocol = tiny.protocol.model_copy(update={"metrics": measured, "at_rungs": len(measured)})
        budget = tiny.budget.model_copy(update={"images": values["max_images"], "eval_every_images": 8})
        base = spec.base.model_copy(update={"protocol": protocol, "budget": budget})
        begin(home, spec.model_copy(update={"base": base}))
        return open_study(home, spec.name)

    return make


@pytest.fixture
def driver(home: Home) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts `understock resume s` as a process of its own, in a process group of its own, as a terminal does."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "understock", "resume", "s", "--home", str(home.root)]
        environment = os.environ | {"RAY_AUTH_MODE": "disabled"}
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
