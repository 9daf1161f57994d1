"""The home folder: where domains, source models and studies lie, and how files get there whole or not at all."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spaces.config import NAME_PATTERN
from spaces.errors import UserError


def check_name(kind: str, name: str) -> str:
    """`name`, if it can safely be a file name; UserError otherwise."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(
            f"{kind} name {name!r} will not do: lower-case letters, digits, '.', '_' and '-', starting with a letter or "
            "digit, at most 100"
        )
    return name


@dataclass(frozen=True)
class Home:
    """Owns the first level of names: `domains/`, `sources/`, `studies/` below `root`."""

    root: Path

    @classmethod
    def find(cls, path: Path | None = None) -> "Home":
        """`path`, else $UNDERSTOCK_HOME, else ~/.understock; made if missing. UserError if it can't be written."""
        root = (path or Path(os.environ.get("UNDERSTOCK_HOME") or "~/.understock")).expanduser().absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass
        except OSError as error:
            raise UserError(
                f"home {root} can't be written ({error.strerror}); give another with --home PATH or UNDERSTOCK_HOME"
            ) from None
        return cls(root)

    def domain(self, name: str) -> Path:
        return self.root / "domains" / check_name("domain", name)

    def source(self, name: str) -> Path:
        return self.root / "sources" / check_name("source model", name)

    def study(self, name: str) -> Path:
        return self.root / "studies" / check_name("study", name)

    def names(self, kind: str) -> list[str]:
        """Names in `kind` ("domains", "sources", "studies"), sorted; half-written ones start with a dot and are left out."""
        folder = self.root / kind
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else []


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, synced and renamed over `path` at the end; removed if the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """A fresh folder beside `path`, renamed to `path` at the end (an old one is removed); removed if the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield beside
        beside.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        beside.replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
