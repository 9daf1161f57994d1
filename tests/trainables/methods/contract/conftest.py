"""The domains and source models that the cases take, and the trials themselves, which are run once a process."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from case_trials import Trained, run, run_broken
from method_cases import STYLEGAN2

from trainables.images.domains import write_domain
from trainables.storage.home import Home


def rings(home: Home) -> None:
    """Domains "rings" and "more-rings" for translation: of the target's resolution, and of another size. "many" has classes."""
    images = np.random.default_rng(1).integers(180, 256, (30, 3, 32, 32), dtype=np.uint8)
    for place, image in enumerate(images):
        image[:, 4 + place % 8 : 20, 4:20] = 30
    none = np.full(30, -1)
    for name, labels in {"rings": none, "more-rings": none, "many": np.arange(30) % 5}.items():
        write_domain(home.domain(name), images, labels, np.arange(30) < 10, origin="test", resizer="none")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what no test changes, and so is made once a process."""
    return tmp_path_factory.mktemp("once")


@pytest.fixture(autouse=True)
def shelf(home: Home, once: Path, request: pytest.FixtureRequest) -> None:
    if (once / "home").exists():
        shutil.copytree(once / "home", home.root, dirs_exist_ok=True)
        return
    request.getfixturevalue("tiny_domain")
    new_source = request.getfixturevalue("new_source")
    new_source("seed-7"), new_source("seed-8", seed=8)
    new_source("plain", family="dcgan")
    new_source("styles", **STYLEGAN2)
    rings(home)
    new_source("by-class", classes=3)
    shutil.copytree(home.root, once / "home")


@pytest.fixture(scope="session")
def known() -> dict[str, Trained]:
    return {}


@pytest.fixture
def trained(shelf: None, once: Path, known: dict[str, Trained]) -> Callable[[str], Trained]:
    """Trains a case's trial, whole and broken off, once a process."""

    def of(case: str) -> Trained:
        if case not in known:
            folder, home = once / case, Home.make(once / "home")
            unbroken, resumed = run(case, home, folder / "unbroken"), run_broken(case, home, folder / "broken")
            known[case] = Trained(unbroken, resumed, folder)
        return known[case]

    return of
