"""Paths that a user gave: what `~` stands for in them, and whether a file can be written there."""

import os
import stat
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
