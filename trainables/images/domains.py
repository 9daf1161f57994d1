"""A domain: square uint8 RGB images in one Arrow file, which all processes of a machine map, and so share.

Its folder holds that file, the facts about it, and what is computed from it and kept.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from spaces.config import Data
from spaces.counts import plural
from spaces.errors import UserError
from spaces.records import Config
from trainables.images.grids import image_grid
from trainables.images.importing.builtin_names import add_command
from trainables.images.printable import Shown
from trainables.storage.home import Home, fetch, file_digest, remove, writing, writing_folder
from trainables.storage.json_files import read_json

Split = Literal["train", "val"]
"""Which images: those to train on, or those held out to validate with."""

IMAGES_FILE = "domain.arrow"
"""The images, their labels and their splits."""
FACTS_FILE = "domain.json"
"""The DomainFacts."""
SHEET_FILE = "sheet.png"
"""The contact sheet, once it was drawn."""
SKIPPED_FILE = "skipped.txt"
"""Every skipped file and why, a line each; it is there only if they are too many for the facts."""
NAMES_FILE = "names.json"
"""Each image's name, in the order of the rows; it is there only if other domains have images of the same names."""
MAX_SKIPPED_FILES = 100
"""How many skipped files the facts name."""
CLASS_FOLDERS = "import it from class folders, two at least"
"""The way out for a domain that is to have classes."""
STALE_SECONDS = 3600
"""Age at which a half-written folder must belong to a process that was killed: writing takes seconds."""


class SkippedFile(Config):
    """A file of the origin that isn't in the domain, and why."""

    file: Shown
    """The file's path, or its name in a set of many."""
    reason: Shown


class DomainFacts(Config):
    """What `domain.json` says: enough to list, rank and compare domains without opening their images."""

    name: str
    resolution: PositiveInt
    """Pixels along a side."""
    train: PositiveInt
    """How many images there are to train on."""
    val: NonNegativeInt
    """How many images are held out to validate with."""
    classes: PositiveInt
    """How many distinct labels there are; 1 where there are none."""
    class_names: tuple[Shown, ...] = ()
    """The classes' names by label, where the origin names them; there may be more of them than labels in use."""
    images_per_class: PositiveFloat
    """How many images, of both splits, there are for each class, in the mean."""
    resizer: str
    """How images came to this resolution; distances between domains resized differently mislead."""
    origin: Shown
    """Where the images came from, as the user named it."""
    duplicates: NonNegativeInt = 0
    """How many images were dropped because an earlier one has the same pixels."""
    skipped: NonNegativeInt = 0
    """How many files were not images, or could not be read."""
    skipped_files: tuple[SkippedFile, ...] = ()
    """The first hundred of the skipped files; `skipped.txt` has all, where there are more."""
    notes: tuple[Shown, ...] = ()
    """What the user should know of the import, a line each."""
    flip: bool | None = None
    """Whether searches mirror half of the images, where their space does not say; None, of earlier versions, as False."""
    digest: str
    """SHA-256 of the Arrow file."""
    created: str
    """When it was written, in UTC, as ISO 8601."""


@dataclass(frozen=True, eq=False)
class Domain:
    """A domain opened for reading. It pickles as its path, so a worker maps the file instead of receiving a copy."""

    path: Path
    """The domain's folder."""
    facts: DomainFacts
    images: NDArray[np.uint8]
    """All images, RGB (N, 3, R, R): a read-only view of the mapped file."""
    labels: NDArray[np.int64]
    """The class of each image, (N,), -1 for none: a read-only view of the mapped file as well."""
    is_val: NDArray[np.bool_]
    """Whether each image is held out to validate with, (N,)."""

    @classmethod
    def open(cls, path: Path) -> "Domain":
        """Map the domain in folder `path`.

        Raises UserError if there is none, if it is damaged, or if it doesn't match its facts.
        """
        fetch(path)
        facts = read_facts(path)
        batch = _map_batch(path, _schema(facts.resolution))
        is_val = pc.equal(batch.column("split"), "val").to_numpy(zero_copy_only=False)
        if (len(is_val), int(is_val.sum())) != (facts.train + facts.val, facts.val):
            raise _damaged(
                path,
                f"{IMAGES_FILE} holds {plural(len(is_val), 'image')}, {is_val.sum():,} of them val; "
                f"{FACTS_FILE} says {facts.train:,} train and {facts.val:,} val",
            )
        images = batch.column("image").to_numpy_ndarray()
        return cls(path, facts, images, batch.column("label").to_numpy(), is_val)

    def __reduce__(self) -> tuple[Callable[[Path], "Domain"], tuple[Path]]:
        """Pickle the path alone; unpickling opens the domain there."""
        return Domain.open, (self.path,)

    def verify(self) -> None:
        """Read the whole file of images. Raises UserError unless its digest is the one in the facts."""
        found = file_digest(self.path / IMAGES_FILE)
        if found != self.facts.digest:
            raise _damaged(self.path, f"{IMAGES_FILE} has sha256 {found}, {FACTS_FILE} says {self.facts.digest}")

    @cached_property
    def is_labelled(self) -> bool:
        """Whether every image has a class."""
        return self.unlabelled is None

    @cached_property
    def unlabelled(self) -> str | None:
        """What speaks against going by its images' classes: there are none, or not each has one. None where each has."""
        without = int((self.labels < 0).sum())
        if not without:
            return None
        lack = "no classes" if without == len(self.labels) else f"{plural(without, 'image')} without a class"
        return f"domain {self.facts.name!r} has {lack}"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each image, (N,), by which other domains hold the same picture in another style; empty if it has none.

        Raises UserError if the file with them is damaged.
        """
        fetch(self.path / NAMES_FILE)
        if not (self.path / NAMES_FILE).exists():
            return ()
        try:
            names = tuple(map(str, read_json(self.path / NAMES_FILE)))
        except (OSError, ValueError, TypeError) as error:
            raise _damaged(self.path, f"{NAMES_FILE}: {error}") from None
        if len(names) != len(self.labels):
            raise _damaged(
                self.path,
                f"{NAMES_FILE} has {plural(len(names), 'name')}, {IMAGES_FILE} {plural(len(self.labels), 'image')}",
            )
        return names

    @cached_property
    def labels_known(self) -> int:
        """How many classes labels can tell: those with a name, and those of images; some may have no image."""
        return max(len(self.facts.class_names), int(self.labels.max()) + 1)

    def indices(self, split: Split) -> NDArray[np.int64]:
        """List the rows of a split, ascending: (train,) or (val,) indices into the images."""
        return np.flatnonzero(self.is_val == (split == "val"))

    def subset(self, n: int | None, seed: int, split: Split = "train") -> NDArray[np.int64]:
        """Draw `n` rows of a split by `seed`, (n,); None draws all. The first of them are those of any smaller `n`.

        Raises UserError if `n` is below 1 or above the split's size.
        """
        rows = np.random.default_rng(seed).permutation(self.indices(split))
        if n is not None and not 1 <= n <= len(rows):
            raise UserError(
                f"domain {self.facts.name!r} has {len(rows):,} {split} images, {n:,} asked for; "
                f"ask for 1 to {len(rows):,}"
            )
        return rows[:n]

    def chosen(self, data: Data) -> NDArray[np.int64]:
        """The training rows that a trial is given: so many of all, or of each class, by the seed.

        Raises UserError if there are fewer, or if images of each class are asked for and the domain has none without one.
        """
        if data.shots is None:
            return self.subset(data.target_images, data.seed)
        rows = self.subset(None, data.seed)
        labels = self.labels[rows]
        if self.unlabelled:
            raise UserError(f"{self.unlabelled}, and --shots counts the images of each class; give --target-images")
        counts = np.bincount(labels)
        if (fewest := counts[counts > 0].min()) < data.shots:
            raise UserError(
                f"domain {self.facts.name!r} has {plural(int(fewest), 'training image')} of its smallest class, "
                f"--shots {data.shots:,} asks for more; ask for 1 to {fewest:,}"
            )
        order = np.argsort(labels, kind="stable")
        starts = np.cumsum(counts) - counts
        rank = np.empty(len(rows), np.int64)
        rank[order] = np.arange(len(rows)) - starts[labels[order]]  # which image of its class each row is
        return rows[rank < data.shots]


def write_domain(
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    is_val: NDArray[np.bool_],
    *,
    origin: str,
    resizer: str,
    class_names: Sequence[str] = (),
    names: Sequence[str] = (),
    duplicates: int = 0,
    skipped: Sequence[SkippedFile] = (),
    notes: Sequence[str] = (),
    flip: bool | None = None,
) -> DomainFacts:
    """Write the domain in folder `path`, whole or not at all, in place of any that is there.

    `images` is uint8 RGB (N, 3, R, R), `labels` (N,) with -1 for none, `is_val` (N,) with at least one False. `images`
    may be a map of a file: it isn't copied, unless it lies in memory in another order. `names` are the images', (N,), or
    none. `origin`, `resizer`, `duplicates`, `skipped` and `flip` go into the facts, which are returned. Raises
    StorageError if the disk won't take it.
    """
    _remove_stale(path)
    resolution = images.shape[-1]
    columns = {
        "image": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(images)),
        "label": pa.array(labels, pa.int64()),
        "split": pa.array(np.where(is_val, "val", "train"), pa.string()),
    }
    batch = pa.record_batch(columns, schema=_schema(resolution))
    classes = max(1, len(np.unique(labels[labels >= 0])))
    with writing_folder(path) as folder:
        large = pa.ipc.IpcWriteOptions(allow_64bit=True)  # one batch, even of more than 2**31 values
        with (
            pa.OSFile(os.fsencode(folder / IMAGES_FILE), "wb") as file,  # a path in bytes may be any
            pa.ipc.new_file(file, batch.schema, options=large) as writer,
        ):
            writer.write_batch(batch)
        facts = DomainFacts(
            name=path.name,
            resolution=resolution,
            train=int((~is_val).sum()),
            val=int(is_val.sum()),
            classes=classes,
            class_names=tuple(class_names),
            images_per_class=len(images) / classes,
            resizer=resizer,
            origin=origin,
            duplicates=duplicates,
            skipped=len(skipped),
            skipped_files=tuple(skipped[:MAX_SKIPPED_FILES]),
            notes=tuple(notes),
            flip=flip,
            digest=file_digest(folder / IMAGES_FILE),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        (folder / FACTS_FILE).write_text(facts.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if names:
            (folder / NAMES_FILE).write_text(json.dumps(list(names)) + "\n", encoding="utf-8")
        if len(skipped) > MAX_SKIPPED_FILES:
            lines = (f"{item.file}: {item.reason}" for item in skipped)
            (folder / SKIPPED_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return facts


def open_domain(home: Home, name: str) -> Domain:
    """Open the domain `name` of a home. Raises UserError if it is damaged, or there is none (with the known names)."""
    return Domain.open(home.domain(name))


def remove_domain(home: Home, name: str) -> None:
    """Delete a domain, damaged or not, and everything kept beside it. Raises UserError if there is none."""
    path = home.domain(name)
    fetch(path / FACTS_FILE)
    if not path.is_dir():
        raise _unknown(path)
    remove(path)


def write_contact_sheet(domain: Domain, images: int = 64) -> Path:
    """Draw a contact sheet of up to `images` training images, the same ones always; give the path of the PNG."""
    rows = domain.subset(min(images, domain.facts.train), seed=0)
    path = domain.path / SHEET_FILE
    with writing(path) as beside:
        image_grid(domain.images[rows]).save(beside, format="PNG")
    return path


def read_facts(path: Path) -> DomainFacts:
    """Read the facts of the domain in folder `path`. Raises UserError if there is none, or if they can't be read."""
    fetch(path / FACTS_FILE)
    if not path.is_dir():
        raise _unknown(path)
    try:
        data = read_json(path / FACTS_FILE)
        return DomainFacts.parse(data, FACTS_FILE)
    except (OSError, ValueError, UserError) as error:
        raise _damaged(path, str(error)) from None


def _map_batch(path: Path, schema: pa.Schema) -> pa.RecordBatch:
    """Map the one record batch of the Arrow file in folder `path`; UserError if it is missing, damaged, or another."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(os.fsencode(path / IMAGES_FILE)))
        if reader.num_record_batches != 1 or not reader.schema.equals(schema):
            raise _damaged(path, f"{IMAGES_FILE} isn't one batch of {schema.to_string(show_field_metadata=False)!r}")
        return reader.get_batch(0)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, f"{IMAGES_FILE}: {error}") from None


def _schema(resolution: int) -> pa.Schema:
    """Give the columns of a domain's file: image, uint8 (3, R, R); label, int64; split, "train" or "val"."""
    image = pa.fixed_shape_tensor(pa.uint8(), (3, resolution, resolution), permutation=(0, 1, 2))
    return pa.schema({"image": image, "label": pa.int64(), "split": pa.string()})


def _remove_stale(path: Path) -> None:
    """Delete what killed imports of the same name left behind: `writing_folder`'s `.<name>.<8 characters>`."""
    left_behind = re.compile(re.escape(f".{path.name}.") + "[a-z0-9_]{8}")
    for entry in os.scandir(path.parent) if path.parent.is_dir() else ():
        if left_behind.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(entry.path, ignore_errors=True)


def _unknown(path: Path) -> UserError:
    known = Home(path.parent.parent).names(path.parent.name)
    return UserError(
        f"unknown domain {path.name!r} in {path.parent}; known: {', '.join(known) or 'none yet'}; "
        f"add it with: {add_command(path.name)}"
    )


def _damaged(path: Path, what: str) -> UserError:
    reason = " ".join(what.split())
    return UserError(
        f"domain {path.name!r} in {path} is damaged: {reason}; "
        f"remove it with: understock domains rm {path.name} and add it again"
    )
