"""Records a table of GAN transfer, study by study: python -m benchmarks.recorded_transfer record --home HOME [--hours H]

    python -m benchmarks.recorded_transfer export --home HOME

`record` makes the domains (of ../shared/domains) and the source models that are missing, then runs the studies of `plan.WAVES`
as `understock search` and `resume` do, one trial at a time on one core. Interrupt it when you like: the same command goes on,
and studies that the exported table has already are not run again, so nothing is lost with the home. `export` writes what is
complete to `transfer.parquet`, beside its data card; once every target has a study there it ships with the package, as
`search/picking/recorded.parquet`.
"""

import argparse
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.recorded_transfer.export import CARD, TABLE, ended, export, exported, of_study, table_of
from benchmarks.recorded_transfer.plan import (
    PHOTOS,
    RESOLUTION,
    SOURCE_IMAGES,
    TARGET_IMAGES,
    TARGETS,
    WAVES,
    Wave,
    sources_of,
)
from trainables.storage.home import Home

ROOT = Path(__file__).parents[2]
DOMAINS = ROOT.parent / "shared" / "domains"


def understock(home: Home, *words: str, until: float = math.inf) -> int:
    """Run a verb; gives its exit status. At time `until`, by `time.monotonic`, it is interrupted as by Ctrl-C."""
    command = [sys.executable, "-m", "understock", *words, "--home", str(home.root)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            return process.wait(None if until == math.inf else max(0.0, until - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as stop:
            if isinstance(stop, subprocess.TimeoutExpired):  # Ctrl-C of a terminal reached it by itself
                process.send_signal(signal.SIGINT)
            return process.wait()


def prepare(home: Home, domains: Path) -> None:
    """Make the domains and the source models that the home lacks."""
    there = home.names("domains")
    for name in PHOTOS:
        if name not in there:
            understock(home, "domains", "add", name, str(domains / f"{name}.parquet"), "--resolution", str(RESOLUTION))
    there = home.names("sources")
    for name in PHOTOS:
        if name not in there:
            understock(home, "sources", "train", name, "--max-images", str(SOURCE_IMAGES), "--threads", "1")


def record(home: Home, hours: float, concurrency: int) -> int:
    """Run what is missing, in the plan's order, until it is complete or the hours are over; gives an exit status."""
    until, known = time.monotonic() + hours * 3600, exported()
    for wave in WAVES:
        for target in TARGETS:
            study = wave.study(target)
            if (known is not None and ended(of_study(known, study), wave, target)) or ended(
                table_of(home, study), wave, target
            ):
                continue
            if (status := run(home, wave, target, concurrency, until)) or time.monotonic() >= until:
                return status
    return 0


def run(home: Home, wave: Wave, target: str, concurrency: int, until: float) -> int:
    """Begin a study, or go on with it."""
    study = wave.study(target)
    if study in home.names("studies"):
        return understock(home, "resume", study, until=until)
    space = f"{Path(__file__).with_name('spaces.py')}:{wave.key.replace('-', '_')}"
    what = ["--name", study, "--sources", ",".join(sources_of(target)), "--target-images", str(TARGET_IMAGES)]
    how = ["--space", space, "--sampler", "grid", "--no-early-stopping"]
    takes = ["--concurrency", str(concurrency), "--threads-per-trial", "1"]
    return understock(home, "search", target, *what, *how, *takes, until=until)


def main() -> int:
    """Read the command line; gives an exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["record", "export"])
    parser.add_argument("--home", type=Path, required=True, help="where domains, source models and studies are")
    parser.add_argument("--domains", type=Path, default=DOMAINS, help="the six photo domains' Parquet files")
    parser.add_argument("--hours", type=float, default=math.inf, help="stop after so many")
    parser.add_argument("--concurrency", type=int, default=1, help="trials at once, of the studies that are begun")
    given = parser.parse_args()
    home = Home(given.home)
    if given.what == "export":
        table = export(home)
        print(f"{TABLE}: {table.num_rows} evaluations, {TABLE.stat().st_size / 1e6:.2f} MB; {CARD} says what of")
        return 0
    prepare(home, given.domains)
    return record(home, given.hours, given.concurrency)


if __name__ == "__main__":
    sys.exit(main())
