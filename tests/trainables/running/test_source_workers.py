"""A source model trained by two workers, killed and interrupted on the way, as a user would do it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

import trainables.running.source_workers as under_test
from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.cluster.connection import remove_orphaned_groups
from trainables.cluster.crew import Crew
from trainables.cluster.workers import CrewLostError
from trainables.running.source_training import train_source
from trainables.sources.shelf import open_source
from trainables.storage.home import Home
from trainables.training.loop import Evaluation
from trainables.training.trial_files import TrialFiles

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


def test_a_training_whose_only_node_goes_says_so_and_ends(
    home: Home, tiny_config: Callable[..., TrialConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "AUTOSCALER_PATIENCE", 5.0)
    quick = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        node = cluster.add_node(num_cpus=2)
        config = tiny_config(budget={"images": 80_000, "eval_every_images": 16})
        files = TrialFiles(home.root / "training", home.root / "pictures")
        files.folder.mkdir(parents=True)
        items = under_test.items_of_workers(config, home, files, Crew(2, 1, 0.0), cluster.address)
        next(item for item in items if isinstance(item, Evaluation))
        cluster.remove_node(node, allow_graceful=False)
        with pytest.raises(UserError, match=r"training on 'dots' takes 2 workers .* then the same command goes on$"):
            list(items)
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_training_that_was_left_calls_nothing_of_rays_any_more() -> None:
    lost = threading.Event()

    def fit() -> None:
        lost.wait()
        raise CrewLostError("Ray has ended")

    training = under_test._Training(fit, news=None)
    training.leave()
    lost.set()
    training._thread.join(timeout=60)
    with pytest.raises(CrewLostError, match="Ray has ended"):
        training.result()
    assert not ray.is_initialized()


def test_without_a_ray_there_are_no_orphaned_groups() -> None:
    assert remove_orphaned_groups() == 0
    assert not ray.is_initialized()
