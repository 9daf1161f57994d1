"""How folders of images are laid out: which of them are splits, which are classes, which are neither.

Rules on names alone, in the order in which they apply:

1. What counts is where images lie; lists and annotations beside them don't. A folder that holds all of them is entered.
2. `train` and `val` folders, or whatever SPLITS has, are the split, also with one addition to all of them: `seg_train` and
   `seg_test`. Those that bring one split alone are no classes either.
3. A split's only folder is entered, unless another split has it as one of several: then it's a class.
4. The next folder is the class, numbered by the alphabet. Folders that number files through (FFHQ's `00000`, `01000`) are
   none.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from spaces.errors import UserError
from trainables.images.domains import Split

SPLITS: Mapping[str, Split] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "val",
    "training": "train",
    "testing": "val",
    "dev": "val",
    "eval": "val",
    "evaluation": "val",
}
"""What splits are called, in lower case; Hugging Face's words."""

_WORDS = "|".join(sorted(SPLITS, key=len, reverse=True))
_SPLIT_WORD = re.compile(rf"(?<![A-Za-z])(?i:{_WORDS})(?![a-z])")
"""A split's word in a name, as in `seg_train`, `train-00000-of-00002.parquet`, `trainA`; not in `trains` or `contest`."""


class Layout(NamedTuple):
    """What places mean: the split of each path that has one, and its class."""

    splits: Mapping[Path, Split]
    classes: Mapping[Path, str]
    outside: Sequence[Path]
    """What lies in none of the split folders, where there are such."""
    split_folders: Sequence[str]


def layout(paths: Sequence[Path], images: Sequence[Path]) -> Layout:
    """The layout that `images`, at least one, show for all `paths`, which may hold other files too.

    UserError if several data sets with splits of their own lie side by side.
    """
    root = Path(os.path.commonpath({path.parent for path in images}))
    base = len(root.parts)
    below = [path for path in paths if path.is_relative_to(root)]
    folder_splits = split_folders({path.parts[base] for path in images if len(path.parts) > base + 1})
    splits = {path: folder_splits[path.parts[base]] for path in below if _folder(path, base) in folder_splits}
    depths = _class_depths([path for path in images if path in splits], base)
    inside = splits if folder_splits else below
    class_of = {path: _folder(path, depths.get(path.parts[base], base)) for path in inside}
    known = _classes([(class_of[path], path) for path in images if path in class_of])
    return Layout(
        splits,
        {path: name for path, name in class_of.items() if name in known},
        [path for path in paths if folder_splits and path not in splits],
        sorted(folder_splits),
    )


def split_folders(names: Iterable[str]) -> Mapping[str, Split]:
    """Which of these folders, side by side, are splits of one data set; none if that's not what they are."""
    names = set(names)
    sets: dict[tuple[str, str], dict[str, Split]] = defaultdict(dict)
    for name in names:
        for word in _SPLIT_WORD.finditer(name):
            sets[name[: word.start()], name[word.end() :]][name] = SPLITS[word[0].lower()]
    plain = sets.get(("", ""), {})
    if plain and (len(set(plain.values())) == 2 or len(plain) == len(names)):
        return plain
    whole = [folders for folders in sets.values() if len(set(folders.values())) == 2]
    if len(whole) > 1:
        listed = " and ".join(sorted(", ".join(map(repr, sorted(folders))) for folders in whole))
        raise UserError(
            f"several data sets lie side by side: {listed}; put the folders of one into a folder of their own"
        )
    return whole[0] if whole else {}


def split_of(path: Path) -> Split | None:
    """What a file's name says of its split, or else the nearest folder of a split's name."""
    for part in reversed(path.parts):
        if words := _SPLIT_WORD.findall(part):
            return SPLITS[words[-1].lower()]
    return None


def _folder(path: Path, depth: int) -> str | None:
    """The name of the folder at that depth that `path` lies in; None if it lies above."""
    return path.parts[depth] if len(path.parts) > depth + 1 else None


def _class_depths(images: Sequence[Path], base: int) -> dict[str, int]:
    """How deep in each split folder the classes are."""
    depths = {path.parts[base]: base + 1 for path in images}
    while True:
        inner = {
            split: {_folder(path, depth) for path in images if path.parts[base] == split}
            for split, depth in depths.items()
        }
        entered = [
            split
            for split, folders in inner.items()
            if len(folders) == 1
            and None not in folders
            and not any(folders < others for other, others in inner.items() if other != split)
        ]
        if not entered:
            return depths
        for split in entered:
            depths[split] += 1


def _classes(found: Sequence[tuple[str | None, Path]]) -> set[str]:
    """The names of folders that are classes: all, unless they number the files in them through."""
    spans: dict[str, tuple[int, int]] = {}
    for name, path in found:
        number = re.fullmatch(r"\D*(\d+)", path.stem)
        if name is not None and (number is None or not re.fullmatch(r"\d{4,}", name)):
            return {name for name, _ in found if name is not None}
        if name is not None and number is not None:
            low, high = spans.get(name, (int(number[1]), int(number[1])))
            spans[name] = min(low, int(number[1])), max(high, int(number[1]))
    ordered = [spans[name] for name in sorted(spans, key=int)]
    is_numbered = all(before[1] < after[0] for before, after in pairwise(ordered))
    return set() if is_numbered else set(spans)
