"""Measures everything that can be measured side by side on this machine in a quarter of an hour.

    make bench                # or: python -m benchmarks

It prints one table of pieces of work: the time that ours takes, that peers take, and a floor that no code could beat;
then whether speed left the results alone, and what a search costs beside its training. Run it on a quiet machine; every
number is a median.
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import torch

from benchmarks.speed import distances, evaluation, reading, step
from benchmarks.speed.rows import show

TABLES = (
    ("benchmarks.speed.same_results",),
    ("benchmarks.overhead.evaluation_share",),
    ("benchmarks.overhead.trial_start",),
    ("benchmarks.overhead.driver_cost", "--trials", "200"),
)
"""The benchmarks that print a table of their own: each a module and its options."""


def main(quick: bool) -> None:
    """Measure and print everything, or with `quick` the first table alone, at its smallest size."""
    start = time.monotonic()
    print(f"{_machine()}\n", flush=True)
    sizes = step.CPU_SIZES[:1] if quick else None
    parts = (lambda: step.rows(sizes), distances.rows, evaluation.rows, reading.rows)
    show(chain.from_iterable(part() for part in parts))
    for module, *options in () if quick else TABLES:
        print(f"\n{module}", flush=True)
        subprocess.run([sys.executable, "-m", module, *options], check=True)
    print(f"\nin {(time.monotonic() - start) / 60:.1f} min", flush=True)


def _machine() -> str:
    """Describe the machine in a line: its processor or GPU, the versions of what runs on it, and the date."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    device = f"{len(os.sched_getaffinity(0))} cores of {model[1] if model else platform.processor()}"
    if torch.cuda.is_available():
        device = f"{torch.cuda.get_device_name()}, {device}"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "numpy", "ray", "optuna"))
    return f"{device}; Python {platform.python_version()}, {versions}; {datetime.date.today()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the first size alone, and no search: 4 minutes")
    main(**vars(parser.parse_args()))
