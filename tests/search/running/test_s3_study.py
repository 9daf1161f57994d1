"""A real study under a real Ray whose home is on an S3 API server: one machine dies, another goes on."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import boto3
import pytest
from s3_proxy import Proxy

from analysis.report import write_report
from analysis.study_data import StudyData
from analysis.using.winner import model_path
from search.records.results import load
from search.records.study import StudyPaths, StudySpec, open_study
from search.running.ledger import Ledger
from search.running.tune import run_study
from trainables.storage import lease
from trainables.storage.home import Home

pytestmark = [pytest.mark.ray, pytest.mark.s3]

New = Callable[..., tuple[StudyPaths, StudySpec]]
Machine = Callable[[str], Home]


@pytest.fixture
def home(machine: Machine) -> Home:
    return machine("a")


def written(home: Home, what: str) -> dict[str, datetime]:
    """When each object of the home whose name has `what` in it was written."""
    bucket, _, prefix = str(home).removeprefix("s3://").partition("/")
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"]: item["LastModified"] for page in pages for item in page["Contents"] if what in item["Key"]}


def test_a_study_goes_on_elsewhere_when_its_machine_dies_and_can_be_seen_everywhere(
    home: Home, machine: Machine, new_study: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_study(trials=2, max_images=160, early_stopping=False)
    command = [sys.executable, "-m", "understock", "resume", "s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
        while len(written(home, "/samples/")) < 22:
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.2)
        watcher = open_study(machine("c"), "s")[0]
        assert {"completed", "running"} & {row["status"] for row in load(watcher.evaluations).to_pylist()}
        driver.kill()
    before = written(home, "/samples/")

    monkeypatch.setattr(lease, "DEAD_SECONDS", lease.BEAT_SECONDS + 2)
    elsewhere = machine("b")
    paths, spec = open_study(elsewhere, "s")
    assert run_study(elsewhere, paths, spec) == "complete"

    rows = load(paths.evaluations).to_pylist()
    assert set(Counter((row["trial"], row["images_seen"]) for row in rows).values()) == {1}
    assert len(rows) == 2 * 160 // 8
    after = written(home, "/samples/")
    repeated = [key for key in before if after[key] != before[key]]
    assert len(repeated) <= 1, "only what was being evaluated when the driver died may be evaluated again"
    last = open_study(machine("c"), "s")[0]
    told = {trial.number: trial.user_attrs["status"] for trial in Ledger(last, spec).study.get_trials()}
    assert told == {row["trial"]: row["status"] for row in rows} == dict.fromkeys(range(2), "completed")
    assert not written(home, ".lease")

    seen = machine("c")
    page = write_report(StudyData.of(seen, [open_study(seen, "s")])).read_text()
    assert page.count("data:image/") >= 1
    assert model_path(machine("c"), "s").is_dir()
    said = subprocess.run([*command[:3], "status", "s", "--json"], capture_output=True, text=True, check=True).stdout
    assert [trial["trial"] for trial in json.loads(said)["trials"]] == [0, 1]
    assert json.loads(said)["bytes"] > 0


@pytest.mark.slow
def test_a_study_whose_store_goes_away_ends_with_the_way_to_go_on(
    machine: Machine, s3_trouble: Proxy, home: Home, new_study: New
) -> None:
    new_study(trials=2, max_images=160, early_stopping=False)
    command = [sys.executable, "-m", "understock", "resume", "s"]
    home = machine("a")  # through the proxy
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as driver:
        while len(written(home, "/samples/")) < 4:
            assert driver.poll() is None, driver.communicate()[0]
            time.sleep(0.2)
        s3_trouble.trouble = lambda method, path: 503
        said = driver.communicate(timeout=200)[0]
    assert driver.returncode == 2, said
    assert "Traceback" not in said
    assert said.rstrip().endswith("once it answers, go on with: understock resume s"), said
