"""A source model trained by two workers, killed and interrupted on the way, as a user would do it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from trainables.running.source_training import train_source
from trainables.sources.shelf import open_source
from trainables.storage.home import Home

pytestmark = pytest.mark.ray

IMAGES = 960  # six iterations, evaluated after the second, third, fifth and sixth


def lines_of(process: subprocess.Popen[str]) -> list[str]:
    """What the process says on stderr, as it comes."""
    lines: list[str] = []
    assert process.stderr is not None
    threading.Thread(target=lambda pipe: lines.extend(pipe), args=(process.stderr,), daemon=True).start()
    return lines


def wait_for(lines: list[str], said: str) -> None:
    deadline = time.monotonic() + 240
    while not any(said in line for line in lines):
        assert time.monotonic() < deadline, f"{said!r} was not said: {lines}"
        time.sleep(0.1)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if child.name().startswith("ray::RayTrain")]


def test_a_lost_worker_is_replaced_and_an_interrupted_training_goes_on_with_another_number_of_workers(
    home: Home, tiny_domain: str
) -> None:
    command = [
        sys.executable,
        "-m",
        "understock",
        "sources",
        "train",
        tiny_domain,
        "--preset",
        "small",
        "--threads",
        "1",
    ]
    command += ["--max-images", str(IMAGES), "--home", str(home.root), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        lines = lines_of(process)
        wait_for(lines, "320 images: fd")
        os.kill(workers_of(process)[1].pid, signal.SIGKILL)
        wait_for(lines, "starting them again, 1 of 3")
        wait_for(lines, "480 images: fd")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        wait_for(lines, "interrupted; the same command goes on")
    finally:
        process.kill()
    assert sum("320 images: fd" in line for line in lines) == 1
    train_source(home, tiny_domain, tiny_domain, "small", max_images=IMAGES, threads=1)
    assert open_source(home, tiny_domain).facts.images_seen == IMAGES
    assert not Path(home.source(tiny_domain)).with_name(f".training-{tiny_domain}").exists()
