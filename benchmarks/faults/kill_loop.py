"""Kills the driver of one study at random moments, resumes it until it is done, and counts what was lost or repeated.

    python -m benchmarks.faults.kill_loop --kills 20

Lost: a trial that is not exactly once in the evaluations table and in Optuna's journal, with one state in both. Repeated:
an evaluation that was made again though a whole checkpoint had it; every evaluation writes a sample grid anew, so a grid that
changed after a checkpoint had its evaluation gives it away. The next driver starts at once, while processes of the killed
one may still live.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from benchmarks import small_study
from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from trainables.training.checkpoints import recorded
from trainables.training.trial_files import TrialFiles

STATES = {"completed": "COMPLETE", "stopped": "PRUNED", "diverged": "PRUNED", "failed": "FAIL"}

Grids = dict[tuple[int, int], tuple[int, int]]
"""Of each evaluation, trial and images seen: its grid's inode and time of writing."""


def drive(home: Path) -> subprocess.Popen[bytes]:
    """`understock resume`, in a process of its own."""
    command = [sys.executable, "-m", "understock", "resume", small_study.NAME, "--home", str(home)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def checkpointed(paths: StudyPaths) -> Grids:
    """The evaluations that whole checkpoints hold now."""
    found: Grids = {}
    for folder in paths.root.glob("trials/*"):
        number = int(folder.name)
        for evaluation in recorded(TrialFiles(folder, paths.samples(number))):
            grid = (paths.samples(number) / f"{evaluation.images_seen:09d}.png").stat()
            found[number, evaluation.images_seen] = (grid.st_ino, grid.st_mtime_ns)
    return found


def orphans(driver: int) -> list[int]:
    """Processes of the Ray that a driver started and that live on, by the driver's pid in their session folder's name."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"_{driver}/" in (folder / "cmdline").read_text() or f"_{driver}/" in str(
                (folder / "fd" / "1").readlink()
            ):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def follow(driver: int, lives: list[float]) -> None:
    """Adds the seconds until the last process of a killed driver's Ray was gone."""
    start = time.monotonic()
    while orphans(driver) and time.monotonic() - start < 60:
        time.sleep(0.1)
    lives.append(time.monotonic() - start)


def count_lost(paths: StudyPaths, spec: StudySpec) -> int:
    """Trials that journal and table don't have alike, each once."""
    rows = load(paths.evaluations).to_pylist()
    table = {row["trial"]: row["status"] for row in rows}
    twice = sum(count > 1 for count in Counter((row["trial"], row["images_seen"]) for row in rows).values())
    journal = {trial.number: trial.state.name for trial in Ledger(paths, spec).study.get_trials()}
    alike = sum(STATES.get(table.get(number, ""), "") == journal.get(number) for number in range(spec.trials))
    return spec.trials - alike + abs(len(journal) - spec.trials) + twice


def main() -> None:
    """Kill and resume until the study is done; print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--evaluations", type=int, default=12)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--seconds", type=float, nargs=2, default=(4.0, 30.0), help="between a start and its kill")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    with small_study.temporary_home() as home:
        paths, spec = small_study.small_study(
            home, evaluations=given.evaluations, trials=given.trials, concurrency=given.at_once, early_stopping=True
        )
        kills, repeated, lives, known = 0, 0, [], Grids()
        start = time.monotonic()
        while True:
            driver = drive(home.root)
            try:
                _, said = driver.communicate(timeout=rng.uniform(*given.seconds) if kills < given.kills else None)
            except subprocess.TimeoutExpired:
                os.kill(driver.pid, signal.SIGKILL)
                driver.wait()
                kills += 1
                threading.Thread(target=follow, args=(driver.pid, lives)).start()  # the next driver starts at once
                ended = {row["trial"] for row in load(paths.evaluations).to_pylist() if row["status"] != "running"}
                print(f"kill {kills}: {len(ended)} of {spec.trials} trials had ended", flush=True)
            now = checkpointed(paths)
            repeated += sum(now.get(key, grid) != grid for key, grid in known.items())
            known |= now
            if driver.returncode != -signal.SIGKILL:
                break
        assert driver.returncode == 0, said.decode()
        statuses = Counter({row["trial"]: row["status"] for row in load(paths.evaluations).to_pylist()}.values())
        lost = count_lost(paths, spec)
        print(
            f"{time.monotonic() - start:.0f} s; {dict(statuses)}; orphans lived {max(lives, default=0):.1f} s at most"
        )
        print(f"kills {kills}, trials {spec.trials}, evaluations {len(known)}, lost {lost}, repeated {repeated}")
    sys.exit(bool(lost or repeated))


if __name__ == "__main__":
    main()
