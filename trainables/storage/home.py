"""The home folder: where domains, source models and studies lie, and how files get there whole or not at all.

A home is a folder of this machine, or lies on an object store and is worked on through a folder of this machine, its
mirror (`trainables/storage/mirror.py` says what is consistent when). The rest of the code need not know which of the
two it has, as long as it reads and writes through these functions:

- `fetch` before reading what another machine may have written;
- `writing` for a file and `writing_folder` for a folder, which is then there whole or not at all;
- `push` after appending to a file in place;
- `remove` to delete a folder.

In a home of this machine alone `fetch` and `push` do nothing.
"""

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import UserError
from spaces.records import NAME_PATTERN, NAME_RULE
from trainables.machine.interrupts import kept_interrupts
from trainables.storage.lease import Lease, is_held
from trainables.storage.locks import lock_within
from trainables.storage.mirror import Mirror, mirror_of
from trainables.storage.places import expanded, output_file, try_writing

SPEC = "study.json"
"""The file that makes a folder of `studies/` a study."""

LOCK = ".lock"
"""Name of the file that `only_process` locks, in the folder that it keeps others off."""

_LOOK_SECONDS = 1.0
"""How long `only_process` tries: `has_process` holds the lock for a moment, and is asked often by who watches."""

_RENAMES = 20
"""How often a folder's renaming is tried while other processes put something in its place."""


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can safely be a file name; `kind` is what the error calls it.

    UserError if it is not: no lower-case letter or digit first, other characters, or over 100 of them.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(f"{kind} name {name!r} will not do: it should be {NAME_RULE}")
    return name


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits. Raises OSError if it can't be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Home:
    """A home folder; it owns the first level of names, `domains/`, `sources/` and `studies/` below `root`."""

    root: Path
    """The folder of this machine to read and write in: the home itself, or the mirror of a home on an object store."""
    url: str | None = None
    """Where a home on an object store really is, s3://BUCKET/PREFIX; None for a home of this machine alone."""

    @classmethod
    def find(cls, where: str | Path | None = None) -> "Home":
        """Find the home at `where`, a path or an s3:// URL; without it at $UNDERSTOCK_HOME, else at ~/.understock.

        Nothing is made. UserError if a home that is named is not there, can't be read, or its object store can't be reached.
        ~/.understock may be missing: nothing is in it then. A home that can't be written may be read.
        """
        home = cls._at(named := where or os.environ.get("UNDERSTOCK_HOME"))
        if not home.is_there() and named:
            raise UserError(
                f"no home at {home}; name another with --home or UNDERSTOCK_HOME, or begin one there with: "
                f"understock domains add NAME WHAT --home {shlex.quote(str(home))}"
            )
        return home

    @classmethod
    def make(cls, where: str | Path | None = None) -> "Home":
        """Find the home as `find` does, and make the folder if it is missing; UserError if it can't be made."""
        home = cls._at(where or os.environ.get("UNDERSTOCK_HOME"))
        if home.url is None:
            try:
                home.root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _refused(home.root, "written", error) from None
        home.is_there()  # says so if it can't be read
        return home

    @classmethod
    def _at(cls, where: str | Path | None) -> "Home":
        place = str(where or "~/.understock")
        if "://" in place:
            mirror = Mirror.open(place)
            return cls(mirror.root, mirror.store.url)
        root = expanded(place, "name a folder with --home PATH or UNDERSTOCK_HOME")
        try:
            return cls(root.absolute())
        except OSError as error:  # the current folder is gone
            raise _refused(root, "found", error) from None

    def is_there(self) -> bool:
        """Tell whether there is such a folder, or anything of the home in the object store; UserError if it can't be read."""
        if mirror := mirror_of(self.root / "domains"):
            return any(mirror.names(kind) for kind in _KINDS)
        try:
            os.listdir(self.root)
            return True
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _refused(self.root, "read", error) from None

    def check_writable(self) -> None:
        """UserError before anything is done whose outcome could not be kept."""
        try:
            try_writing(self.root)  # it is made with what is written first
        except OSError as error:
            raise _refused(self.root, "written", error) from None

    def __str__(self) -> str:
        """Give the home as its user names it, so that `find` takes it again."""
        return self.url or str(self.root)

    def domain(self, name: str) -> Path:
        """Give the folder of domain `name`, there or not. Raises UserError for a name that can't be a file's."""
        return self.root / "domains" / check_name("domain", name)

    def source(self, name: str) -> Path:
        """Give the folder of source model `name`, there or not. Raises UserError for a name that can't be a file's."""
        return self.root / "sources" / check_name("source model", name)

    def study(self, name: str) -> Path:
        """Give the folder of study `name`, there or not. Raises UserError for a name that can't be a file's."""
        return self.root / "studies" / check_name("study", name)

    def names(self, kind: str) -> list[str]:
        """List what the home has of a `kind` ("domains", "sources", "studies"), sorted; none where the folder is missing.

        What else lies there is left out: whatever could have no such name, as half-written folders, and a study's folder
        before there is a study.
        """
        folder = self.root / kind
        if mirror := mirror_of(folder):
            return [name for name in mirror.names(kind) if re.fullmatch(NAME_PATTERN, name)]
        there = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
        begun = [path for path in there if kind != "studies" or (path / SPEC).is_file()]
        return sorted(path.name for path in begun if re.fullmatch(NAME_PATTERN, path.name))


def _refused(root: Path, what: str, error: OSError) -> UserError:
    return UserError(
        f"home {root} can't be {what} ({error.strerror}); give another with --home PATH or UNDERSTOCK_HOME"
    )


class StorageError(UserError):
    """The disk is full, over quota, gone or read-only: no fault of what was to be written."""

    @classmethod
    def of(cls, error: OSError, path: Path) -> "StorageError":
        """Say in one line why `path` can't be written, and how to mend that."""
        cure = "make space there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable again"
        reason = os.strerror(error.errno) if error.errno else str(error)
        return cls(f"{path} can't be written ({reason}); {cure}")


STORAGE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)
"""Which OSErrors are the disk's fault: it is full, over quota, read-only, not ours, broken, or its network mount is gone."""


def fetch(path: Path) -> None:
    """Make `path`, a file or a whole folder, what the object store has now; does nothing outside a mirror.

    Raises StoreError if the store can't be reached, or what comes from it is damaged.
    """
    if mirror := mirror_of(path):
        mirror.fetch(path)


def content(path: Path) -> bytes:
    """What file `path` holds at this moment, in a mirror according to the object store; `path` itself stays as it is.

    Raises FileNotFoundError if it is not there.
    """
    return mirror.content(path) if (mirror := mirror_of(path)) else path.read_bytes()


def snapshot(path: Path, copy: Path) -> None:
    """Write the `content` of file `path` to file `copy`."""
    with writing(copy) as beside:
        beside.write_bytes(content(path))


def push(path: Path) -> None:
    """Give the object store a file that was appended to in place; does nothing outside a mirror.

    Raises UserError if another process has written that file since this machine last fetched or pushed it.
    """
    if mirror := mirror_of(path):
        mirror.put(path, path, fenced=True)


def remove(path: Path) -> None:
    """Remove folder `path` and what is in it, in a mirror from the object store too. Raises OSError if it is missing."""
    if mirror := mirror_of(path):
        mirror.remove(path)
    shutil.rmtree(path)


def bytes_below(folder: Path) -> int:
    """Sum the sizes of all files below `folder`, in bytes, in a mirror of those in the object store; what is gone has none."""
    if mirror := mirror_of(folder):
        return mirror.size(folder)
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """StorageError, about `path`, if the block finds no room, or a disk that is gone or read-only."""
    try:
        yield
    except OSError as error:
        if error.errno not in STORAGE_ERRNOS:
            raise
        raise StorageError.of(error, path) from error


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Write file `path` whole or not at all: the block gets a path beside it, and writes that file.

    At the end the file is synced, uploaded where `path` lies in a mirror, and renamed over `path`, whose folder is made
    if missing. A link stays, and what it leads to is written; a file that is replaced keeps its mode. If the block raises,
    `path` stays as it was and the other file is removed. Raises StorageError if the disk won't take it: full, over quota,
    read-only or gone; UserError if what is there is no file.
    """
    path = output_file(path)
    beside = _beside(path)
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield beside
            with beside.open("rb") as file:
                if path.exists():
                    os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
                os.fsync(file.fileno())
            if mirror := mirror_of(path):
                mirror.put(beside, path)
            beside.replace(path)
    finally:
        with suppress(OSError):  # of a folder that can't be written
            beside.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Write folder `path` whole or not at all: the block gets a fresh folder beside it, and fills that.

    At the end it is renamed to `path`; if the block raises, `path` stays as it was and the fresh folder is removed. A
    folder that is at `path` already is set aside first and removed last, so a process killed between the two renames
    leaves both folders beside the place, and nothing in it; an interrupt waits for the second one, and after an error what
    was there is there again. Raises StorageError if the disk won't take it.
    """
    beside = _beside(path)
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.mkdir()
            yield beside
            if mirror := mirror_of(path):
                mirror.put_folder(beside, path)
            with kept_interrupts():
                _put_in_place(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put_in_place(fresh: Path, path: Path) -> None:
    """Rename folder `fresh` to `path`, and remove what was there; it is there again if that fails."""
    aside: list[Path] = []
    try:
        _rename_over(fresh, path, aside)
    except BaseException:
        rest = [folder for folder in aside if folder.exists()]
        if rest:
            with suppress(OSError):  # what can't be put back stays beside
                _rename_over(rest.pop(0), path, rest)
                for folder in rest:
                    _merge(folder, path)
        raise
    for folder in aside:
        shutil.rmtree(folder, ignore_errors=True)


def _rename_over(folder: Path, path: Path, aside: list[Path]) -> None:
    """Rename `folder` to `path`, where what is there is set aside first: under names that `aside` gets.

    That may be several, as a process that keeps something in the folder at `path` makes it anew when it is gone.
    """
    for left in reversed(range(_RENAMES)):
        if path.exists():
            aside.append(_beside(path))
            path.replace(aside[-1])
        try:
            folder.replace(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not left:
                raise


def _merge(rest: Path, path: Path) -> None:
    """Move to folder `path` the files of folder `rest` that it lacks, and remove the others."""
    for file in [file for file in rest.rglob("*") if file.is_file()]:
        place = path / file.relative_to(rest)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    shutil.rmtree(rest, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Give a fresh hidden name in the folder of `path`: processes of several hosts may write there at once."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def has_process(folder: Path) -> bool:
    """Tell whether any process is in an `only_process` block for `folder`, on this machine or on one that shares it.

    On an object store one that was killed elsewhere counts for half a minute more.
    """
    try:
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        pass
    except BlockingIOError:
        return True
    mirror = mirror_of(folder)
    return mirror is not None and is_held(mirror, folder)


@contextmanager
def only_process(folder: Path, otherwise: str) -> Iterator[None]:
    """Keep every other process off `folder`, which is made if missing, for the length of the block.

    The lock goes with the process that holds it; on an object store, half a minute after it. Raises UserError with the
    message `otherwise`, after a second, if another process works on the folder already.
    """
    with storage_errors(folder / LOCK):
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / LOCK).open("w")
    with opened as lock:
        if not lock_within(lock, _LOOK_SECONDS):
            raise UserError(otherwise)
        mirror = mirror_of(folder)
        with Lease(mirror, folder, otherwise).held() if mirror else nullcontext():
            yield


@contextmanager
def claim(home: Home, kind: str, name: str, *, replace: bool = False) -> Iterator[None]:
    """Inside the block nobody else makes `name` in `kind` ("domains", "sources", "studies"), so it is free until the end.

    Whatever is made is renamed into place in there: of several that begin at once, one makes it. UserError for all others,
    at once, and if it's there already and isn't to be replaced. The claim goes with the process that holds it.
    """
    thing = f"{_KINDS[kind]} {name!r}"
    busy = f"{thing} is being made by another process, in {home}; wait for its end, or take another name"
    with only_process(home.root / ".claims" / kind / name, busy):
        if not replace and name in home.names(kind):
            way_out = f"go on with it: understock resume {name}" if kind == "studies" else "replace it with --replace"
            raise UserError(f"{thing} is there already, in {home}; take another name, or {way_out}")
        yield


_KINDS = {"domains": "domain", "sources": "source model", "studies": "study"}
