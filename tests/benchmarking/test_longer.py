"""Trainings of ten times the table's length: what is done, and how the table bears one that diverged."""

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from benchmarks.results import append_row
from benchmarks.transfer import longer
from benchmarks.transfer.longer import IMAGES, SEEDS, SOURCES, TIMES
from spaces.config import SCRATCH, TrialConfig
from trainables.storage.home import Home
from trainables.training.loop import Evaluation


def evaluated(tenths: float, fd: float | None) -> Evaluation:
    status = "diverged" if fd is None else "completed" if tenths == TIMES else "running"
    return Evaluation(status, int(tenths * IMAGES), 1, 1.0, 1.0, metrics={} if fd is None else {"fd": fd})


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(longer, "RESULTS", tmp_path / "longer.csv")
    return tmp_path / "longer.csv"


def test_a_training_that_diverged_is_written_down_and_not_trained_again(
    results: Path, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def trained(config: TrialConfig, *_: object) -> Iterator[Evaluation]:
        begun.append((config.source, config.seed))
        yield evaluated(0, 900.0)
        yield evaluated(1, 800.0)
        yield evaluated(1.5, None) if config.source == SCRATCH else evaluated(TIMES, 400.0)

    monkeypatch.setattr(longer, "run_trial", trained)
    longer.run(home)
    longer.run(home)
    assert len(begun) == len(SEEDS) * len(SOURCES)
    rows = results.read_text().splitlines()[1:]
    assert len(rows) == 2 * len(begun) and rows[5].split(",")[3:] == [str(IMAGES * 3 // 2), "1.0", ""]
    assert longer.curve(SCRATCH, 0) == {1: 800.0} | dict.fromkeys(range(2, TIMES + 1), math.inf)


def test_the_table_bears_a_training_that_diverged(results: Path) -> None:
    for source in SOURCES:
        for n in range(1, TIMES + 1):
            fd = "" if source == SCRATCH and n == 3 else 100 * (SOURCES.index(source) + 1) + n
            append_row(results, longer.COLUMNS, ("cats", source, 0, n * IMAGES, 1.0, fd))
            if fd == "":
                break
    said = list(longer.table())
    scratch = next(line for line in said if line.startswith(f"| {SCRATCH} | 0 "))
    assert scratch.count("diverged") == TIMES - 2
    assert sum("scratch is ahead" in line and line.endswith("never") for line in said) == 2
    assert said[-1].endswith("at 1 and 10 times: 1.00")


def test_ratios_are_over_seeds_that_are_whole(results: Path) -> None:
    for seed, (place, source) in product((0, 1), enumerate(SOURCES)):
        for n in range(1, TIMES + 1) if (seed, place) != (1, 2) else (1,):
            append_row(results, longer.COLUMNS, ("cats", source, seed, n * IMAGES, 1.0, 100 * 2**place * (1 + seed)))
    assert list(longer.ratios()) == [], "one whole seed has no interval"
    for n in range(2, TIMES + 1):
        append_row(results, longer.COLUMNS, ("cats", SCRATCH, 1, n * IMAGES, 1.0, 1600 if n == TIMES else 800))
    said = list(longer.ratios())
    assert len(said) == 6 and said[1].startswith(
        f"{SCRATCH} over dogs after 6,144 images: 4.00 (4.00 to 4.00), 2 seeds"
    )
    assert f"{SCRATCH} over dogs after 61,440 images: 5.66 (" in said[4]
