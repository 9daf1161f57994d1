"""Results of runs that take hours, in a CSV: a row as each ends, so that what stands there is not run again."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows so far, by the names of their columns."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, columns: Sequence[str], row: Sequence[object]) -> None:
    """Write a row behind the others, and before the first one the names of the columns."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(columns)
        writer.writerow(row)


def score_in_row(metrics: Mapping[str, float], name: str) -> str:
    """A metric as rows have it; empty where a training has diverged, which has none or no finite one."""
    value = metrics.get(name, math.nan)
    return f"{value:.5g}" if math.isfinite(value) else ""
