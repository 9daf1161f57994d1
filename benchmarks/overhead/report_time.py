"""Times the report of a large study, and weighs its page: python -m benchmarks.overhead.report_time [TRIALS EVALUATIONS]

The study's rows are made up (its trials were not trained) and written with the project's own writer; the report is the
real one. Printed are the seconds, and the core-seconds, from the start of `understock report` to its end, and the
page's size.
"""

import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from search.records.results import write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.trials import parse_trial
from trainables.storage.home import Home

SOURCES = ("mdi", "mnist", "twemoji")
MEASURED_WITH = {
    "extractor": "efficientnet_lite0",
    "input_size": 64,
    "resizer": "bicubic-antialias-float",
    "split": "train",
    "n_real": 4030,
    "n_fake": 1000,
    "metric_seed": 0,
    "kd_subset": 1000,
    "iw_n": 400,
    "floor_n": 1000,
}
"""What rows of the evaluations table say of how their metrics were measured."""


def fill(home: Home, trials: int, evaluations: int) -> str:
    """Write a study of so many trials, each with so many evaluations, one in fifty of them diverged; give its name."""
    rng, images = np.random.default_rng(0), 1600 * evaluations
    grid = _grid(rng)
    budget = {"images": images, "eval_every_images": 1600}
    base = {"target": "phosphor", "source": "scratch", "network": {"resolution": 64}, "budget": budget}
    about = {"name": "large", "target": "phosphor", "space": "transferring_gans", "trials": trials, "sources": SOURCES}
    more = {"base": base, "train_images": 4030, "digests": {}, "versions": {}, "created": "2026-01-01T00:00:00+00:00"}
    spec = StudySpec.parse(about | more, "benchmark")
    paths = StudyPaths.of(home, spec.name)
    write_spec(paths, spec)
    for number in range(trials):
        settings = _settings(rng)
        level = 400 + 600 * (settings["source"] == "scratch") + 300 * rng.random()
        rows = [_row(rng, number, level) for number in range(1, evaluations + 1)]
        status = "diverged" if number % 50 == 49 else "completed"
        config = parse_trial(spec.base.model_dump() | settings, "benchmark")
        write_trial(paths.evaluation(number), config, study=spec.name, trial=number, status=status, evaluations=rows)
        paths.samples(number).mkdir(parents=True)
        for row in rows:
            (paths.samples(number) / f"{row['images_seen']:09d}.png").write_bytes(grid)
    return spec.name


def _settings(rng: np.random.Generator) -> dict[str, Any]:
    """Draw a trial's settings: its source, what is transferred, its seed, its target set and its learning rates."""
    source = str(rng.choice([*SOURCES, "scratch"]))
    parts = "none" if source == "scratch" else str(rng.choice(["generator", "discriminator", "both"]))
    return {
        "source": source,
        "transfer": {"parts": parts},
        "seed": int(rng.integers(3)),
        "data": {"target_images": int(rng.choice([500, 1000, 4030]))},
        "optim": {"lr_g": float(10 ** rng.uniform(-5, -3)), "lr_d": float(10 ** rng.uniform(-5, -3))},
    }


def _row(rng: np.random.Generator, number: int, level: float) -> dict[str, Any]:
    """Draw evaluation `number`, from 1 on, of a trial whose Frechet distance falls towards `level`."""
    return {
        "images_seen": 1600 * number,
        "train_seconds": 9.0 * number,
        "wall_seconds": 12.0 * number,
        "fd": level * (1 + 3 / number) + rng.normal(0, 5),
        "fd_floor": 62.0,
        "kd": level / 90,
        "kd_floor": 0.01,
        "iw": -level / 200 + rng.normal(0, 0.3),
        "iw_floor": -0.2,
        "device": "cpu",
        "threads": 1,
        **MEASURED_WITH,
    }


def _grid(rng: np.random.Generator) -> bytes:
    """Make a PNG as large as that of a grid of 64 photos of 64 pixels."""
    coarse = Image.fromarray(rng.integers(0, 255, (66, 66, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((526, 526), Image.Resampling.BICUBIC).save(buffer, format="png")
    return buffer.getvalue()


def main(trials: int, evaluations: int) -> None:
    """Write the study, report it twice, and print what that took."""
    with tempfile.TemporaryDirectory() as place:
        home = Home.make(Path(place))
        name = fill(home, trials, evaluations)
        print(f"{trials} trials of {evaluations} evaluations; the start of Python and its libraries included")
        for which in ("the first, which makes the exhibits that torch has to make", "any later one"):
            wall, cpu = time.perf_counter(), _cpu()
            command = [sys.executable, "-m", "understock", "report", name, "--home", place]
            subprocess.run(command, check=True, capture_output=True)
            wall, cpu = time.perf_counter() - wall, _cpu() - cpu
            size = StudyPaths.of(home, name).report.stat().st_size
            print(f"{which}: {wall:.1f} s, {cpu:.1f} s of a core; {size / 1e6:.1f} MB")


def _cpu() -> float:
    """Read the core-seconds of all child processes so far: what a quiet machine would take, even on one that is not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:] or ("500", "20")))
