"""Studies on clusters of several nodes and with several workers a trial, whose processes and nodes are really killed."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

import search.running.tune as under_test
from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from spaces.errors import UserError
from trainables.storage.home import Home

pytestmark = pytest.mark.ray

New = Callable[..., tuple[StudyPaths, StudySpec]]

WORSE = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["scratch"])
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_categorical("loss/n_critic", [1])
    trial.suggest_categorical("optim/lr_g", [1e-6])
    trial.suggest_categorical("optim/lr_d", [1e-6])
    trial.suggest_categorical("seed", [0, 1, 3])
"""
"""The networks stay almost as they are drawn, and that orders them."""

WORKER = "ray::RayTrainWorker"
QUICK = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 4}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head with two cores and no dashboard, on this machine."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False, "_system_config": QUICK}
    )
    yield cluster
    ray.shutdown()  # where the test failed, its study may still be connected
    cluster.shutdown()


@pytest.fixture
def one_node() -> Iterator[Cluster]:
    """A head without cores, and a node of one core."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK}
    )
    cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def three_nodes() -> Iterator[Cluster]:
    """A head without cores, and three nodes of one core each."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK}
    )
    for _ in range(3):
        cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def processes(title: str) -> list[psutil.Process]:
    """Those of this test's own clusters: Ray's nodes are children of this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if " ".join(process.cmdline()).startswith(title):
                found.append(process)
        except psutil.Error:
            pass
    return found


def rows(paths: StudyPaths) -> list[dict[str, Any]]:
    return list(load(paths.evaluations).to_pylist())


def wait_for_rows(paths: StudyPaths, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """The evaluations on disk, once there are enough."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        scored = [row for row in rows(paths) if row["images_seen"]]
        if enough(scored):
            return scored
        time.sleep(0.05)
    raise TimeoutError(f"not enough evaluations: {rows(paths)}")


class Study(threading.Thread):
    """A study run beside the test, on a cluster."""

    def __init__(self, home: Home, paths: StudyPaths, spec: StudySpec, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._arguments = (home, paths, spec, cluster.address)
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        home, paths, spec, address = self._arguments
        try:
            self.outcome = under_test.run_study(home, paths, spec, address=address)
        except BaseException as error:
            self.outcome = error

    def end(self) -> None:
        self.join(timeout=900)
        assert not self.is_alive(), "the study hangs"
        assert self.outcome == "complete", self.outcome


def check_records(paths: StudyPaths, spec: StudySpec, status: str) -> None:
    """Each trial once in journal and table, with this status, and each evaluation once."""
    told = {trial.number: trial.user_attrs.get("status") for trial in Ledger(paths, spec).study.get_trials()}
    assert told == dict.fromkeys(range(spec.trials), status)
    assert {row["trial"]: row["status"] for row in rows(paths)} == told
    evaluations = [(row["trial"], row["images_seen"]) for row in rows(paths)]
    assert len(evaluations) == len(set(evaluations))


def check_kept(paths: StudyPaths, before: list[dict[str, Any]]) -> None:
    """What was evaluated before a loss was not trained again: it took the same seconds."""
    after = {(row["trial"], row["images_seen"]): row["train_seconds"] for row in rows(paths)}
    assert [after[row["trial"], row["images_seen"]] for row in before] == [row["train_seconds"] for row in before]


def test_trials_of_two_workers_that_are_stopped_leave_room_for_the_next(
    home: Home, new_study: New, cluster: Cluster
) -> None:
    # The cluster has room for the workers of one trial alone: a group that stayed would keep the next waiting for ever.
    paths, spec = new_study(WORSE, sampler="grid", trials=None, workers_per_trial=2, max_images=24)
    Study(home, paths, spec, cluster).end()
    assert {row["trial"]: row["status"] for row in rows(paths)} == {0: "completed", 1: "stopped", 2: "stopped"}


@pytest.mark.parametrize(
    ("needs", "takes"),
    [
        ({"threads_per_trial": 64}, "64 CPUs, .* 2 CPUs and 0 GPUs; "),
        ({"workers_per_trial": 4}, "4 workers with 1 CPU each, .* 2 CPUs and 0 GPUs; "),
        ({"memory_per_trial": 9_000 * 2**30}, r"1 CPU and 9000 GiB of memory, .* 2 CPUs and 0 GPUs and [0-9.]+ GiB; "),
    ],
)
def test_a_trial_that_no_node_can_hold_is_refused_at_once(
    home: Home, new_study: New, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, needs: dict[str, int], takes: str
) -> None:
    monkeypatch.setattr(under_test, "AUTOSCALER_PATIENCE", 1.0)
    paths, spec = new_study(**needs)
    said = rf"a trial of study 's' takes {takes}.*go on with: understock resume s$"
    with pytest.raises(UserError, match=said):
        under_test.run_study(home, paths, spec, address=cluster.address)
    assert not rows(paths)


def test_a_study_whose_only_node_goes_says_so_and_halts_and_can_be_resumed(
    home: Home, new_study: New, one_node: Cluster, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(under_test, "AUTOSCALER_PATIENCE", 5.0)
    paths, spec = new_study(trials=1, max_images=80_000, early_stopping=False)
    study = Study(home, paths, spec, one_node)
    wait_for_rows(paths, bool)
    one_node.remove_node(one_node.list_all_nodes()[-1], allow_graceful=False)
    study.join(timeout=120)
    assert not study.is_alive(), "the study hangs"
    assert isinstance(study.outcome, UserError)
    assert str(study.outcome).endswith("and go on with: understock resume s")
    assert capfd.readouterr().err.count("waiting for the cluster to bring up nodes") == 1
    assert {row["status"] for row in rows(paths)} == {"running"}


def test_a_study_whose_workers_always_die_halts_after_the_stated_retries_and_stays_to_do(
    home: Home, new_study: New, cluster: Cluster
) -> None:
    paths, spec = new_study(trials=1, workers_per_trial=2)
    study, killed, deadline = Study(home, paths, spec, cluster), set(), time.monotonic() + 400
    while study.is_alive():
        assert time.monotonic() < deadline, "the study goes on"
        for process in processes(WORKER)[:1]:
            os.kill(process.pid, signal.SIGKILL)
            killed.add(process.pid)
        time.sleep(0.2)
    assert isinstance(study.outcome, UserError)
    assert "every trial came to nothing" in str(study.outcome)
    assert [row["status"] for row in rows(paths)] == ["running"]
    assert under_test.INFRASTRUCTURE_RETRIES < len(killed) <= 2 * (under_test.INFRASTRUCTURE_RETRIES + 1)


def test_trials_are_spread_over_nodes_and_a_lost_node_loses_none(
    home: Home, new_study: New, three_nodes: Cluster
) -> None:
    paths, spec = new_study(trials=4, concurrency=3, max_images=240, early_stopping=False)
    study = Study(home, paths, spec, three_nodes)
    before = wait_for_rows(paths, lambda scored: len({row["node"] for row in scored}) == 3)
    three_nodes.remove_node(three_nodes.list_all_nodes()[-1], allow_graceful=False)
    study.end()
    check_records(paths, spec, "completed")
    check_kept(paths, before)


def test_a_killed_worker_and_a_lost_node_take_nothing_from_a_trial_of_two_workers(
    home: Home, new_study: New, three_nodes: Cluster
) -> None:
    paths, spec = new_study(trials=1, workers_per_trial=2, max_images=160, early_stopping=False)
    study = Study(home, paths, spec, three_nodes)
    earlier = wait_for_rows(paths, lambda scored: len(scored) >= 2)
    os.kill(processes(WORKER)[0].pid, signal.SIGKILL)
    before = wait_for_rows(paths, lambda scored: len(scored) >= len(earlier) + 3)
    check_kept(paths, earlier)
    raylet = processes(WORKER)[0].parent()
    lost = [node for node in three_nodes.list_all_nodes() if raylet.pid in pids(node)]
    three_nodes.remove_node(lost[0], allow_graceful=False)
    study.end()
    check_records(paths, spec, "completed")
    check_kept(paths, before)


def pids(node: Any) -> set[int]:
    """Of a node's raylet and agents."""
    return {info.process.pid for infos in node.all_processes.values() for info in infos}
