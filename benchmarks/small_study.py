"""A study small enough to break hundreds of times, for other benchmarks: its domain and its networks are tiny."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a Ray of its own, on loopback

import numpy as np

from search.launch import resolve_study
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.config import Budget
from spaces.protocol import IwProtocol
from spaces.trials import parse_trial
from trainables.images.domains import write_domain
from trainables.storage.home import Home

NAME = "small"
"""The study's name."""

SPACE = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["scratch"])
    trial.suggest_float("optim/lr_g", 1e-4, 1e-3, log=True)
    trial.suggest_float("optim/lr_d", 1e-4, 1e-3, log=True)
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_categorical("loss/n_critic", [1])
    trial.suggest_int("seed", 0, 1000)
"""


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Make a home folder that lasts as long as the block."""
    with tempfile.TemporaryDirectory(prefix="understock-") as folder:
        yield Home.make(Path(folder))


def small_study(home: Home, *, evaluations: int = 4, **settings: Any) -> tuple[StudyPaths, StudySpec]:
    """Write a study whose trials take so many evaluations, two tiny iterations apart; give its paths and its spec."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (48, 3, 32, 32), dtype=np.uint8)
    write_domain(
        home.domain("dots"), images, np.zeros(48, np.int64), np.arange(48) % 6 == 0, origin="noise", resizer="none"
    )
    space = home.root / "space.py"
    space.write_text(SPACE)
    spec = resolve_study(home, "dots", f"{space}:space", name=NAME, threads_per_trial=1, **settings).spec
    protocol = spec.base.protocol.model_copy(
        update={"metrics": ("iw",), "n_fake": 16, "iw": IwProtocol(folds=4, partitions=1)}
    )
    changes: dict[str, Any] = {
        "network": spec.base.network.model_copy(update={"width": 2, "z_dim": 8}),
        "protocol": protocol,
        "budget": Budget(images=8 * evaluations, eval_every_images=8),
        "optim": spec.base.optim.model_copy(update={"precision": "float32"}),
    }
    base = parse_trial(spec.base.model_copy(update=changes).model_dump(), NAME)
    spec = spec.model_copy(update={"base": base})
    paths = StudyPaths.of(home, NAME)
    write_spec(paths, spec)
    return paths, spec
