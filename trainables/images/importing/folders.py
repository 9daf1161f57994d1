"""Images in a folder, in whatever layout, and folders of Parquet files."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from spaces.errors import UserError
from trainables.images.domains import SkippedFile
from trainables.images.importing.decoding import Item, Origin
from trainables.images.importing.formats import image_suffixes, open_file
from trainables.images.importing.label_lists import listed_labels
from trainables.images.importing.layouts import layout, split_of
from trainables.images.importing.parquet import Shard, parquet_origin

NO_DATA = ("__MACOSX", "@eaDir")
"""Folders that a Mac's archives and a Synology's disks add, with files that look like images."""


def folder_origin(root: Path, image_column: str | None = None) -> Origin:
    """Every visible file below `root`, by path, with the split and the classes of its layout; links are followed.

    The rows of its Parquet files, if it holds such and no images. Labels come from StyleGAN's `dataset.json` where there is
    one, else from class folders, numbered by the alphabet; -1 for none.
    """
    paths, skipped = _visible_files(root)
    images = [path for path in paths if path.suffix.lower() in image_suffixes()]
    tables = [path for path in paths if path.suffix.lower() == ".parquet"]
    if tables and not images:
        skipped += [SkippedFile(file=str(path), reason="no Parquet file") for path in paths if path not in set(tables)]
        origin = parquet_origin([Shard(root / path, f"{path}, ", split_of(path)) for path in tables], image_column)
        return origin._replace(skipped=skipped)
    if image_column is not None:
        raise UserError(
            f"image column {image_column!r} needs a Parquet file, and {str(root)!r} holds none; leave it out"
        )
    return _images_origin(root, paths, images or paths, skipped) if paths else Origin(iter(()), 0, skipped)


def _images_origin(root: Path, paths: Sequence[Path], images: Sequence[Path], skipped: list[SkippedFile]) -> Origin:
    found, listed = layout(paths, images), listed_labels(root, paths)
    outside = {*found.outside, *(listed.files if listed else ())}
    reason = f"not in {' or '.join(found.split_folders)}"
    skipped += [SkippedFile(file=str(path), reason=reason) for path in found.outside]
    names = [] if listed else sorted(set(found.classes.values()))
    numbers = {name: number for number, name in enumerate(names)}
    labels = listed.labels if listed else {path: numbers[name] for path, name in found.classes.items()}

    def item(path: Path) -> Item:
        return Item(str(path), partial(open_file, root / path, labels.get(path, -1)), found.splits.get(path))

    kept = [path for path in paths if path not in outside]
    notes = [] if listed or names else _in_one_folder(images, found.split_folders)
    return Origin(map(item, kept), len(kept), skipped, names, notes)


def _in_one_folder(images: Sequence[Path], split_folders: Sequence[str]) -> list[str]:
    """A word on the folder that holds all images, which may have been meant for a class."""
    folders = {path.parent.name for path in images} - {"", *split_folders}
    if len(folders) != 1:
        return []
    return [
        f"all images lie in folder {folders.pop()!r}, and one alone makes no classes: those are two class folders at least"
    ]


def _visible_files(root: Path) -> tuple[list[Path], list[SkippedFile]]:
    """Paths relative to `root`, sorted, and the folders that can't be listed."""
    found: list[Path] = []
    skipped: list[SkippedFile] = []
    seen: set[str] = set()

    def refused(error: OSError) -> None:
        skipped.append(SkippedFile(file=error.filename, reason=error.strerror or str(error)))

    for folder, folders, files in os.walk(root, onerror=refused, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back up would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in NO_DATA)
        found += [Path(folder, name).relative_to(root) for name in files if not name.startswith(".")]
    return sorted(found), skipped
