"""A search that is watched from all sides: Ray's dashboard, trackers, optuna-dashboard; and who else can reach it."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from trainables.storage.home import Home

pytestmark = pytest.mark.ray

New = Callable[..., tuple[StudyPaths, StudySpec]]


def answer(url: str, token: str | None = None, data: bytes | None = None) -> str:
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=20) as response:
        return str(response.read().decode())


def eventually(url: str, token: str | None, wanted: str) -> str:
    """What `url` says once it says `wanted`."""
    deadline, said = time.monotonic() + 120, ""
    while time.monotonic() < deadline:
        try:
            said = answer(url, token)
            if wanted in said:
                return said
        except (urllib.error.URLError, ConnectionError) as error:
            said = str(error)
        time.sleep(0.5)
    raise AssertionError(f"{url} never said {wanted}, but {said[-3000:]}")


def listening(root: int) -> set[str]:
    """The addresses on which a process and its descendants wait for connections."""
    process = psutil.Process(root)
    found = set()
    for each in [process, *process.children(recursive=True)]:
        try:
            found |= {c.laddr.ip for c in each.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        except psutil.NoSuchProcess:
            continue
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_search_shows_itself_on_loopback_and_to_nobody_else(home: Home, new_study: New, tmp_path: Path) -> None:
    """One search for all, of two workers a trial; Ray's start is what costs. It is interrupted once all has been seen."""
    paths, _ = new_study(trials=2, max_images=100_000, early_stopping=False, workers_per_trial=2)
    command = [sys.executable, "-m", "understock", "resume", "s", "--home", str(home.root)]
    watched = [*command, "--dashboard", "--track", "tensorboard", "--track", "mlflow"]
    token = tmp_path / "token"
    token.write_text("0123456789" * 4)
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    complaints = (tmp_path / "stderr").open("w+")
    with subprocess.Popen(watched, stdout=subprocess.DEVNULL, stderr=complaints, env=environment) as search:
        try:
            while not list(paths.root.glob("samples/*/[0-9]*.png")):
                assert search.poll() is None, (tmp_path / "stderr").read_text()
                time.sleep(0.2)
            assert listening(search.pid) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
            link = re.search(r"dashboard: (http://127\.0\.0\.1:\d+)", (tmp_path / "stderr").read_text())
            assert link, (tmp_path / "stderr").read_text()
            with pytest.raises(urllib.error.HTTPError, match="401"):
                answer(f"{link[1]}/api/jobs/")
            assert "RUNNING" in eventually(f"{link[1]}/api/jobs/", token.read_text(), "understock")
            assert "RUNNING" in eventually(f"{link[1]}/api/train/v2/runs/v1", token.read_text(), '"train"')
            check_optuna_dashboard(home)
        finally:
            search.send_signal(signal.SIGINT)
            search.wait(120)
    assert list((paths.root / "tensorboard" / "00000").glob("events.out.tfevents.*"))
    with sqlite3.connect(paths.root / "mlflow.db") as database:
        metrics = dict(database.execute("select key, max(value) from metrics group by key"))
        parameters = dict(database.execute("select key, value from params"))
    assert metrics["fd"] > 0
    assert float(parameters["optim/lr_g"]) > 0


def check_optuna_dashboard(home: Home) -> None:
    """It shows a study that runs, to this machine alone, and can't change it."""
    port = free_port()
    command = [sys.executable, "-m", "understock", "dashboard", "s", "--port", str(port), "--home", str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as page:
        try:
            url = f"http://127.0.0.1:{port}/api/studies"
            study = json.loads(eventually(url, None, '"s"'))["study_summaries"][0]["study_id"]
            assert '"number": 0' in eventually(f"{url}/{study}", None, '"trials"')
            assert listening(page.pid) == {"127.0.0.1"}
            with pytest.raises(urllib.error.HTTPError):
                answer(f"{url}/{study}/note", data=b'{"body": "x", "version": 1}')
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(urllib.request.Request(f"{url}/{study}", method="DELETE"), timeout=20)
        finally:
            page.terminate()


def test_a_search_leaves_no_tracker_files_unless_asked(home: Home, new_study: New) -> None:
    from search.running.tune import run_study

    paths, spec = new_study(trials=1)
    assert run_study(home, paths, spec) == "complete"
    found = [path.name for path in paths.root.rglob("*") if path.suffix in (".csv", ".db") or "tfevents" in path.name]
    assert found == []
    assert [trial.state.name for trial in Ledger(paths, spec).study.get_trials()] == ["COMPLETE"]
