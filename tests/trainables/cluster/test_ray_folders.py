"""Ray's folder and token on this machine, whatever TMPDIR and the home directory are."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from spaces.errors import UserError
from trainables.cluster.connection import connected
from trainables.cluster.folders import own_token, ray_folder


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
