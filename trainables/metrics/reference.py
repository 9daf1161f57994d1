"""What is computed from a domain's real images once, and kept beside it: features, moments, floors."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError
from trainables.images.domains import Domain, Split
from trainables.metrics.distances import Moments
from trainables.metrics.features import Extractor
from trainables.storage.home import StorageError, writing

T = TypeVar("T")

CHUNK = 1024
"""Images that are copied out of the mapped file at a time."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Real images as an extractor sees them."""

    features: NDArray[np.float32]
    """(n, d)"""
    moments: Moments


def once(folder: Path, name: str, depends_on: object, compute: Callable[[], float]) -> float:
    """`compute()`, or what it gave before for the same `depends_on`, plain values; kept in `folder`/moments."""
    return remembered(folder, name, depends_on, compute, float)


def remembered(folder: Path, name: str, depends_on: object, compute: Callable[[], T], read: Callable[[Any], T]) -> T:
    """As `once`, for whatever JSON can hold; `read` checks what it finds, and one it refuses is computed anew."""
    path = folder / "moments" / f"{name}-{_short_digest(depends_on)}.json"
    try:
        return read(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, UserError):  # none yet, or damaged
        value = compute()
    with suppress(StorageError), writing(path) as beside:  # of a home that can't be written it is computed each time
        beside.write_text(json.dumps(value))
    return value


def _short_digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def extract(extractor: Extractor, domain: Domain, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Features of `rows` of a domain, (len(rows), d), without a copy of all its images."""
    parts = [extractor(domain.images[rows[start : start + CHUNK]]) for start in range(0, len(rows), CHUNK)]
    return np.concatenate([np.empty((0, extractor.dims), np.float32), *parts])


def reference(domain: Domain, folder: Path, extractor: Extractor, split: Split, n_real: int, seed: int) -> Reference:
    """Features and moments of `n_real` images of a split drawn by `seed`, of all if it has fewer.

    Kept in `folder`/moments under a name that changes with all they depend on; a damaged file is computed anew.
    Raises UserError if there are fewer than 2 images.
    """
    rows = domain.subset(None, seed, split)[:n_real]
    if len(rows) < 2:
        raise UserError(
            f"domain {domain.facts.name!r}: {len(rows)} {split} images to compare with; a distance needs 2 at least, "
            "set protocol/split or protocol/n_real"
        )
    key = _short_digest([domain.facts.digest, extractor.digest, extractor.resizer, seed])
    path = folder / "moments" / f"{extractor.name}-{extractor.input_size}-{split}-{len(rows)}-{key}.npz"
    stored = _read(path, (len(rows), extractor.dims))
    if stored is not None:
        return stored
    features = extract(extractor, domain, rows)
    moments = Moments.of(features)
    with suppress(StorageError), writing(path) as beside, beside.open("wb") as file:
        np.savez(file, features=features, mean=moments.mean, spread=moments.spread)
    return Reference(features, moments)


def _read(path: Path, shape: tuple[int, int]) -> Reference | None:
    """What is stored at `path`, if it is whole: the archive's checksums, and its shapes, must be right."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            features, mean, spread = arrays["features"], arrays["mean"], arrays["spread"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if features.shape != shape or mean.shape != shape[1:] or spread.shape != (min(shape), shape[1]):
        return None
    return Reference(features, Moments(mean, spread, shape[0]))
