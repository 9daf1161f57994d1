"""Ray's folder and token on this machine, whatever TMPDIR and the home directory are."""

import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import ray

from spaces.errors import UserError
from trainables.cluster.connection import connected
from trainables.cluster.folders import own_token, ray_folder
from trainables.storage.home import LOCK


@pytest.fixture
def long_tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home directory without a token, which Ray's processes are to have one of."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    return tmp_path / "me"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_rays_folder_is_this_users_alone_and_goes_in_the_end() -> None:
    with ray_folder() as folder:
        assert mode(folder) == 0o700
    assert not folder.exists()


def test_rays_folder_is_short_where_tmpdir_is_long(long_tmpdir: Path) -> None:
    with ray_folder() as folder:
        assert folder.parent == Path("/tmp")


def test_a_token_is_this_users_alone(tokens: Path, tmp_path: Path) -> None:
    with own_token(tmp_path):
        path = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        first = path.read_text()
    assert (path, mode(path), mode(path.parent)) == (tokens / ".ray" / "auth_token", 0o600, 0o700)
    with own_token(tmp_path):
        assert path.read_text() == first
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def test_a_token_lies_in_rays_folder_where_there_is_no_home_directory(
    tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")
    with own_token(tmp_path):
        assert mode(tmp_path / "auth_token") == 0o600
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "auth_token")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere.invalid:6379", "[::1]:9", "127.0.0.1:99999"])
def test_an_address_where_nothing_is_is_a_line_at_once(address: str) -> None:
    with pytest.raises(UserError, match="no Ray to work with at"), connected(address, 1, Path("/dev/null")):
        pass


@pytest.mark.parametrize(("go_on", "said"), [({}, "try again"), ({"go_on": "resume it"}, "resume it")])
def test_a_ray_that_does_not_start_in_time_says_what_to_look_at_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, go_on: dict[str, str], said: str
) -> None:
    monkeypatch.setattr(ray, "init", late)
    ends = rf"Ray did not start in the 30 s .* too busy, or short of memory; .*`top` shows that\), then {said}$"
    with pytest.raises(UserError, match=ends), connected(None, 1, Path("/dev/null"), **go_on):
        pass


def late(**_: object) -> None:
    raise Exception("The current node timed out during startup. This could happen because some of the raylet failed")


def test_no_ray_at_an_address_says_how_to_go_on() -> None:
    said = pytest.raises(UserError, match=r"see `ray status`, then resume it$")
    with said, connected("127.0.0.1:9", 1, Path("/dev/null"), go_on="resume it"):
        pass


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of somebody who takes connections and says nothing."""
    with socket.create_server(("", 0)) as server:  # of whatever address Ray takes this machine to have
        yield server.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "auto"])
@pytest.mark.slow
def test_who_does_not_answer_as_a_ray_does_is_a_line_within_ten_seconds(
    mute: int, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{mute}")
    start = time.monotonic()
    said = pytest.raises(UserError, match="does not answer as a Ray does")
    with said, connected(address.format(mute), 1, Path("/dev/null")):
        pass
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("address", ["nothing", "ray:/", "http://127.0.0.1:1", "local", "a:b"])
def test_what_is_no_address_or_leads_nowhere_is_a_line(address: str) -> None:
    said = pytest.raises(UserError, match=r"no address of a Ray; give HOST:PORT|no Ray to work with at")
    with said, connected(address, 1, Path("/dev/null")):
        pass


@pytest.mark.parametrize("address", ["ray://127.0.0.1:9", "ray://"])
def test_the_address_of_a_ray_client_is_a_line_that_says_what_to_give(address: str) -> None:
    said = r"is the address of a Ray Client.*HOST:PORT.* or auto; elsewhere use search --submit"
    with pytest.raises(UserError, match=said), connected(address, 1, Path("/dev/null")):
        pass


@pytest.fixture
def short_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for Ray's folders, with a path that is short enough."""
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


def test_a_folder_that_is_being_made_is_not_taken_for_a_killed_processes(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys; from pathlib import Path; from trainables.cluster.folders import _sweep; _sweep(Path(sys.argv[1]))"
    )
    flock = fcntl.flock

    def swept_before(file: IO[str], how: int) -> None:
        """Another process's search starts when the folder is there and its lock is not yet held."""
        if how & fcntl.LOCK_EX:
            subprocess.run([sys.executable, "-c", code, str(short_tmp)], check=True)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", swept_before)
    with ray_folder() as folder:
        assert (folder / LOCK).is_file()


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_no_other(short_tmp: Path) -> None:
    code = "from trainables.cluster.folders import ray_folder\nwith ray_folder() as f: print(f, flush=True); input()"
    command = [sys.executable, "-c", code]
    (short_tmp / "ustock-someone").mkdir()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        (left / "session").mkdir()
        with ray_folder():
            assert left.is_dir()  # its process lives
        process.kill()
        process.wait()
    assert left.is_dir()
    with ray_folder() as mine:
        assert sorted(short_tmp.iterdir()) == sorted([mine, short_tmp / "ustock-someone"])
