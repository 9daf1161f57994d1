"""What every test may start from: a home with a tiny domain, a config that trains in a second, a source model."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # tests start clusters of their own, on loopback, and end them
os.environ.setdefault(
    "RAY_ENABLE_AUTO_CONNECT", "0"
)  # a call to Ray before one would join the last cluster, alive or not

import numpy as np
import pytest
import torch
from s3_proxy import Proxy

import understock
from spaces.config import TrialConfig
from spaces.networks import AnyNetwork, parse_network
from spaces.trials import parse_trial
from trainables.images.domains import write_domain
from trainables.networks.families import build_discriminator, build_generator
from trainables.networks.models import Model
from trainables.networks.sampling import set_standing_statistics
from trainables.sources.shelf import SourceModel, open_source, save_source
from trainables.storage import store
from trainables.storage.home import Home

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and what it starts too

_leave = subprocess.Popen.__exit__


def _killing(process: "subprocess.Popen[Any]", kind: type[BaseException] | None, *raised: Any) -> None:
    """A failed test ends what it started, which it would wait for else: for ever, if that hangs or serves."""
    if kind is not None and process.poll() is None:
        process.kill()
    _leave(process, kind, *raised)


subprocess.Popen.__exit__ = _killing  # type: ignore[method-assign]

NETWORK = {"resolution": 32, "width": 2, "z_dim": 8}
PROTOCOL = {
    "metrics": ("fd", "iw"),
    "input_size": 32,
    "n_fake": 24,
    "iw": {"folds": 4, "partitions": 1, "held_out": 16},
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.make(tmp_path / "home")


@pytest.fixture
def tiny_domain(home: Home) -> str:
    """Domain "dots": 48 images of a bright square at a random place, 40 to train on, in 2 classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (48, 3, 32, 32), dtype=np.uint8)
    for image, (x, y) in zip(images, rng.integers(0, 24, (48, 2)), strict=True):
        image[:, y : y + 8, x : x + 8] = 220
    is_val = np.arange(48) % 6 == 0
    write_domain(home.domain("dots"), images, np.arange(48) % 2, is_val, origin="test", resizer="none")
    return "dots"


@pytest.fixture
def tiny_config(tiny_domain: str) -> Callable[..., TrialConfig]:
    """A config that trains in a second; keywords replace whole fields, None takes one out."""

    def config(**fields: Any) -> TrialConfig:
        values = {
            "target": tiny_domain,
            "source": "scratch",
            "network": NETWORK,
            "protocol": PROTOCOL,
            "loss": {"n_critic": 2},
            "optim": {"batch": 4},
            "budget": {"images": 32, "eval_every_images": 16},
        } | fields
        return parse_trial({name: value for name, value in values.items() if value is not None}, "test")

    return config


@cache
def random_model(config: AnyNetwork, seed: int) -> Model:
    """A generator that can be sampled, and a critic."""
    generator = build_generator(config, seed)
    set_standing_statistics(generator)
    weights = {"generator": generator.state_dict(), "discriminator": build_discriminator(config, seed).state_dict()}
    return Model(dict.fromkeys(weights, config), weights)


@pytest.fixture
def new_source(home: Home) -> Callable[..., SourceModel]:
    """Puts a source model with random weights on the shelf; a ResNet like `tiny_config`'s, with a critic, unless told else."""

    def make(name: str, *, seed: int = 7, critic: bool = True, domain: str = "lines", **network: Any) -> SourceModel:
        config = parse_network(NETWORK | network, "test")
        facts = {
            "name": name,
            "domain": domain,
            "images": 100,
            "classes": 4,
            "images_per_class": 25.0,
            "images_seen": 10,
            "scores": {"fd": 1.0},
            "protocol": {"n_fake": 10},
            "origin": "test",
            "created": "2026-01-01",
        }
        model = random_model(config, seed)
        networks = model.networks.keys() if critic else {"generator"}
        kept = ({key: each[key] for key in networks} for each in (model.networks, model.weights))
        save_source(home.source(name), facts, Model(*kept), b"png")
        return open_source(home, name)

    return make


@pytest.fixture
def tiny_source(new_source: Callable[..., SourceModel]) -> SourceModel:
    """Source model "seed-7" of the same network as `tiny_config`, on the shelf; random weights."""
    return new_source("seed-7")


@pytest.fixture
def run(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line as a user would; gives exit code, stdout, stderr."""
    monkeypatch.setenv("UNDERSTOCK_HOME", str(home.root))
    monkeypatch.setenv("COLUMNS", "200")

    def command(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["understock", *shlex.split(line)])
        try:
            understock.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return command


BUCKET = "understock-test"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real S3 API server on loopback, moto's, as a process of its own: the variables that lead to it, and its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("s3") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
        until = time.monotonic() + 60
        while True:
            assert server.poll() is None and time.monotonic() < until, log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        variables = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "S3_LOG": str(log),
        }
        yield variables | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        server.terminate()


@pytest.fixture
def machine(
    s3_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Home]]:
    """The test's own home on S3, as a machine of that name sees it; it is also the default home and cache from then on."""
    import boto3

    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    store._client.cache_clear()
    boto3.client("s3").create_bucket(Bucket=BUCKET)

    def see(name: str) -> Home:
        monkeypatch.setenv("UNDERSTOCK_CACHE", str(tmp_path / name))
        monkeypatch.setenv("UNDERSTOCK_HOME", f"s3://{BUCKET}/{request.node.name}")
        return Home.make()

    yield see
    store._client.cache_clear()


@pytest.fixture
def s3_trouble(machine: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """What stands between the machines and the S3 server from now on, and gives trouble when told to."""
    with Proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        store._client.cache_clear()
        yield proxy
