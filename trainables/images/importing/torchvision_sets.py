"""Image data sets that torchvision knows and the user has on disk. Nothing is ever downloaded.

Their layout is torchvision's own: https://docs.pytorch.org/vision/stable/datasets.html. Rows follow the order of the
set, which for SUN397, Kitti and INaturalist is that of the file system; the others are the same on every machine.
"""

import importlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from spaces.errors import UserError, lookup
from trainables.images.domains import SkippedFile, Split
from trainables.images.importing.decoding import Item, Origin, Sample
from trainables.images.importing.formats import open_bytes
from trainables.images.printable import printable
from trainables.storage.places import expanded

LAYOUTS = "https://docs.pytorch.org/vision/stable/datasets.html"


class Part(NamedTuple):
    """A part of a set: its constructor arguments, of which the first alternative that is on disk is taken."""

    split: Split | None
    """None: to be split by content."""
    alternatives: Sequence[Mapping[str, Any]]


def torchvision_origin(name: str, root: Path | None) -> Origin:
    """The set `name` (in any case) below `root`: by default $UNDERSTOCK_DATA, else ~/.understock-data.

    A set with parts of its own brings its split: train, and val (test where there is no val). A part that isn't there
    counts as a skipped file, but for the first.
    UserError for an unknown set, and for one that isn't there.
    """
    root = expanded(
        root or os.environ.get("UNDERSTOCK_DATA") or "~/.understock-data", "say where it is: torchvision:NAME:ROOT"
    )
    sets = _sets()
    proper_name = {known.lower(): known for known in sets}.get(name.lower(), name)
    dataset_class = lookup(sets, "torchvision data set", proper_name)
    if proper_name == "LSUN":
        return _lsun(root)
    opened: list[tuple[Split | None, Any]] = []
    skipped = []
    for part in PARTS.get(proper_name) or _parts_by_signature(dataset_class):
        dataset, error = _open_first(dataset_class, root, part.alternatives)
        if dataset is not None:
            opened.append((part.split, dataset))
        elif opened:
            skipped.append(SkippedFile(file=f"torchvision:{proper_name}, part {part.alternatives[0]}", reason=error))
        else:
            raise UserError(
                f"torchvision:{proper_name} isn't in {printable(str(root))} ({printable(error)}); lay its files out there "
                f"as torchvision does, {LAYOUTS}, or say where they are: torchvision:{proper_name}:ROOT"
            )
    items = chain.from_iterable(_items(dataset, split) for split, dataset in opened)
    return Origin(items, sum(len(dataset) for _, dataset in opened), skipped, _class_names(opened[0][1]))


def _sets() -> Mapping[str, Any]:
    """The image sets that need no more than a root, by name."""
    from torchvision import datasets  # takes seconds

    known = {name: getattr(datasets, name) for name in datasets.__all__}
    return {
        name: entry
        for name, entry in known.items()
        if name in PARTS or (name not in NOT_SETS and inspect.isclass(entry) and _required(entry) <= {"self", "root"})
    }


def _required(dataset_class: Any) -> set[str]:
    parameters = inspect.signature(dataset_class.__init__).parameters.values()
    return {p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}


def _parts_by_signature(dataset_class: Any) -> Sequence[Part]:
    parameters = inspect.signature(dataset_class.__init__).parameters
    if "train" in parameters:
        return Part("train", [{"train": True}]), Part("val", [{"train": False}])
    for key in ("split", "image_set"):
        if key in parameters and parameters[key].default in ("train", "trainval"):
            default = parameters[key].default
            validation = ("val", "valid", "test") if default == "train" else ("test",)
            return Part("train", [{key: default}]), Part("val", [{key: value} for value in validation])
    return (Part(None, [{}]),)


def _open_first(dataset_class: Any, root: Path, alternatives: Sequence[Mapping[str, Any]]) -> tuple[Any, str]:
    """The first alternative that is there and "", or None and why none is."""
    parameters = inspect.signature(dataset_class.__init__).parameters
    fixed = {key: value for key, value in {"root": str(root), "download": False}.items() if key in parameters}
    reasons = []
    for arguments in alternatives:
        try:
            dataset = dataset_class(**fixed, **arguments)
            folder = Path(getattr(dataset, "images_dir", root))  # Places365 doesn't look whether its images are there
            if folder == root or folder.is_dir():
                return dataset, ""
            reasons.append(f"{folder} is missing")
        except ValueError as error:  # no part of that name
            reasons.append(_reason(error))
        except (RuntimeError, OSError, ImportError) as error:  # what torchvision raises where files are missing
            reasons.insert(0, _reason(error))
    return None, reasons[0]


def _reason(error: Exception) -> str:
    """The error on one line, less torchvision's offer to download."""
    return " ".join(re.sub(r"You can \w+ download=True.*", "", str(error)).split()).rstrip(".")


def _class_names(dataset: Any) -> Sequence[str]:
    """Of a set that names its classes; where one has several names, the first."""
    names = getattr(dataset, "classes", None) or ()
    names = [name[0] if isinstance(name, tuple) and name else name for name in names]
    return names if all(isinstance(name, str) for name in names) else ()


def _items(dataset: Any, split: Split | None) -> Iterator[Item]:
    if type(dataset).__name__ == "Cityscapes":  # lists folders in the order of the file system
        dataset.images.sort()
        dataset.targets.sort()
    for i in range(len(dataset)):
        yield Item(f"{split or 'image'} {i}", partial(_sample, dataset, i), split)


def _sample(dataset: Any, index: int) -> Sample:
    image, target = dataset[index][:2]
    if not isinstance(image, Image.Image):
        raise ValueError(f"a {type(image).__name__}, not an image")
    return image, target if isinstance(target, int) else -1


def _lsun(root: Path) -> Origin:
    """Every category of LSUN below `root` (`bedroom_train_lmdb`, `bedroom_val_lmdb`, ...), labelled by the alphabet.

    Read here because torchvision's reader keeps its keys in a pickle in the working directory, and loads what is there.
    """
    try:
        lmdb = importlib.import_module("lmdb")
    except ImportError:
        raise UserError("torchvision:LSUN needs the package lmdb; pip install lmdb") from None
    folders = sorted(root.glob("*_train_lmdb")) + sorted(root.glob("*_val_lmdb"))
    if not folders:
        raise UserError(
            f"torchvision:LSUN isn't in {printable(str(root))}: no *_train_lmdb or *_val_lmdb; unzip them there, "
            "or say where they are: torchvision:LSUN:ROOT"
        )
    categories = sorted({folder.name.rsplit("_", 2)[0] for folder in folders})
    opened = [(folder, lmdb.open(str(folder), readonly=True, lock=False, readahead=False)) for folder in folders]

    def items() -> Iterator[Item]:
        for folder, environment in opened:
            category, split, _ = folder.name.rsplit("_", 2)
            with environment, environment.begin() as transaction:
                for key, data in transaction.cursor():
                    read = partial(open_bytes, data, categories.index(category))
                    part: Split = "train" if split == "train" else "val"
                    yield Item(f"{folder.name}/{key.decode(errors='replace')}", read, part, len(data))

    total = sum(environment.stat()["entries"] for _, environment in opened)
    return Origin(items(), total, class_names=categories)


NOT_SETS = ("DatasetFolder", "LSUNClass", "MovingMNIST", "VisionDataset", "wrap_dataset_for_transforms_v2")

PARTS: Mapping[str, Sequence[Part]] = {
    "EMNIST": (
        Part("train", [{"split": "balanced", "train": True}]),
        Part("val", [{"split": "balanced", "train": False}]),
    ),
    "Flowers102": [
        Part(None, [{"split": split}]) for split in ("train", "val", "test")
    ],  # its test part is the largest
    "LFWPeople": [Part(None, [{"split": "10fold"}])],
    "Places365": [
        Part("train", [{"split": "train-standard", "small": small} for small in (False, True)]),
        Part("val", [{"split": "val", "small": small} for small in (False, True)]),
    ],
}
"""Sets whose parts their signature doesn't tell."""
