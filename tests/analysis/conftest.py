"""Studies on disk, written with the project's own writers and known numbers."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.evidence import Evidence
from search.records.results import Status, write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.config import TrialConfig
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
    def evidence(self) -> Evidence:
        """The study as it stands now, as the report's only one."""
        return Evidence.of(self.home, [(self.paths, self.spec)])[0]

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
        **settings: Any,
    ) -> None:
        """Add a trial with an FD every `every` images, `pace` seconds apart; `settings` are top-level config fields."""
        config = {**self.spec.base.model_dump(), "source": source, "transfer": {"parts": parts}, **settings}
        rows = [
            {
                "images_seen": every * (i + 1),
                "train_seconds": pace * (i + 1),
                "wall_seconds": 1.2 * pace * (i + 1),
                "fd": value,
                "fd_floor": 20.0,
                "kd": value and value / 1000,
                "kd_floor": 0.0,
                "device": "cpu",
                "threads": 1,
                "iw": iw[i] if i < len(iw) else None,
                "iw_floor": -0.1,
                **PROTOCOL,
                **COUNTS,
            }
            for i, value in enumerate(fd)
        ]
        trial_config = TrialConfig.parse(config, "test")
        path = self.paths.evaluation(number)
        error = "CUDA out of memory" if status == "failed" else None
        write_trial(
            path, trial_config, study=self.spec.name, trial=number, status=status, evaluations=rows, error=error
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
