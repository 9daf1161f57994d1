"""Paths that a user gave: what `~` stands for in them, and what may be written there.

One rule for all that a user names to write to: it is new. A file that is there is replaced where the user says so, a folder
never, unless it is empty. The folders above it are made, and what is written lies beside its place until it is whole.
"""

import os
import stat
import tempfile
from pathlib import Path

from spaces.errors import UserError

_KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFLNK: "link to itself",
}


def expanded(path: str | Path, way_out: str) -> Path:
    """The path with its `~` or `~USER` replaced; UserError that ends with `way_out` if there is no such home directory."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no such home directory; {way_out}") from None


def output_file(path: Path) -> Path:
    """The file that writing to `path` makes or replaces: where it leads, if it is a link.

    UserError if what is there is no file: a device or a socket is never replaced.
    """
    place = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        kind = stat.S_IFMT(place.lstat().st_mode)
    except OSError:  # nothing is there, or writing will say what is wrong
        return place
    if kind != stat.S_IFREG:
        raise UserError(f"{path} is a {_KINDS.get(kind, 'special file')}, not a file; give the name of a file")
    return place


def new_file(path: Path, *, replace: bool = False) -> Path:
    """As `output_file`, for a file that a user names; UserError if one is there, unless it is to be replaced."""
    place = output_file(path)
    if not replace and place.exists():
        raise UserError(f"{path} is there already; give another name, or replace it with --replace")
    return place


def new_folder(path: Path) -> Path:
    """The folder that a user names to be made; UserError if anything is there but an empty one."""
    is_free = path.name not in ("", "..") and path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    if os.path.lexists(path) and not is_free:
        raise UserError(f"{path} is there already; give a folder that is new or empty")
    return path


def try_writing(folder: Path) -> None:
    """OSError unless something can be written in the folder, or in the nearest there is above it, where it would be made."""
    while not folder.exists():
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder):
        pass
