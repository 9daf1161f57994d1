import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import ray
import typer
import yaml
from packaging.specifiers import SpecifierSet
from ray.autoscaler._private.aws.config import _check_ami
from ray.autoscaler._private.util import prepare_config, validate_config

import understock
from search.records.results import load
from search.records.study import StudyPaths, is_running
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

ROOT = Path(__file__).parent.parent
CLUSTER = ROOT / "cluster.yaml"
RAYJOB = ROOT / "deploy" / "rayjob.yaml"

PUBLISHED = {
    kind: set(fields.split())
    for kind, fields in {
        "RayJobSpec": (
            "activeDeadlineSeconds backoffLimit rayClusterSpec submitterPodTemplate metadata clusterSelector "
            "submitterConfig managedBy deletionStrategy entrypoint runtimeEnvYAML jobId submissionMode "
            "entrypointResources entrypointNumCpus entrypointNumGpus ttlSecondsAfterFinished "
            "shutdownAfterJobFinishes suspend"
        ),
        "RayClusterSpec": (
            "suspend managedBy autoscalerOptions headServiceAnnotations enableInTreeAutoscaling "
            "gcsFaultToleranceOptions headGroupSpec rayVersion workerGroupSpecs authOptions"
        ),
        "AuthOptions": "mode",
        "AutoscalerOptions": (
            "resources image imagePullPolicy securityContext idleTimeoutSeconds upscalingMode version env envFrom "
            "volumeMounts"
        ),
        "HeadGroupSpec": "template headService enableIngress rayStartParams serviceType",
        "WorkerGroupSpec": (
            "suspend groupName replicas minReplicas maxReplicas idleTimeoutSeconds rayStartParams template "
            "scaleStrategy numOfHosts"
        ),
        "PodSpec": "serviceAccountName tolerations containers nodeSelector volumes",
        "Container": "name image env envFrom resources volumeMounts command args",
    }.items()
}
"""Field names of ray.io/v1, as in KubeRay's API reference (docs/reference/api.md of ray-project/kuberay, and for
AuthOptions ray-project.github.io/kuberay/reference/api); of a pod those that are likely here (Kubernetes core v1). Names and the
types that the tests below look at; not the whole resource definition."""


def prepared() -> dict[str, object]:
    config = prepare_config(yaml.safe_load(CLUSTER.read_text()))
    config.setdefault("cluster_synced_files", [])
    return dict(config)


def test_cluster_yaml_fits_rays_own_schema() -> None:
    validate_config(prepared())


def test_the_schema_would_refuse_an_unknown_key() -> None:
    with pytest.raises(Exception, match="max_wrokers"):
        validate_config(prepared() | {"max_wrokers": 3})


def test_every_node_starts_from_an_image_with_a_python_that_the_package_takes() -> None:
    """An image that is not named is filled in by Ray: one of Ubuntu 18.04, whose Python is 3.6."""
    config = prepared()
    _check_ami(config)
    images = {node["node_config"]["ImageId"] for node in config["available_node_types"].values()}
    family = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04"
    assert images == {f"resolve:ssm:{family}/latest/ami-id"}
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert SpecifierSet(required).contains("3.12"), "Ubuntu 24.04's"


def test_workers_are_spot_and_scale_from_none() -> None:
    worker = yaml.safe_load(CLUSTER.read_text())["available_node_types"]["gpu"]
    assert worker["min_workers"] == 0
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


def rayjob() -> dict[str, object]:
    return dict(yaml.safe_load(RAYJOB.read_text()))


def unpublished(spec: dict[str, object], kind: str) -> set[str]:
    return spec.keys() - PUBLISHED[kind]


def test_rayjob_yaml_has_only_fields_that_kuberay_publishes() -> None:
    job = rayjob()
    assert (job["apiVersion"], job["kind"], set(job)) == (
        "ray.io/v1",
        "RayJob",
        {"apiVersion", "kind", "metadata", "spec"},
    )
    cluster = job["spec"]["rayClusterSpec"]
    head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert not unpublished(job["spec"], "RayJobSpec")
    assert not unpublished(cluster, "RayClusterSpec")
    assert not unpublished(cluster["autoscalerOptions"], "AutoscalerOptions")
    assert not unpublished(head, "HeadGroupSpec")
    for group in workers:
        assert not unpublished(group, "WorkerGroupSpec")
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for pod in (group["template"]["spec"] for group in (head, *workers)):
        assert not unpublished(pod, "PodSpec")
        for container in pod["containers"]:
            assert not unpublished(container, "Container")
            assert all(isinstance(variable["value"], str) for variable in container["env"])
    assert all(isinstance(value, str) for group in (head, *workers) for value in group["rayStartParams"].values())
    assert job["spec"]["submissionMode"] in {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"}


def test_rayjob_yaml_wants_tokens_and_workers_from_none() -> None:
    cluster = rayjob()["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    assert [group["minReplicas"] for group in cluster["workerGroupSpecs"]] == [0]


def test_the_ray_that_is_deployed_is_the_one_that_is_installed() -> None:
    assert rayjob()["spec"]["rayClusterSpec"]["rayVersion"] == ray.__version__
    assert f"rayproject/ray:{ray.__version__}-" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_the_searches_of_the_examples_are_command_lines_that_parse() -> None:
    """Every `understock search` of the deployment files is understood; its --dry-run stops at the home, not before."""
    comments = (line for line in CLUSTER.read_text().splitlines() if line.startswith("#   understock search"))
    for line in (rayjob()["spec"]["entrypoint"], *(line.removeprefix("#   ") for line in comments)):
        command = typer.main.get_command(understock.app)
        _, verb, *arguments = shlex.split(line)
        assert isinstance(command, typer.core.TyperGroup)
        command.commands[verb].make_context(verb, arguments)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A `ray start --head` on loopback with token authentication; gives its variables, "address" and "dashboard"."""
    ports = [free_port() for _ in range(3)]
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4)
    environment = os.environ | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "UNDERSTOCK_HOME": "/nowhere",
        "RAY_worker_niceness": "0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # jobs are `understock ...`
    }
    temp = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: a socket's path has 107 characters at most
    ray_start = Path(sys.executable).with_name("ray")
    command = [
        ray_start,
        "start",
        "--head",
        "--block",
        "--num-cpus=2",
        f"--temp-dir={temp}",
        "--node-ip-address=127.0.0.1",
        f"--port={ports[0]}",
        f"--dashboard-port={ports[1]}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-agent-listen-port={ports[2]}",
    ]
    log = (tmp_path / "ray.log").open("w")
    with subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True) as head:
        try:
            url = f"http://127.0.0.1:{ports[1]}"
            log_text = (tmp_path / "ray.log").read_text
            wait_until(lambda: head.poll() is not None or "block forever" in log_text(), log_text)
            assert head.poll() is None, log_text()
            wait_until(lambda: answers(f"{url}/api/version", token.read_text()), log_text)
            yield environment | {"address": f"127.0.0.1:{ports[0]}", "dashboard": url}
        finally:
            with suppress(psutil.NoSuchProcess):  # of a head that has died the log is to be told
                family = psutil.Process(head.pid).children(recursive=True)
                head.terminate()
                _, alive = psutil.wait_procs(family, timeout=30)
                for process in alive:
                    process.kill()
    shutil.rmtree(temp, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(url: str, token: str) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with suppress(OSError):
        return bool(urllib.request.urlopen(request, timeout=5).status == 200)
    return False


def wait_until(condition: Callable[[], bool], explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.3)


SPACE = """
def space(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["seed-7"])
    trial.suggest_categorical("loss/n_critic", [1])
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_categorical("optim/lr_g", [1e-4])
"""


@pytest.mark.ray
def test_searches_are_sent_to_a_cluster_with_tokens_and_followed(
    home: Home, tiny_domain: str, tiny_source: SourceModel, cluster: dict[str, str], tmp_path: Path
) -> None:
    """One cluster for all, for its start is what costs: a job to its end, one with a mistake, one that is left and stopped."""
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "spaces.py").write_text(SPACE)
    (folder / "trainables.py").write_text("raise ImportError('the wrong one')")  # it travels along, and is not imported
    settings = "--sources seed-7 --space spaces.py:space --trials 1 --concurrency 1 --threads-per-trial 1 --max-images"
    here = ["--home", str(home.root)]

    def start(*command: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=cluster, cwd=folder, stdout=pipe, stderr=pipe, text=True)

    def search(name: str, images: int) -> "subprocess.Popen[str]":
        target = ["understock", "search", "dots", "--working-dir", str(folder), "--submit", cluster["dashboard"]]
        return start(*target, *settings.split(), str(images), "--name", name, *here)

    followed = search("followed", 8)
    said, complaint = followed.communicate(timeout=300)
    assert followed.returncode == 0, said + complaint
    assert "1 of 1 trial" in said
    assert (home.study("followed") / "report.html").is_file()

    mistaken = search("UPPER", 8)
    said, complaint = mistaken.communicate(timeout=300)
    assert (mistaken.returncode, "name" in said) == (2, True), said + complaint

    left = search("left", 6_000)
    paths = StudyPaths.of(home, "left")
    wait_until(lambda: left.poll() is not None or bool(list(paths.root.glob("samples/*/[0-9]*.png"))), lambda: "hangs")
    assert left.poll() is None, left.communicate()
    status, _ = start("understock", "status", "left", *here).communicate(timeout=120)
    assert "running" in status
    left.send_signal(signal.SIGINT)
    _, complaint = left.communicate(timeout=60)
    assert left.returncode == 130
    assert "goes on; follow it with: RAY_AUTH_MODE=token ray job logs --follow" in complaint
    assert "Traceback" not in complaint
    assert is_running(paths)
    stop = re.findall(r"stop it with: RAY_AUTH_MODE=token (.*)", complaint)[0]
    stopped = start(*shlex.split(stop))
    said, complaint = stopped.communicate(timeout=120)
    assert stopped.returncode == 0, said + complaint
    wait_until(lambda: not is_running(paths), lambda: "its driver lives")
    assert [row["status"] for row in load(paths.evaluations).to_pylist()][-1] == "running"  # and can be resumed

    direct = ["understock", "search", "dots", *settings.split(), "8", "--address", cluster["address"], *here]
    (tmp_path / "wrong").write_text("f" * 64)
    cluster["RAY_AUTH_TOKEN_PATH"], right = str(tmp_path / "wrong"), cluster["RAY_AUTH_TOKEN_PATH"]
    refused = start(*direct, "--name", "refused")
    said, complaint = refused.communicate(timeout=300)
    assert (refused.returncode, "Traceback" in complaint) == (2, False), said + complaint
    assert "no Ray to work with at" in complaint.splitlines()[-1]
    cluster["RAY_AUTH_TOKEN_PATH"] = right
    joined = start(*direct, "--name", "joined")
    said, complaint = joined.communicate(timeout=300)
    assert (joined.returncode, "1 of 1 trial" in said) == (0, True), said + complaint
