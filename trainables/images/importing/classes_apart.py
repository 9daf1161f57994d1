"""Some classes of an import set apart, as a domain of their own: few-shot generation is never shown them in training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaces.counts import plural
from spaces.errors import UserError, lookup
from trainables.storage.places import expanded

UNSEEN = "unseen"
"""How the name of the domain of the classes set apart ends, after a dash."""
FEWEST = 2
"""Images that a class must have where classes are set apart: with one, nothing is left to compare with."""
WAY_OUT = "give a count, names with commas (one alone with a comma behind it), or a file of names, a line each"


@dataclass(frozen=True)
class Apart:
    """Which classes are set apart, and which faces with them."""

    classes: str
    """A count, names with commas, or a file of names, as the command line takes them."""
    faces: int = 0
    """So many families of faces draw the classes set apart alone; 0 leaves all faces to both."""


class Part(NamedTuple):
    """The rows that one domain is made of."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    """Of these rows, (n,)."""
    class_names: Sequence[str]
    notes: Sequence[str] = ()

    def of(self, here: NDArray[np.bool_], classes: NDArray[np.int64], *notes: str) -> "Part":
        """The rows that are `here`, (n,), and of `classes`, ascending, which are numbered anew."""
        here = here & np.isin(self.labels, classes)
        names = [self.class_names[number] for number in classes]
        return Part(self.rows[here], np.searchsorted(classes, self.labels[here]), names, [*self.notes, *notes])


def check_asked(asked: Apart) -> None:
    """UserError now, rather than after the import, for a count of no classes, and for a file or list that names none."""
    none = int(asked.classes) == 0 if asked.classes.strip().isdecimal() else not _listed(asked.classes)
    if none:
        raise UserError(f"--unseen {asked.classes!r} sets no class apart; {WAY_OUT}")


def named(part: Part) -> Part:
    """With the numbers of the classes for names, where the origin has no names."""
    names = part.class_names or [str(number) for number in range(int(part.labels.max()) + 1)]
    return part._replace(class_names=names)


def only_large_classes(part: Part, fewest: int) -> Part:
    """Without the classes of fewer than `fewest` images, and without images that have no class. UserError if none is left."""
    numbers, counts = np.unique(part.labels[part.labels >= 0], return_counts=True)
    kept = numbers[counts >= fewest]
    if len(numbers) == 0:
        raise UserError(
            "--per-class leaves classes out, and there are none; import them from class folders, or leave it out"
        )
    if len(kept) == 0:
        most = int(counts.max(initial=0))
        raise UserError(f"no class has {plural(fewest, 'image')}, the largest {most:,}; ask for fewer with --per-class")
    gone = len(numbers) - len(kept)
    note = [f"classes of fewer than {fewest:,} images are left out: {gone:,}"] if gone else []
    return part.of(part.labels >= 0, kept, *note)


def apart(part: Part, faces: Sequence[str], asked: Apart, fewest: int | None) -> tuple[Part, Part]:
    """The images of the other classes, and those of the classes set apart; `faces` are of all rows of the import.

    Which classes a count means follows from their names alone, and likewise the faces. UserError for images without a
    class, for a class that is not there, and if nothing would be left on either side.
    """
    if (part.labels < 0).any():
        some = "there are none" if (part.labels < 0).all() else "some images have none"
        raise UserError(f"--unseen sets classes apart, and {some}; import them from class folders, two at least")
    fewest = max(FEWEST, fewest or FEWEST)
    part = only_large_classes(part, fewest)
    theirs = mine = np.ones(len(part.rows), bool)
    if asked.faces:
        of_row = np.array([faces[row] for row in part.rows], np.str_)
        theirs = np.isin(of_row, sorted(_families(of_row, asked.faces)))
        mine = ~theirs
    numbers = np.arange(len(part.class_names))
    enough = np.bincount(part.labels[theirs], minlength=len(numbers)) >= fewest
    is_unseen = np.isin(numbers, sorted(_chosen(asked.classes, part.class_names, enough)))
    seen, unseen = part.of(mine, numbers[~is_unseen]), part.of(theirs, numbers[is_unseen])
    return only_large_classes(seen, fewest), only_large_classes(unseen, fewest)


def _chosen(classes: str, names: Sequence[str], enough: NDArray[np.bool_]) -> set[int]:
    """The numbers of the classes that are set apart, fewer than all; a count is of those that have images `enough`."""
    numbers = {name: number for number, name in enumerate(names)}
    asked = int(classes) if classes.strip().isdecimal() else None
    if asked is None:
        chosen = {lookup(numbers, "class", name) for name in _listed(classes)}
    else:
        chosen = set(sorted(np.flatnonzero(enough).tolist(), key=lambda number: _place(names[number]))[:asked])
    if not chosen or len(chosen) == len(names) or asked not in (None, len(chosen)):
        raise UserError(
            f"--unseen {classes} sets {len(chosen):,} of {len(names):,} classes apart; set some apart, not all"
        )
    return chosen


def _listed(classes: str) -> list[str]:
    if "," in classes:
        return [name.strip() for name in classes.split(",") if name.strip()]
    path = expanded(classes, WAY_OUT)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not UTF-8"
        raise UserError(f"--unseen {classes!r} can't be read ({why}); {WAY_OUT}") from None
    return [line.strip() for line in lines if line.strip()]


def _families(of_row: NDArray[np.str_], fewest: int) -> set[str]:
    """Families of faces, by their names alone: the first that are so many."""
    every = sorted(set(of_row.tolist()) - {""}, key=_place)
    if len(every) <= fewest:
        raise UserError(
            f"--unseen-faces {fewest:,} of {len(every):,} families of faces leaves none to the seen classes; only images out of "
            "fonts have faces (--fonts, builtin:glyphs)"
        )
    return set(every[:fewest])


def _place(name: str) -> bytes:
    return hashlib.sha256(name.encode(errors="surrogateescape")).digest()
