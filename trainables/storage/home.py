"""The home: where domains, source models and studies lie, and how files get there whole or not at all.

A home on an object store is worked on through a folder of this machine (`trainables/storage/mirror.py` says what is consistent
when). For the rest of the code that is four functions: `fetch` before reading what another machine may have written,
`writing` or `writing_folder` to write, `push` after appending, `remove`. In a home of this machine alone `fetch` and
`push` do nothing.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import UserError
from spaces.records import NAME_PATTERN
from trainables.storage.lease import Lease
from trainables.storage.mirror import Mirror, mirror_of
from trainables.storage.places import expanded, output_file

LOCK = ".lock"
"""The file in a folder that `only_process` locks."""


def check_name(kind: str, name: str) -> str:
    """`name`, if it can safely be a file name; UserError otherwise."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(
            f"{kind} name {name!r} will not do: lower-case letters, digits, '.', '_' and '-', starting with a letter or "
            "digit, at most 100"
        )
    return name


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Home:
    """Owns the first level of names: `domains/`, `sources/`, `studies/` below `root`."""

    root: Path
    """A folder of this machine: the home itself, or the mirror of one on an object store."""
    url: str | None = None
    """s3://BUCKET/PREFIX of a home on an object store."""

    @classmethod
    def find(cls, where: str | Path | None = None) -> "Home":
        """`where`, a path or an URL, else $UNDERSTOCK_HOME, else ~/.understock; a folder is made if missing.

        UserError if it can't be written, or reached.
        """
        place = str(where or os.environ.get("UNDERSTOCK_HOME") or "~/.understock")
        if "://" in place:
            mirror = Mirror.open(place)
            return cls(mirror.root, mirror.store.url)
        root = expanded(place, "name a folder with --home PATH or UNDERSTOCK_HOME")
        try:
            root = root.absolute()
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass
        except OSError as error:
            raise UserError(
                f"home {root} can't be written ({error.strerror}); give another with --home PATH or UNDERSTOCK_HOME"
            ) from None
        return cls(root)

    def __str__(self) -> str:
        """As a user names it: what `find` takes."""
        return self.url or str(self.root)

    def domain(self, name: str) -> Path:
        return self.root / "domains" / check_name("domain", name)

    def source(self, name: str) -> Path:
        return self.root / "sources" / check_name("source model", name)

    def study(self, name: str) -> Path:
        return self.root / "studies" / check_name("study", name)

    def names(self, kind: str) -> list[str]:
        """Names in `kind` ("domains", "sources", "studies"), sorted; half-written ones start with a dot and are left out."""
        folder = self.root / kind
        if mirror := mirror_of(folder):
            return mirror.names(kind)
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []


class StorageError(UserError):
    """The disk is full, over quota, gone or read-only: no fault of what was to be written."""

    @classmethod
    def of(cls, error: OSError, path: Path) -> "StorageError":
        """The error in a line, about `path`."""
        cure = "make space there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable again"
        reason = os.strerror(error.errno) if error.errno else str(error)
        return cls(f"{path} can't be written ({reason}); {cure}")


STORAGE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


def fetch(path: Path) -> None:
    """Make `path`, a file or a whole folder, what the object store has, where it lies in the mirror of one."""
    if mirror := mirror_of(path):
        mirror.fetch(path)


def snapshot(path: Path, copy: Path) -> None:
    """Copy file `path` as it is now, in the object store where it lies in the mirror of one; `path` itself stays.

    FileNotFoundError if it is not there.
    """
    content = mirror.content(path) if (mirror := mirror_of(path)) else path.read_bytes()
    with writing(copy) as beside:
        beside.write_bytes(content)


def push(path: Path) -> None:
    """Give the object store what was appended to file `path` in place, where it lies in the mirror of one.

    UserError if another process has written that file since this machine last fetched or pushed it.
    """
    if mirror := mirror_of(path):
        mirror.put(path, path, fenced=True)


def remove(path: Path) -> None:
    """Remove a folder and all that is in it, from the object store too, where it lies in the mirror of one."""
    if mirror := mirror_of(path):
        mirror.remove(path)
    shutil.rmtree(path)


def bytes_below(folder: Path) -> int:
    """The sizes of all files in `folder`, summed. What disappears meanwhile counts as nothing."""
    if mirror := mirror_of(folder):
        return mirror.size(folder)
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, synced and renamed over `path` at the end; removed if the block raises.

    A link stays, and what it leads to is written; a file that is replaced keeps its mode. StorageError if there is no room
    for it, UserError if what is there is no file.
    """
    path = output_file(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")  # processes of several hosts may write at once
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        with beside.open("rb") as file:
            if path.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            os.fsync(file.fileno())
        if mirror := mirror_of(path):
            mirror.put(beside, path)
        beside.replace(path)
    except OSError as error:
        if error.errno not in STORAGE_ERRNOS:
            raise
        raise StorageError.of(error, path) from error
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """A fresh folder beside `path`, renamed to `path` at the end; removed if the block raises.

    A folder that is there is set aside first and removed last; a process killed between the two renames leaves both
    beside the place, and nothing in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    beside.mkdir()
    old = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield beside
        if mirror := mirror_of(path):
            mirror.put_folder(beside, path)
        if path.exists():
            path.replace(old)
        beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def has_process(folder: Path) -> bool:
    """Whether a process of this machine, or of one that mounts the same folder, is in an `only_process` block for it."""
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True


@contextmanager
def only_process(folder: Path, otherwise: str) -> Iterator[None]:
    """Nobody else works on `folder`, made if missing, inside the block; UserError with `otherwise` if somebody does.

    The lock goes with the process that holds it; on an object store, half a minute after it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(otherwise) from None
        mirror = mirror_of(folder)
        with Lease(mirror, folder, otherwise).held() if mirror else nullcontext():
            yield
