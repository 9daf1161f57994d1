"""Asks whether the driver of a long study grows, and loses a trial, while processes are killed on the way.

    python -m benchmarks.faults.soak --trials 500

It runs `understock resume` on 500 small trials, 4 at once, and kills the process of a random trial now and then.
Printed are the driver's resident memory and open files at the end, and their ratio to those after trial 50.
"""

import argparse
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter

import psutil

from benchmarks import small_study
from benchmarks.faults.kill_loop import count_lost
from search.records.results import load
from search.records.study import StudyPaths


def kill_now_and_then(
    paths: StudyPaths, every: float, rng: random.Random, kills: list[int], done: threading.Event
) -> None:
    """Kill a process that trains a trial every so many seconds, in the mean, until `done`; `kills` gets its pid."""
    while not done.wait(rng.expovariate(1 / every)):
        running = []
        for lock in sorted(paths.root.glob("trials/*/.training"))[-20:]:
            try:
                process = psutil.Process(int(lock.read_text().split()[0]))
                if process.cmdline()[0].startswith("ray::"):
                    running.append(process)
            except (OSError, ValueError, IndexError, psutil.Error):
                continue
        if running:
            victim = rng.choice(running)
            victim.kill()
            kills.append(victim.pid)


def main() -> None:
    """Run the study, kill, sample, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0, help="between two kills, in the mean")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    early = min(50, given.trials // 2)
    samples: dict[int, tuple[float, int]] = {}
    with small_study.temporary_home() as home:
        paths, spec = small_study.small_study(home, evaluations=3, trials=given.trials, concurrency=given.at_once)
        start, done, kills = time.monotonic(), threading.Event(), list[int]()
        command = [sys.executable, "-u", "-m", "understock", "resume", small_study.NAME, "--home", str(home.root)]
        driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process = psutil.Process(driver.pid)
        rng = random.Random(given.seed)
        threading.Thread(target=kill_now_and_then, args=(paths, given.seconds, rng, kills, done)).start()
        assert driver.stdout is not None
        for line in driver.stdout:
            if (ended := re.search(r"\((\d+)/\d+ trials", line)) and driver.poll() is None:
                samples[int(ended[1])] = process.memory_info().rss / 2**20, process.num_fds()
            if ended and int(ended[1]) % 50 == 0:
                print(f"{ended[1]} trials after {time.monotonic() - start:.0f} s, {len(kills)} kills", flush=True)
        done.set()
        assert driver.wait() == 0
        statuses = Counter({row["trial"]: row["status"] for row in load(paths.evaluations).to_pylist()}.values())
        lost = count_lost(paths, spec)
    print(f"{given.trials} trials, {given.at_once} at once, {len(kills)} kills: {dict(statuses)}, lost {lost}")
    (mib, files), (mib_end, files_end) = samples[early], samples[max(samples)]
    print(f"{'':24}after {early:>3}  at the end  ratio")
    print(f"{'driver memory, MiB':24}{mib:9.0f}  {mib_end:10.0f}  {mib_end / mib:.2f}")
    print(f"{'driver open files':24}{files:9}  {files_end:10}  {files_end / files:.2f}")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
