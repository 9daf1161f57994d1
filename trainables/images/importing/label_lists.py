"""StyleGAN's `dataset.json`: labels in a list beside the images, whose folders are shards and no classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spaces.counts import plural
from spaces.errors import UserError
from trainables.images.printable import printable
from trainables.storage.json_files import read_json

FILE = "dataset.json"
"""{"labels": [["00000/img00000000.png", 6], ...]}, files as seen from its folder; null for no labels."""
MAX_LABEL = 2**31 - 1


class ListedLabels(NamedTuple):
    """What the lists below a folder say, as seen from there."""

    files: Sequence[Path]
    labels: Mapping[Path, int]


def listed_labels(root: Path, paths: Sequence[Path]) -> ListedLabels | None:
    """What the lists among `paths` say; None if there is none.

    UserError for a list that can't be read, and for one that none of the files are in.
    """
    files: list[Path] = []
    labels: dict[Path, int] = {}
    for path in (path for path in paths if path.name == FILE):
        about = _read(root / path)
        if not isinstance(about, dict) or "labels" not in about:
            continue  # somebody else's file of that name
        files.append(path)
        labels |= {path.parent / name: label for name, label in _entries(root / path, about["labels"])}
    if labels and not labels.keys() & set(paths):
        raise UserError(
            f"{printable(str(root / files[0]))} labels {plural(len(labels), 'file')}, of which none is there, the first "
            f"{str(next(iter(labels)))!r}; put it beside them, or remove it to import without labels"
        )
    return ListedLabels(files, labels) if files else None


def _read(path: Path) -> Any:
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error.strerror if isinstance(error, OSError) else str(error)) from None


def _entries(path: Path, listed: Any) -> Sequence[tuple[str, int]]:
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise _unreadable(path, f"'labels' is {listed!r:.80}")
    for number, entry in enumerate(listed):
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and _is_label(entry[1])):
            raise _unreadable(path, f"labels/{number} is {entry!r:.80}")
    return [(name.replace("\\", "/"), label) for name, label in listed]


def _is_label(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_LABEL


def _unreadable(path: Path, what: str | None) -> UserError:
    return UserError(
        f"{printable(str(path))} can't be read ({what}); expected {{'labels': [[FILE, CLASS NUMBER], ...]}} or null "
        "there; mend it, or remove it to import without labels"
    )
