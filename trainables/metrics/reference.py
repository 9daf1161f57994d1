"""What metrics need of a domain's real images is computed once and kept beside them: features, moments, numbers."""

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

from spaces.config import Data
from spaces.errors import UserError
from spaces.protocol import Protocol
from trainables.images.domains import Domain, Split
from trainables.metrics.distances import Moments
from trainables.metrics.features import Extractor
from trainables.storage.home import StorageError, writing
from trainables.storage.json_files import read_json

T = TypeVar("T")

FEWEST = 2
"""Real images that a distance compares with, at least."""

IMAGES_AT_ONCE = 1024
"""How many images are copied out of the mapped file at a time."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Real images as an extractor sees them."""

    features: NDArray[np.float32]
    """Their features, (n, d)."""
    moments: Moments
    """Mean and covariance of these features."""


def once(folder: Path, name: str, depends_on: object, compute: Callable[[], float]) -> float:
    """Give the number that `compute()` gives, or gave earlier for the same `depends_on`; `folder`/moments keeps it.

    `name` starts the file's name. `depends_on` is plain values, as JSON takes them, that the number changes with.
    """
    return remembered(folder, name, depends_on, compute, float)


def remembered(folder: Path, name: str, depends_on: object, compute: Callable[[], T], read: Callable[[Any], T]) -> T:
    """Give what `compute()` gives, or gave earlier for the same `depends_on`: as `once`, for whatever JSON can hold.

    `read` makes a value of what a file holds; if it refuses that, by any ValueError, TypeError or UserError, or if the
    file is damaged, the value is computed anew.
    """
    path = folder / "moments" / f"{name}-{_short_digest(depends_on)}.json"
    try:
        return read(read_json(path, finite=False))
    except (OSError, ValueError, TypeError, UserError):  # none yet, or damaged
        value = compute()
    with suppress(StorageError), writing(path) as beside:  # of a home that can't be written it is computed each time
        beside.write_text(json.dumps(value))
    return value


def _short_digest(parts: object) -> str:
    """Give 12 hexadecimal digits that change with plain values."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def extract(
    extractor: Extractor, domain: Domain, rows: NDArray[np.int64], *, mirrored: bool = False
) -> NDArray[np.float32]:
    """Compute the features of a domain's images at `rows` (n,), or of their mirror images: float32 (n, d).

    No copy of all the images is made.
    """
    parts = [np.empty((0, extractor.dims), np.float32)]
    for start in range(0, len(rows), IMAGES_AT_ONCE):
        images = domain.images[rows[start : start + IMAGES_AT_ONCE]]
        parts.append(extractor(np.ascontiguousarray(images[..., ::-1]) if mirrored else images))
    return np.concatenate(parts)


def rows_compared(
    domain: Domain, split: Split, n_real: int, seed: int, left_out: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The rows of `n_real` images of a split, drawn by `seed`, or of all if it has fewer: none of those that are left out.

    Raises UserError if they are fewer than FEWEST.
    """
    rows = domain.subset(None, seed, split)
    rows = (rows if left_out is None else rows[~np.isin(rows, left_out)])[:n_real]
    if len(rows) >= FEWEST:
        return rows
    given = "" if left_out is None else f", beside the {len(left_out):,} that trials are given"
    cure = "raise protocol/n_real" if n_real < FEWEST else "add more" if left_out is None else "add more, or give fewer"
    raise UserError(
        f"domain {domain.facts.name!r}: {len(rows)} {split} image{'s' * (len(rows) != 1)} to compare with{given}; a distance "
        f"needs {FEWEST} at least: {cure}"
    )


def check_compared(domain: Domain, protocol: Protocol, data: Data | None = None) -> None:
    """UserError, before any work, if a domain has too few images to compare with beside those that trials are given.

    What trials train on is compared with too, except where it is a few images of each class.
    """
    left_out = domain.chosen(data) if data is not None and data.shots else None
    rows_compared(domain, protocol.split, protocol.n_real, protocol.seed, left_out)


def reference(
    domain: Domain,
    folder: Path,
    extractor: Extractor,
    split: Split,
    n_real: int,
    seed: int,
    left_out: NDArray[np.int64] | None = None,
) -> Reference:
    """Give features and moments of the images of `rows_compared`.

    They are kept in `folder`/moments under a name that changes with all they depend on; of a damaged file they are
    computed anew. Raises UserError if there are too few.
    """
    rows = rows_compared(domain, split, n_real, seed, left_out)
    about = [domain.facts.digest, extractor.digest, extractor.resizer, seed]
    key = _short_digest(about if left_out is None else [*about, sorted(left_out.tolist())])
    path = folder / "moments" / f"{extractor.name}-{extractor.input_size}-{split}-{len(rows)}-{key}.npz"
    stored = _read(path, (len(rows), extractor.dims))
    if stored is not None:
        return stored
    if left_out is None:
        features = extract(extractor, domain, rows)
    else:  # most are those of the whole split, which are kept
        features = features_of(domain, folder, extractor, rows, n_real, seed)
    moments = Moments.of(features)
    with suppress(StorageError), writing(path) as beside, beside.open("wb") as file:
        np.savez(file, features=features, mean=moments.mean, spread=moments.spread)
    return Reference(features, moments)


def features_of(
    domain: Domain, folder: Path, extractor: Extractor, rows: NDArray[np.int64], n_real: int, seed: int
) -> NDArray[np.float32]:
    """Compute the features of a domain's images at `rows`, (len(rows), d): what references of `n_real` images have is kept."""
    features = np.empty((len(rows), extractor.dims), np.float32)
    missing = np.ones(len(rows), bool)
    splits: tuple[Split, ...] = ("train", "val")
    for split in splits:
        known = domain.subset(None, seed, split)[:n_real]
        if len(known) < FEWEST or not (here := np.isin(rows, known)).any():
            continue
        place = {int(row): i for i, row in enumerate(known)}
        stored = reference(domain, folder, extractor, split, n_real, seed).features
        features[here] = stored[[place[int(row)] for row in rows[here]]]
        missing &= ~here
    features[missing] = extract(extractor, domain, rows[missing])
    return features


def trained_features(
    domain: Domain,
    folder: Path,
    extractor: Extractor,
    rows: NDArray[np.int64],
    n_real: int,
    seed: int,
    *,
    mirrors: bool,
) -> NDArray[np.float32]:
    """Compute the features of images at `rows` that a trial trained on, as `features_of`; one that `mirrors` images trained
    on their mirror images too, which then follow in the same order and are kept likewise: (n, d) or (2 n, d).
    """
    features = features_of(domain, folder, extractor, rows, n_real, seed)
    if not mirrors:
        return features
    key = _short_digest([domain.facts.digest, extractor.digest, extractor.resizer, rows.tolist()])
    path = folder / "moments" / f"{extractor.name}-{extractor.input_size}-mirrored-{len(rows)}-{key}.npy"
    with suppress(OSError, ValueError, EOFError, zipfile.BadZipFile):  # none yet, or damaged
        stored = np.load(path, allow_pickle=False)
        if stored.shape == features.shape:
            return np.concatenate([features, stored.astype(np.float32)])
    others = extract(extractor, domain, rows, mirrored=True)
    with suppress(StorageError), writing(path) as beside, beside.open("wb") as file:
        np.save(file, others)
    return np.concatenate([features, others])


def _read(path: Path, shape: tuple[int, int]) -> Reference | None:
    """Read what is stored at `path`, features of this `shape`; None if it is missing, damaged, or of other shapes."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            features, mean, spread = arrays["features"], arrays["mean"], arrays["spread"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if features.shape != shape or mean.shape != shape[1:] or spread.shape != (min(shape), shape[1]):
        return None
    return Reference(features, Moments(mean, spread, shape[0]))
