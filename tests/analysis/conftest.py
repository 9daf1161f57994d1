"""Studies on disk, written with the project's own writers and known numbers."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from analysis.study_data import StudyData
from search.records.results import Status, load, write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.trials import parse_trial
from trainables.storage.home import Home

PROTOCOL = {"extractor": "efficientnet_lite0", "input_size": 64, "resizer": "pillow-bicubic", "split": "train"}
COUNTS = {"n_real": 1000, "n_fake": 1000, "metric_seed": 0, "kd_subset": 100, "iw_n": 400, "floor_n": 500}


class StudyFolder:
    """A study being written: `trial(...)` adds one, `spec` and `paths` are what the code under test gets."""

    def __init__(self, root: Path, **spec: Any) -> None:
        self.home, self.paths = Home(root.parent), StudyPaths(root)
        base = {
            "target": "phosphor",
            "source": "scratch",
            "network": {},
            "budget": {"images": 400, "eval_every_images": 100},
        }
        self.spec = StudySpec.parse(
            {
                "name": "phosphor-1",
                "target": "phosphor",
                "space": "quickstart",
                "trials": 8,
                "base": base,
                "sources": ["mdi", "twemoji", "mnist"],
                "train_images": 1000,
                "digests": {"domain:phosphor": "d0", "source:mdi": "d1"},
                "versions": {"understock": "0.1.0", "torch": "2.15"},
                "created": "2026-01-02T03:04:05Z",
                **spec,
            },
            "test",
        )
        write_spec(self.paths, self.spec)

    @property
    def data(self) -> StudyData:
        """The study as it stands now, as the report's only one."""
        return StudyData.of(self.home, [(self.paths, self.spec)])[0]

    def trial(
        self,
        number: int,
        source: str,
        parts: str,
        fd: Sequence[float | None],
        *,
        status: Status = "completed",
        iw: Sequence[float | None] = (),
        every: int = 100,
        grid: bool = False,
        pace: float = 10.0,
        facts: Mapping[str, Any] | None = None,
        before: float | None = None,
        drawn: Sequence[int] = (),
        **settings: Any,
    ) -> None:
        """Add a trial with an FD every `every` images, `pace` seconds apart; `settings` are top-level config fields.

        `facts` are columns of its rows beside these.
        `before` is its FD before the first image, where it was measured; `drawn`, how many images each score is of.
        """
        config = {**self.spec.base.model_dump(), "source": source, "transfer": {"parts": parts}, **settings}
        rows = [
            {
                "images_seen": every * (i + 1),
                "iterations": 10 * (i + 1),
                "train_seconds": pace * (i + 1),
                "wall_seconds": 1.2 * pace * (i + 1),
                "fd": value,
                "iw": iw[i] if i < len(iw) else None,
                **({"n_drawn": drawn[i]} if drawn else {}),
                **(facts or {}),
            }
            for i, value in enumerate(fd)
        ]
        if before is not None:
            rows.insert(0, {"images_seen": 0, "iterations": 0, "train_seconds": 0.0, "wall_seconds": 1.0, "fd": before})
        self._write(number, config, status, rows, grid)

    def as_is(self, number: int, source: str, fd: float | None, **settings: Any) -> None:
        """Add a trial of a source as it is, as `untrained` does."""
        network = self.spec.base.model_dump()["network"]
        self.untrained(number, "as_is", source, fd, **{"network": network, **settings})

    def untrained(
        self,
        number: int,
        method: str,
        source: str,
        fd: float | None,
        *,
        iw: float | None = None,
        grid: bool = False,
        **settings: Any,
    ) -> None:
        """Add a trial of a method that trains nothing: one evaluation, before any image, at once."""
        base = self.spec.base.model_dump()
        common = {name: base[name] for name in ("target", "data", "budget", "protocol", "seed")}
        row = {"images_seen": 0, "iterations": 0, "train_seconds": 2e-6, "wall_seconds": 6.0, "fd": fd, "iw": iw}
        self._write(number, {**common, "method": method, "source": source, **settings}, "completed", [row], grid)

    def _write(
        self, number: int, config: dict[str, Any], status: Status, rows: Sequence[dict[str, Any]], grid: bool
    ) -> None:
        measured = {"fd_floor": 20.0, "kd_floor": 0.0, "iw_floor": -0.1, "device": "cpu", "threads": 1}
        write_trial(
            self.paths.evaluation(number),
            parse_trial(config, "test"),
            study=self.spec.name,
            trial=number,
            status=status,
            evaluations=[
                {**measured, **PROTOCOL, **COUNTS, "kd": row["fd"] and row["fd"] / 1000, **row} for row in rows
            ],
            error="CUDA out of memory" if status == "failed" else None,
        )
        if grid:
            pixels = np.random.default_rng(number).integers(0, 255, (130, 526, 3), dtype=np.uint8)  # 2 rows of 8
            self.paths.samples(number).mkdir(parents=True)
            for row in rows:
                Image.fromarray(pixels).save(self.paths.samples(number) / f"{row['images_seen']:09d}.png")


@pytest.fixture
def new_study(tmp_path: Path) -> Callable[..., StudyFolder]:
    """Make an empty study, its spec's fields as keywords."""
    return lambda **spec: StudyFolder(tmp_path / spec.get("name", "phosphor-1"), **spec)


@pytest.fixture
def by_iw() -> dict[str, Any]:
    """The base of a study that goes by IW, which depends on how many images are drawn."""
    budget = {"images": 400, "eval_every_images": 100}
    return {"target": "phosphor", "source": "scratch", "network": {}, "budget": budget, "protocol": {"metrics": ["iw"]}}


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """To be read only: eight trials of every status. Trial 0 (mdi, both) is best with FD 60; of scratch, trial 3."""
    folder = StudyFolder(tmp_path_factory.mktemp("studies") / "phosphor-1")
    fast = {"optim": {"lr_g": 1e-3}}
    folder.trial(0, "mdi", "both", [150, 90, 70, 60], iw=[-5, -4, -3, -2.5], grid=True)
    folder.trial(1, "mdi", "generator", [200, 130], iw=[-6, -5], status="stopped", **fast)
    folder.trial(2, "twemoji", "both", [300, 170, 120, 95], iw=[-7, -5, -4, -2], grid=True)
    folder.trial(3, "scratch", "none", [400, 220, 110], iw=[-9, -7, -6], status="stopped", grid=True)
    folder.trial(4, "scratch", "none", [500, 190], iw=[-9, -8], status="running", **fast)
    folder.trial(5, "mnist", "discriminator", [350, 10, None], status="diverged")
    folder.trial(6, "mnist", "both", [], status="failed")
    folder.trial(7, "mdi", "both", [160, 95, 80, 75], iw=[-5, -4, None, None], seed=1)
    return folder


@pytest.fixture
def table(study: StudyFolder) -> pa.Table:
    """The evaluations of the eight trials."""
    return load(study.paths.evaluations)


@pytest.fixture
def baseline(new_study: Callable[..., StudyFolder]) -> StudyFolder:
    """Fine-tuning with the sources as they are beside it: mdi has FD 80 untrained, and comes to 60, scratch to 110."""
    folder = new_study()
    folder.trial(0, "mdi", "both", [150, 90, 70, 60], iw=[-5, -4, -3, -2.5], grid=True)
    folder.trial(1, "mdi", "both", [160, 95, 80, 75], seed=1, optim={"lr_g": 1e-3})
    folder.trial(2, "scratch", "none", [400, 220, 110], iw=[-9, -7, -6], status="stopped", grid=True)
    folder.as_is(3, "mdi", 80, iw=-3, grid=True)
    folder.as_is(4, "twemoji", 120, iw=-5)
    return folder


@pytest.fixture
def unbeaten(new_study: Callable[..., StudyFolder]) -> StudyFolder:
    """A study in which nothing that was trained is as good as mdi as it is, with FD 50."""
    folder = new_study(name="unbeaten")
    folder.trial(0, "mdi", "both", [150, 90], iw=[-5, -4], grid=True)
    folder.trial(1, "scratch", "none", [400, 220], iw=[-9, -7])
    folder.as_is(2, "mdi", 50, iw=-2, grid=True)
    return folder


@pytest.fixture
def handed_on(new_study: Callable[..., StudyFolder]) -> StudyFolder:
    """Images of mnist untranslated have FD 10, copies of the target's few 30; mdi as it is has 50, and trained 90."""
    folder = new_study(name="handed-on")
    folder.trial(0, "mdi", "both", [150, 90], iw=[-5, -4])
    folder.trial(1, "scratch", "none", [400, 220], iw=[-9, -7])
    folder.as_is(2, "mdi", 50, iw=-2)
    folder.untrained(3, "untranslated", "mnist", 10, iw=-1)
    folder.untrained(4, "augmented", "scratch", 30, iw=-1.5, data={"shots": 3})
    return folder


CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
    "--window-size=1700,1000",
    "--dump-dom",
]


@pytest.fixture
def browse(tmp_path: Path) -> Callable[[str], str]:
    """Opens an address in headless Chromium for 20 s of its own time, and gives the document as it is then.

    Whatever the page has to say on the console fails the test.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")

    def run(address: str) -> str:
        command = [chromium, *CHROMIUM_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "CONSOLE" not in done.stderr, done.stderr
        return done.stdout

    return run
