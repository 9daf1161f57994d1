"""Images from a folder, a Parquet file, a torchvision data set or a builtin package, made into a domain."""

import hashlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaces.errors import UserError, lookup
from spaces.networks import RESOLUTIONS
from trainables.images.domains import DomainFacts, SkippedFile, Split, write_domain
from trainables.images.importing.builtins import BUILTINS
from trainables.images.importing.classes_apart import UNSEEN, Apart, Part, apart, check_asked, named, only_large_classes
from trainables.images.importing.decoding import MAX_PIXELS, RESIZER, Item, Origin, quiet_pillow, square_rgb, why_not
from trainables.images.importing.folders import folder_origin
from trainables.images.importing.fonts import fonts_origin
from trainables.images.importing.formats import image_suffixes
from trainables.images.importing.parquet import Shard, is_parquet, parquet_origin
from trainables.images.importing.torchvision_sets import torchvision_origin
from trainables.images.mirroring import may_mirror
from trainables.storage.home import Home, claim, storage_errors
from trainables.storage.places import expanded

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
CHUNK = 16
"""Images a thread takes at a time."""
HELD_BYTES = 256 * 2**20
"""What images not decoded yet may hold of memory, about."""
DECODED_PIXELS = 2 * MAX_PIXELS
"""What may be decoded at a time, over all threads: about 10 bytes each, so 2 GB."""
FEWEST_TRAIN = 2
"""Training images of a domain at least: what is made of fewer can't be compared with them by any distance."""
ENOUGH_VAL = 4
"""Validation images that metric iw needs; `val_fraction` of few images may come to less."""
ENOUGH_TRAIN = 12
"""Training images that recall, precision, density and coverage need, with their floors: half for either side."""
KINDS = "a folder of images, a Parquet file or a folder of them, torchvision:NAME[:ROOT], builtin:NAME, or fonts with --fonts"

Progress = Callable[[int, int], None]


class Decoded(NamedTuple):
    """One image as it will stand in the domain."""

    name: str
    pixels: bytes
    """(3, R, R)"""
    digest: bytes
    label: int
    split: Split | None
    face: str


def add_domain(
    home: Home,
    name: str,
    what: str,
    resolution: int,
    *,
    val_fraction: float = 0.1,
    strict: bool = False,
    replace: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    image_column: str | None = None,
    flip: bool | None = None,
    fonts: bool = False,
    per_class: int | None = None,
    unseen: Apart | None = None,
) -> DomainFacts:
    """Import the images that `what` names as domain `name`: whole or not at all, the same for any number of `workers`.

    `what` is a folder (of images, of Parquet files, or with `fonts` of font files), a Parquet file,
    torchvision:NAME[:ROOT] or builtin:NAME; `image_column` is for Parquet alone.
    Classes of fewer than `per_class` images are left out. The classes that `unseen` sets apart make a second domain,
    called `name`-unseen.
    Rows keep the origin's order (a folder's: by path). An image with the pixels of an earlier one is dropped. If the
    origin has a training and a validation split they stay, else `val_fraction` of the images is for validation, chosen
    by their pixels. What can't be read is skipped and recorded; with `strict` it is refused.
    `flip` says whether searches may mirror the images; None leaves it to `may_mirror`.
    `progress(done, total)` is called on this thread, `workers` threads decode (None: one a processor).
    Raises UserError for any argument that won't do, for a damaged origin, if no image can be used, if there is no room, and
    if another process is adding a domain of that name.
    """
    path = _checked_path(home, name, resolution, val_fraction, workers)
    names = [name] if unseen is None else [name, f"{name}-{UNSEEN}"]
    if unseen is not None:
        check_asked(unseen)
    with quiet_pillow(), storage_errors(path), ExitStack() as claims:
        for each in names:
            claims.enter_context(claim(home, "domains", each, replace=replace))
        origin = _origin(what, image_column, fonts, per_class)
        path.parent.mkdir(parents=True, exist_ok=True)
        # a file without a name, so nothing is left if this process is killed
        with tempfile.TemporaryFile(dir=path.parent) as raw:
            found = _Collected(raw, list(origin.skipped))
            for done, decoded in _decoded(origin, resolution, workers or os.cpu_count() or 1):
                found.add(decoded)
                if progress:
                    progress(done, origin.total)
            found.check(what, strict)
            raw.flush()
            images = np.memmap(raw, np.uint8, "r", shape=(len(found.labels), 3, resolution, resolution))
            parts = _parts(found, origin, unseen, origin.per_class if per_class is None else per_class)
            mirror = flip if flip is not None else not fonts and may_mirror(what, images)
            splits = [found.held_out(part.rows, val_fraction) for part in parts]
            for each, is_val in zip(names, splits, strict=True):
                _check_enough(what, each, int((~is_val).sum()), found)
            for each, part, is_val in reversed(list(zip(names, parts, splits, strict=True))):
                facts = _write(home.domain(each), what, images, part, is_val, found, origin, mirror)
    return facts


def _parts(found: "_Collected", origin: Origin, unseen: Apart | None, per_class: int | None) -> Sequence[Part]:
    """What the domains are made of: one, or with `unseen` two."""
    labels = np.array(found.labels, np.int64)
    whole = Part(np.arange(len(labels)), labels, origin.class_names)
    if unseen is None:
        return [whole if per_class is None else only_large_classes(named(whole), per_class)]
    return apart(named(whole), found.faces, unseen, per_class)


def _write(
    path: Path,
    what: str,
    images: NDArray[np.uint8],
    part: Part,
    is_val: NDArray[np.bool_],
    found: "_Collected",
    origin: Origin,
    flip: bool,
) -> DomainFacts:
    """Write the images of `part` as one domain."""
    is_whole = len(part.rows) == len(images)  # which is mapped, and any choice of it in memory
    return write_domain(
        path,
        images if is_whole else images[part.rows],
        part.labels,
        is_val,
        origin=what,
        resizer=RESIZER,
        class_names=part.class_names,
        names=[found.names[row] for row in part.rows] if origin.keeps_names else (),
        duplicates=found.duplicates,
        skipped=found.skipped,
        notes=[*origin.notes, *part.notes, *_too_few(int((~is_val).sum()), int(is_val.sum()))],
        flip=flip,
    )


def _checked_path(home: Home, name: str, resolution: int, val_fraction: float, workers: int | None) -> Path:
    path = home.domain(name)
    if resolution not in RESOLUTIONS:
        raise UserError(f"resolution {resolution} will not do; known: {', '.join(map(str, RESOLUTIONS))}")
    if not 0 <= val_fraction < 1:
        raise UserError(f"validation fraction {val_fraction} will not do; give 0 or more, and less than 1")
    if workers is not None and workers < 1:
        raise UserError(f"{workers} workers will not do; give 1 or more")
    return path


def _origin(what: str, image_column: str | None, fonts: bool, per_class: int | None) -> Origin:
    kind, _, rest = what.partition(":")
    path = expanded(what, f"expected {KINDS}")
    try:
        is_file, is_folder = path.is_file(), bool(what) and path.is_dir()
    except OSError as error:
        raise UserError(f"{what!r} can't be read ({error.strerror}); expected {KINDS}") from None
    if image_column is not None and not (is_file or is_folder):
        raise UserError(f"image column {image_column!r} needs a Parquet file, and {what!r} isn't one; leave it out")
    if fonts and not is_folder:
        raise UserError(f"--fonts takes a folder of font files, and {what!r} isn't one")
    if fonts:
        return fonts_origin(path, per_class)
    if is_file and path.suffix.lower() in ARCHIVES:
        raise UserError(f"{what!r} is an archive; unpack it, and give the folder")
    if is_file and path.suffix.lower() in image_suffixes():
        raise UserError(f"{what!r} is one image, and a domain is made of many; give the folder that holds them")
    if is_file and path.suffix.lower() != ".parquet" and not is_parquet(path):
        raise UserError(f"{what!r} is a file of another kind; expected {KINDS}")
    if is_file:
        return parquet_origin([Shard(path)], image_column)
    if is_folder:
        return folder_origin(path, image_column)
    if kind == "builtin":
        return lookup(BUILTINS, "builtin domain", rest)()
    if kind == "torchvision":
        set_name, _, root = rest.partition(":")
        return torchvision_origin(set_name, Path(root) if root else None)
    if what in BUILTINS:
        raise UserError(f"no file or folder {what!r}; for the builtin images give builtin:{what}")
    raise UserError(f"no file or folder {what!r}; expected {KINDS}")


def _decoded(origin: Origin, resolution: int, workers: int) -> Iterator[tuple[int, list[Decoded | SkippedFile]]]:
    """Decode on threads, in order, a few chunks ahead. Yields how many images are done, and a chunk of them.

    Threads, because Pillow lets others run while it decodes and resizes, and they need no `__main__` guard.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    waiting: deque[Future[list[Decoded | SkippedFile]]] = deque()
    done, ahead, gate = 0, 2 * workers + 1, _Gate(DECODED_PIXELS)
    chunks = _chunks(origin.items, HELD_BYTES // ahead)
    try:
        while True:
            while len(waiting) < ahead and (chunk := next(chunks, None)):
                waiting.append(pool.submit(_decode, chunk, resolution, gate))
            if not waiting:
                return
            decoded = waiting.popleft().result()
            done += len(decoded)
            yield done, decoded
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(items: Iterator[Item], most_bytes: int) -> Iterator[list[Item]]:
    """Up to CHUNK items, and no more once they hold so much memory."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == CHUNK or sum(item.held_bytes for item in chunk) >= most_bytes:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class _Gate:
    """Lets threads in as long as what they bring is together no more than `most`; one always."""

    def __init__(self, most: int) -> None:
        self._most = self._free = most
        self._changed = threading.Condition()

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        size = min(size, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


def _decode(chunk: list[Item], resolution: int, gate: _Gate) -> list[Decoded | SkippedFile]:
    return [_decode_one(item, resolution, gate) for item in chunk]


def _decode_one(item: Item, resolution: int, gate: _Gate) -> Decoded | SkippedFile:
    try:
        image, label = item.read()
        with image, gate.room(image.width * image.height):
            pixels = square_rgb(image, resolution).tobytes()
    except Exception as error:  # damaged files make Pillow's decoders raise almost anything
        return SkippedFile(file=item.name, reason=why_not(error))
    return Decoded(item.name, pixels, hashlib.sha256(pixels).digest(), label, item.split, item.face)


class _Collected:
    """Distinct images so far: pixels in the file `raw`, the rest here, row by row."""

    def __init__(self, raw: IO[bytes], skipped: list[SkippedFile]) -> None:
        self.raw, self.skipped = raw, skipped
        self.names: list[str] = []
        self.labels: list[int] = []
        self.splits: list[Split | None] = []
        self.faces: list[str] = []
        self.digests: list[bytes] = []
        self._known: set[bytes] = set()
        self.duplicates = 0

    def add(self, decoded: list[Decoded | SkippedFile]) -> None:
        for image in decoded:
            if isinstance(image, SkippedFile):
                self.skipped.append(image)
            elif image.digest in self._known:
                self.duplicates += 1
            else:
                self.raw.write(image.pixels)
                self.names.append(image.name)
                self.labels.append(image.label)
                self.splits.append(image.split)
                self.faces.append(image.face)
                self.digests.append(image.digest)
                self._known.add(image.digest)

    def held_out(self, rows: NDArray[np.int64], val_fraction: float) -> NDArray[np.bool_]:
        """(n,) Which of the images at `rows` are for validation."""
        return _is_val([self.splits[row] for row in rows], [self.digests[row] for row in rows], val_fraction)

    def check(self, what: str, strict: bool) -> None:
        """UserError if nothing was found, or if `strict` and something was skipped."""
        n, first = len(self.skipped), next(iter(self.skipped), None)
        sample = f"{n:,} skipped, the first {first.file!r}: {first.reason}" if first else "it is empty"
        if not self.labels:
            raise UserError(f"no usable image in {what!r}: {sample}; expected {KINDS}")
        if strict and first:
            raise UserError(f"{what!r} has files that can't be used: {sample}; remove them, or import without --strict")


def _is_val(splits: list[Split | None], digests: list[bytes], val_fraction: float) -> NDArray[np.bool_]:
    """(N,) The origin's split if it has both parts, else by pixels: the same image always falls on the same side.

    But there are FEWEST_TRAIN images for training, and unless `val_fraction` is 0, ENOUGH_VAL for validation if there are
    twice as many, and one if there is one more than are for training.
    """
    if {"train", "val"} <= set(splits):
        return np.array([split == "val" for split in splits])
    places = np.array([int.from_bytes(digest[:8], "big") / 2**64 for digest in digests])  # uniform in [0, 1)
    is_val = places < val_fraction
    if val_fraction > 0:
        is_val[places.argsort()[: ENOUGH_VAL if len(places) >= 2 * ENOUGH_VAL else 1]] = True
    is_val[places.argsort()[-FEWEST_TRAIN:]] = False
    return is_val


def _check_enough(what: str, name: str, train: int, found: _Collected) -> None:
    """UserError for fewer training images than a domain has at least."""
    if train < FEWEST_TRAIN:
        raise UserError(
            f"{what!r} gives domain {name!r} {train} distinct image{'s' * (train != 1)} to train on ({found.duplicates:,} "
            f"duplicates dropped, {len(found.skipped):,} files skipped); it needs {FEWEST_TRAIN} at least: give more images"
        )


def _too_few(train: int, val: int) -> Iterator[str]:
    """What verbs will not be able to do with so few images."""
    if val < ENOUGH_VAL:
        yield (
            f"few val images ({val}): metric iw needs {ENOUGH_VAL} at least; leave it out of a search, or hold out more "
            "with --val-fraction"
        )
    if train < ENOUGH_TRAIN:
        yield (
            f"few train images ({train}): recall and coverage with their floors need {ENOUGH_TRAIN} at least; rank leaves out "
            "what can't be measured"
        )
