"""What Ray keeps on this machine: a folder for its sockets and logs, and the token that its processes know each other by."""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

from spaces.errors import UserError
from trainables.storage.home import LOCK, has_process

_PREFIX = "ustock-"
_LONGEST = 30
"""Bytes of a folder's path that leave room for ours in it and Ray's sockets in that: Linux takes 107 for a socket."""


@contextmanager
def ray_folder() -> Iterator[Path]:
    """A folder of our own for a Ray that lasts as long as the block, which nobody else can read: Ray logs much.

    Those of this user's whose processes were killed are removed.
    """
    folder = _made()
    try:
        with (folder / f"{LOCK}.new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / f"{LOCK}.new").replace(
                folder / LOCK
            )  # seen once it is locked: a folder with no lock on it is swept
            _sweep(folder.parent)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for left in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            about = left.lstat()
            mine = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
            if mine and (left / LOCK).is_file() and not has_process(left):  # one without a lock is just being made
                shutil.rmtree(left, ignore_errors=True)


def _made() -> Path:
    tried = []
    with suppress(FileNotFoundError):  # no folder at all can be written
        tried.append(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    for parent in (*tried, "/tmp"):
        if len(os.fsencode(parent)) <= _LONGEST:
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    raise UserError(
        f"Ray needs a folder for its sockets, of {_LONGEST} letters at most, and neither {' nor '.join((*tried, '/tmp'))} "
        "will do; set TMPDIR to one"
    )


@contextmanager
def own_token(folder: Path) -> Iterator[None]:
    """A Ray that is started in the block finds a token that only this user can read: the user's own, or a new one.

    Ray itself would write a new one for all to read. It goes to ~/.ray, or into `folder` where that can't be written.
    """
    if os.environ.get("RAY_AUTH_MODE") != "token" or {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        yield
        return
    try:
        path = Path.home() / ".ray" / "auth_token"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path)
    except (OSError, RuntimeError):  # there is no home directory, or it can't be written
        path = folder / "auth_token"
        _write_once(path)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    AuthenticationTokenLoader.instance().reset_cache()
    try:
        yield
    finally:
        del os.environ["RAY_AUTH_TOKEN_PATH"]
        AuthenticationTokenLoader.instance().reset_cache()


def _write_once(path: Path) -> None:
    """Write a new token, unless one is there."""
    if path.is_file() and path.stat().st_size:
        path.read_bytes()  # OSError if it is not this user's to read
        return
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    beside.replace(path)
