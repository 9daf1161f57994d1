"""A source model trained in a home on an S3 API server, by this machine and by another one for it."""

from collections.abc import Callable, Iterator

import pytest

import trainables.running.source_training as under_test
from spaces.config import TrialConfig
from trainables.cluster.crew import Crew
from trainables.sources.shelf import SAMPLES, open_source
from trainables.storage.home import Home
from trainables.storage.store import ObjectStore
from trainables.training.loop import Evaluation, Progress
from trainables.training.trial_files import TrialFiles

pytestmark = [pytest.mark.s3, pytest.mark.slow]

Machine = Callable[[str], Home]


@pytest.fixture
def home(machine: Machine) -> Home:
    return machine("a")


def train_one(home: Home) -> None:
    under_test.train_source(home, "dots", "one", "small", max_images=1, threads=1)


def in_training(home: Home) -> list[str]:
    return [name for name in ObjectStore.at(str(home)).objects("sources/") if ".training-" in name]


def test_a_source_trained_in_a_home_on_an_object_store_is_had_on_another_machine(
    home: Home, machine: Machine, tiny_domain: str
) -> None:
    train_one(home)
    assert set(open_source(machine("b"), "one").weights()) == {"generator", "discriminator"}
    assert in_training(home) == []


def test_a_source_trained_on_another_machine_reaches_the_shelf(
    home: Home, machine: Machine, tiny_domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, whole = machine("b"), under_test._items

    def elsewhere(
        config: TrialConfig, home: Home, files: TrialFiles, crew: Crew, address: str | None
    ) -> Iterator[Progress | Evaluation]:
        """As the workers of a cluster do, each of whose nodes has a mirror of its own."""
        folder, samples = (there.root / path.relative_to(home.root) for path in (files.folder, files.samples))
        return whole(config, there, TrialFiles(folder, samples), crew, address)

    monkeypatch.setattr(under_test, "_items", elsewhere)
    train_one(home)
    assert set(open_source(home, "one").weights()) == {"generator", "discriminator"}
    assert (home.source("one") / SAMPLES).read_bytes().startswith(b"\x89PNG")
    assert in_training(home) == []
