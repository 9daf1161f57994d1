"""The mirror of a home on an object store: a folder of this machine, so that the rest of the code works on local paths.

What is consistent when:

- A file is in the store before it is in the folder. `put` uploads what was written beside its place, whole or not at
  all, and only then is it renamed into place. So the folder is a cache: remove it whenever nothing runs on this
  machine.
- `fetch` makes a path what the store has at that moment (S3 lists and reads are strongly consistent), and removes what
  came from the store and is gone there. Code that reads a path which another machine may have written fetches it first.
  Files that were never in the store, such as Ray's logs, are left alone and stay on their machine.
- A domain and a source model change as a whole: their files are uploaded under a new version, and then one small
  object, the manifest, names them. Readers see all of the old one, all of the new one, or nothing. Files that are added
  later (moments, a contact sheet) are single files like any other.
- A trial's model is a folder of single files; `model.json`, the last to go up, has the digests of the others.
- On a machine the files of domains and source models lie once, by their SHA-256, whatever homes, names and processes
  use them; the digest is checked when they arrive.
- `trainables/storage/lease.py` lets one process at a time work on a folder of the store, wherever it runs. `put` with
  `fenced` refuses to replace what somebody else wrote meanwhile, so that no clock and no delay can make two drivers
  write one journal.

The store holds `domains/cats.manifest`, `domains/cats@VERSION/domain.arrow`, `domains/cats/moments/...`, and so on for
`sources/`; the files of studies have the names that they have in a local home.
"""

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spaces.plain_json import parse_json
from trainables.storage.json_files import read_json
from trainables.storage.locks import locked
from trainables.storage.places import expanded
from trainables.storage.store import ChangedError, ObjectStore, StoreError, UnreachableError

MARKER = ".mirror.json"
"""Name of the file in a mirror's root that says which store it mirrors, and that it is a mirror at all."""

WHOLE = ("domains", "sources")
"""The kinds whose entries change as a whole: their files lie under a version that a manifest names."""

CACHE_VARIABLE = "UNDERSTOCK_CACHE"
"""The environment variable that names the folder for mirrors; ~/.cache/understock without it."""

_FETCHES = 5
"""How often a fetch starts anew because the store changed under it, before it gives up."""

_STALE_SECONDS = 3600
"""Age after which content that no home uses is removed; a younger one may be on its way to its place."""


def mirror_of(path: Path) -> "Mirror | None":
    """Find the mirror that `path` lies in; None for a path of this machine alone."""
    for folder in path.parents:
        if (folder / MARKER).is_file():
            return _mirror_at(folder)
    return None


@lru_cache(maxsize=8)
def _mirror_at(root: Path) -> "Mirror":
    try:
        about = read_json(root / MARKER)
        return Mirror(root, ObjectStore.at(str(about["url"])), str(about["id"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreError(
            f"{root / MARKER} is damaged; remove {root}: it is a copy of what the object store has"
        ) from None


@dataclass(frozen=True)
class Mirror:
    """A folder of this machine, `root`, and the object store that it mirrors."""

    root: Path
    store: ObjectStore
    id: str
    """A random name of this very folder, and of its copies: a lease tells the machines that these are on by more."""

    @classmethod
    def open(cls, url: str) -> "Mirror":
        """Open the mirror of s3://BUCKET/PREFIX, made if missing, in $UNDERSTOCK_CACHE, else in ~/.cache/understock.

        Raises StoreError for another kind of URL, a store that can't be read, and a folder that can't be written.
        """
        store = ObjectStore.at(url)
        store.children("domains")  # says what is wrong with bucket or credentials
        cache = Path(os.environ.get(CACHE_VARIABLE) or "~/.cache/understock")
        cache = expanded(cache, f"name a folder with {CACHE_VARIABLE}").absolute()
        # one per server, too: buckets of the same name on two of them are two
        where = f"{store.url} {os.environ.get('AWS_ENDPOINT_URL_S3') or os.environ.get('AWS_ENDPOINT_URL')}"
        root = cache / f"{store.bucket}-{hashlib.sha256(where.encode()).hexdigest()[:16]}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            (cache / "blobs").mkdir(exist_ok=True)
            with locked(root / ".lock", f"setting up cache {cache}"):
                if not (root / MARKER).exists():
                    beside = _beside(root / MARKER)
                    beside.write_text(json.dumps({"url": store.url, "id": secrets.token_hex(8)}))
                    beside.replace(root / MARKER)
        except OSError as error:
            raise StoreError(
                f"cache {cache} can't be written ({error.strerror}); give another with {CACHE_VARIABLE}"
            ) from None
        return _mirror_at(root)

    def name(self, path: Path) -> str:
        """Give the name that `path`, which lies in this mirror, has in the store."""
        return path.relative_to(self.root).as_posix()

    def names(self, kind: str) -> list[str]:
        """List what the store has in folder `kind`, sorted, without what is hidden or half uploaded."""
        folders, objects = self.store.children(kind)
        found = [item.removesuffix(".manifest") for item in objects] if kind in WHOLE else folders
        return sorted(name for name in found if name[0] != ".")

    def size(self, folder: Path) -> int:
        """Sum the bytes of the files that the store has below `folder`."""
        return sum(item.size for item in self.store.objects(self.name(folder) + "/").values())

    def content(self, path: Path) -> bytes:
        """Read a small file as the store has it now. Raises FileNotFoundError if it has none of that name."""
        found = self.store.read(self.name(path))
        if found is None:
            raise FileNotFoundError(f"{self.store.url}/{self.name(path)}")
        return found[0]

    def fetch(self, path: Path) -> None:
        """Make `path`, a file or a folder with all that is in it, what the store has now; removed if that is nothing.

        Raises UnreachableError if the store changes faster than it can be read, StoreError if what comes is damaged.
        """
        for _ in range(_FETCHES):
            with suppress(ChangedError):  # replaced or removed since it was listed
                return self._fetch(self.name(path))
        raise UnreachableError(f"{self.store.url}/{self.name(path)} changes faster than it can be read; try again")

    def _fetch(self, start: str) -> None:
        """Bring what is missing at or below name `start`, forget what is gone; ChangedError if it changes meanwhile."""
        began, wanted = time.time(), self._wanted(start)
        missing = [name for name, file in wanted.items() if not self._is_current(name, file.mark)]
        if missing:
            # the other processes of this machine wait, and then have it
            lock = self.root / ".locks" / hashlib.sha256(start.encode()).hexdigest()[:16]
            with locked(lock, f"fetching {self.store.url}/{start}"):
                for name in missing:
                    if not self._is_current(name, wanted[name].mark):
                        self._bring(name, wanted[name])
        self._forget(start, wanted, began)

    def _wanted(self, start: str) -> dict[str, "_File"]:
        """List what the store has at or below a name: the files, by the names that they have in a home."""
        wanted = {name: _File(name, item.etag, None) for name, item in self.store.objects(start).items()}
        wanted |= self._manifest("/".join(start.split("/")[:2]))
        below = (name for name in wanted if name == start or name.startswith(start + "/"))
        return {name: wanted[name] for name in below if not _hidden(name.removeprefix(start))}

    def _manifest(self, entry: str) -> dict[str, "_File"]:
        """List the files that the manifest of a domain or source model names; none if `entry` has no manifest.

        StoreError if the manifest is damaged.
        """
        found = self.store.read(f"{entry}.manifest") if _is_whole(entry) else None
        if found is None:
            return {}
        try:
            about = parse_json(found[0])
            digests = {str(file): bytes.fromhex(digest).hex() for file, digest in about["files"].items()}
            version = str(about["version"])
        except (ValueError, KeyError, TypeError, AttributeError):
            name = entry.rpartition("/")[2]
            raise StoreError(f"{self.store.url}/{entry}.manifest is damaged; add {name!r} again") from None
        return {
            f"{entry}/{file}": _File(f"{entry}@{version}/{file}", f"sha256:{digest}", digest)
            for file, digest in digests.items()
        }

    def _bring(self, name: str, file: "_File") -> None:
        """Download a file, unless this machine has its content already, and rename it into place."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path)
        try:
            if file.digest:
                self._link(file, beside)
            else:
                self.store.download(file.key, beside)
            self._note(name, file.mark, beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _link(self, file: "_File", beside: Path) -> None:
        """Link `beside` to the content with the file's digest, which is downloaded if this machine does not have it.

        StoreError if what comes has another digest.
        """
        blobs = self.root.parent / "blobs"
        blob = blobs / str(file.digest)
        with locked(blobs / ".lock" / str(file.digest)[:2], f"fetching what {self.store.url}/{file.key} may be"):
            if not blob.exists():
                _sweep(blobs)
                fresh = _beside(blob)
                self.store.download(file.key, fresh)
                with fresh.open("rb") as content:
                    found = hashlib.file_digest(content, "sha256").hexdigest()
                if found != file.digest:
                    fresh.unlink()
                    raise StoreError(
                        f"{self.store.url}/{file.key} has sha256 {found[:12]}, its manifest says {str(file.digest)[:12]}; "
                        "it was changed or damaged, so remove it and add it again"
                    )
                fresh.replace(blob)
            beside.hardlink_to(blob)

    def put(self, beside: Path, path: Path, *, fenced: bool = False) -> None:
        """Upload `beside`, a file that is about to be renamed to `path`, or is `path` itself.

        With `fenced` it raises StoreError if the store has another content than this mirror last saw.
        """
        name, before = self.name(path), beside.stat()
        try:
            etag = self.store.put(name, beside, **(self._condition(name) if fenced else {}))
        except ChangedError:  # or by our own request, whose confirmation did not reach us
            found = self.store.read(name)
            if found is None or found[0] != beside.read_bytes():
                raise StoreError(
                    f"{self.store.url}/{name} was changed by another process; this one stops here"
                ) from None
            etag = found[1]
        if beside != path:  # the new file is younger than any listing that lacks it
            os.utime(beside)
            before = beside.stat()
        self._note(name, etag, beside, before)

    def _condition(self, name: str) -> dict[str, str]:
        """Give the condition of a fenced write: the store still has what this mirror last saw, if that was anything."""
        with suppress(OSError):
            return {"IfMatch": (self.root / ".state" / name).read_text().split()[0]}
        return {"IfNoneMatch": "*"}

    def put_folder(self, beside: Path, path: Path) -> None:
        """Upload all of `beside`, a folder that is about to replace `path`.

        Those of a domain or source model go up first, under a new version; the manifest that names them makes them count. Those
        of any other folder, as the model of a trial or of a source in training, go up one by one in the order of their names:
        what is read there has to tell by itself whether it is whole.
        """
        entry = self.name(path)
        files = sorted(file for file in beside.rglob("*") if file.is_file())
        if not _is_whole(entry):
            for file in files:
                self.put(file, path / file.relative_to(beside))
            return
        digests = {file.relative_to(beside).as_posix(): _digest(file) for file in files}
        version = secrets.token_hex(6)
        for file in files:
            self.store.upload(f"{entry}@{version}/{file.relative_to(beside).as_posix()}", file)
        old = [name for start in (f"{entry}@", f"{entry}/") for name in self.store.objects(start)]
        self.store.put(f"{entry}.manifest", json.dumps({"version": version, "files": digests}).encode())
        self.store.delete([name for name in old if not name.startswith(f"{entry}@{version}/")])
        shutil.rmtree(self.root / ".state" / entry, ignore_errors=True)
        for file in files:
            digest = digests[file.relative_to(beside).as_posix()]
            with suppress(FileExistsError):
                (self.root.parent / "blobs" / digest).hardlink_to(file)
            self._note(f"{entry}/{file.relative_to(beside).as_posix()}", f"sha256:{digest}", file)

    def remove(self, path: Path) -> None:
        """Remove a folder from the store; a domain or a source model loses its manifest first, so is gone at once."""
        name = self.name(path)
        if _is_whole(name):
            self.store.delete([f"{name}.manifest"])
        keys = [key for start in (f"{name}/", f"{name}@") for key in self.store.objects(start)]
        self.store.delete([key for key in keys if not _hidden(key.removeprefix(name))])  # a lease is its holder's
        shutil.rmtree(self.root / ".state" / name, ignore_errors=True)

    def _is_current(self, name: str, mark: str) -> bool:
        """Tell whether the file on this machine is the one that came from the store, or went there, with that mark."""
        try:
            return (self.root / ".state" / name).read_text() == _state(mark, (self.root / name).stat())
        except OSError:
            return False

    def _note(self, name: str, mark: str, file: Path, stat: os.stat_result | None = None) -> None:
        """Write down that `file`, which is or becomes the file `name` here, has the content that the store marks so."""
        state = self.root / ".state" / name
        state.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(state)
        beside.write_text(_state(mark, stat or file.stat()))
        beside.replace(state)

    def _forget(self, start: str, wanted: Mapping[str, "_File"], began: float) -> None:
        """Remove from this machine what came from the store at or below `start` and is not in its listing, `wanted`.

        `began` is the time before that listing: a file that was put since is left alone.
        """
        top = self.root / ".state" / start
        for state in [top] if top.is_file() else list(top.rglob("[!.]*")):
            name = state.relative_to(self.root / ".state").as_posix()
            if name in wanted or not state.is_file():
                continue
            path = self.root / name
            if path.exists() and path.stat().st_mtime >= began:
                continue  # put since
            path.unlink(missing_ok=True)
            state.unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                for folder in list(path.parents)[: name.count("/")]:
                    folder.rmdir()


@dataclass(frozen=True)
class _File:
    """A file as the store has it."""

    key: str
    """The name of its object in the store."""
    mark: str
    """What tells its content from any other: the object's ETag, or the digest that a manifest names."""
    digest: str | None
    """SHA-256 of the content, which this machine then keeps once; None for a file that no manifest names."""


def _state(mark: str, stat: os.stat_result) -> str:
    """Give what is noted of a file: the store's mark, and what changes when a process here writes to the file."""
    return f"{mark} {stat.st_ino} {stat.st_mtime_ns} {stat.st_size}"


def _is_whole(name: str) -> bool:
    """Tell whether a name is a domain's or a source model's own: not of what lies in one, nor hidden beside them."""
    kind, _, entry = name.partition("/")
    return kind in WHOLE and entry != "" and "/" not in entry and not _hidden(entry)


def _hidden(name: str) -> bool:
    """Tell whether any part of a name starts with a dot."""
    return any(part.startswith(".") for part in name.split("/"))


def _beside(path: Path) -> Path:
    """Give a fresh hidden name in the folder of `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _sweep(blobs: Path) -> None:
    """Remove content that no home of this machine uses any more, and that is an hour old."""
    for entry in os.scandir(blobs):
        with suppress(FileNotFoundError):
            stat = entry.stat()
            unused = stat.st_nlink == 1 and time.time() - stat.st_mtime > _STALE_SECONDS
            if entry.is_file() and unused:
                Path(entry.path).unlink()
