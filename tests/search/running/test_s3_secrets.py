"""What a search on a bucket leaves on this machine: the keys stand in no file of it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.records.study import StudyPaths, StudySpec
from trainables.storage import store
from trainables.storage.home import Home

pytestmark = [pytest.mark.ray, pytest.mark.s3]

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAFUZZFUZZFUZZFUZZ",
    "AWS_SECRET_ACCESS_KEY": "s3cr3tS3cr3tS3cr3tS3cr3tS3cr3tS3cr3tS3cr",
    "AWS_SESSION_TOKEN": "t0k3nT0k3nT0k3nT0k3nT0k3nT0k3nT0k3n",
}


@pytest.fixture
def home(machine: Callable[[str], Home], monkeypatch: pytest.MonkeyPatch) -> Home:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    store._client.cache_clear()
    return machine("a")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for all that is temporary, short enough for Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp") as folder:
        yield Path(folder)


def files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        for parent, _, names in os.walk(folder):
            yield from (path for name in names if (path := Path(parent, name)).is_file() and not path.is_symlink())


def with_secrets(*folders: Path) -> set[str]:
    return {str(path) for path in files(*folders) if any(value.encode() in content(path) for value in SECRETS.values())}


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it went away meanwhile
        return b""


def test_the_keys_of_a_bucket_are_in_no_file_while_a_search_runs_nor_afterwards(
    home: Home,
    new_study: Callable[..., tuple[StudyPaths, StudySpec]],
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.setenv(name, str(temporary))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    (tmp_path / "me").mkdir()
    new_study(trials=2, max_images=80, early_stopping=False)
    command = [sys.executable, "-m", "understock", "resume", "s"]
    seen: set[str] = set()
    looked = 0
    with (tmp_path / "said").open("w") as said, subprocess.Popen(command, stdout=said, stderr=said) as driver:
        while driver.poll() is None:  # Ray's folder goes in the end, so it is looked at meanwhile
            for path in files(temporary):
                looked += path.suffix in (".log", ".out", ".err")
            seen |= with_secrets(temporary, tmp_path)
            time.sleep(0.5)
    assert driver.returncode == 0, (tmp_path / "said").read_text()
    assert looked > 10, "Ray's logs were not where this looks"
    assert seen | with_secrets(temporary, tmp_path) == set()


def test_the_scan_finds_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"AWS_SESSION_TOKEN={SECRETS['AWS_SESSION_TOKEN']}")
    assert with_secrets(tmp_path) == {str(tmp_path / "log")}
