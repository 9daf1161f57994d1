"""Images in a folder, or in a column of a Parquet file."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spaces.errors import UserError
from trainables.images.domains import SkippedFile, Split
from trainables.images.importing.decoding import Item, Origin, open_bytes, open_file

SPLITS: Mapping[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "val"}
"""What splits are called, in lower case."""

IMAGE_COLUMNS = ("image", "img", "images", "jpg", "png", "bytes")
"""Names that decide between several columns of bytes, the first one first."""

ROWS = 64
"""Rows of a Parquet file held at a time: originals may be large."""


def folder_origin(root: Path) -> Origin:
    """Every visible file below `root`, by path; links are followed.

    If there are top-level folders `train` and `val` (or `valid`, `validation`, `test`) they are the split, and files
    elsewhere are skipped. The label is the place of the next folder's name in alphabetical order; -1 outside folders.
    """
    paths, skipped = _visible_files(root)
    splits = {path.parts[0]: SPLITS[path.parts[0].lower()] for path in paths if _is_split_folder(path)}
    if set(splits.values()) != {"train", "val"}:
        splits = {}
    outside = [path for path in paths if splits and path.parts[0] not in splits]
    skipped += [SkippedFile(file=_printable(p), reason=f"not in {' or '.join(sorted(splits))}") for p in outside]
    paths = [path for path in paths if not splits or path.parts[0] in splits]
    depth = 1 if splits else 0  # of a class folder
    class_of = {path: path.parts[depth] for path in paths if len(path.parts) > depth + 1}
    labels = {name: label for label, name in enumerate(sorted(set(class_of.values())))}

    def item(path: Path) -> Item:
        label = labels[class_of[path]] if path in class_of else -1
        return Item(_printable(path), partial(open_file, root / path, label), splits.get(path.parts[0]))

    return Origin(map(item, paths), len(paths), skipped)


def _is_split_folder(path: Path) -> bool:
    return len(path.parts) > 1 and path.parts[0].lower() in SPLITS


def _visible_files(root: Path) -> tuple[list[Path], list[SkippedFile]]:
    """Paths relative to `root`, sorted, and the folders that can't be listed."""
    found: list[Path] = []
    skipped: list[SkippedFile] = []
    seen: set[str] = set()

    def refused(error: OSError) -> None:
        skipped.append(SkippedFile(file=_printable(Path(error.filename)), reason=error.strerror or str(error)))

    for folder, folders, files in os.walk(root, onerror=refused, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link back up would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder, name).relative_to(root) for name in files if not name.startswith(".")]
    return sorted(found), skipped


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


def parquet_origin(path: Path, image_column: str | None) -> Origin:
    """The rows of a Parquet file.

    Read are a column of image files' bytes (binary, or a struct that has `bytes`), and where there are such columns,
    `label` (an integer) and `split` (train, val, valid, validation or test).
    UserError if the file is damaged, if it has no such column, or several and none is `image_column`.
    """
    try:
        file = pq.ParquetFile(path, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from None
    column = _image_column(path, file.schema_arrow, image_column)
    wanted = [column] + [name for name in ("label", "split") if name in file.schema_arrow.names and name != column]
    return Origin(_rows(path, file, column, wanted), file.metadata.num_rows)


def _rows(path: Path, file: pq.ParquetFile, column: str, wanted: list[str]) -> Iterator[Item]:
    number = 0
    try:
        for batch in file.iter_batches(ROWS, columns=wanted):
            for row in batch.to_pylist():
                image, label, split = row[column], row.get("label"), row.get("split")
                data = image.get("bytes") if isinstance(image, dict) else image
                label = label if isinstance(label, int) and label >= 0 else -1
                yield Item(f"row {number}", partial(open_bytes, data, label), _split(path, split))
                number += 1
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from None


def _split(path: Path, value: object) -> Split | None:
    if value is None:
        return None
    if not isinstance(value, str) or value.lower() not in SPLITS:
        raise UserError(f"{path}: column 'split' holds {value!r}; expected {', '.join(SPLITS)} or nothing")
    return SPLITS[value.lower()]


def _image_column(path: Path, schema: pa.Schema, asked: str | None) -> str:
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    if asked is not None:
        if asked not in candidates:
            raise UserError(
                f"{path}: no column {asked!r} of bytes; columns of bytes: {', '.join(candidates) or 'none'}"
            )
        return asked
    named = [name for name in IMAGE_COLUMNS if name in candidates]
    if len(candidates) == 1 or named:
        return (named or candidates)[0]
    if candidates:
        raise UserError(f"{path}: several columns hold bytes: {', '.join(candidates)}; say which with --image-column")
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    raise UserError(f"{path}: no column of image bytes, only {columns}; expected binary, or a struct with 'bytes'")


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind.fields)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _damaged(path: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    return UserError(f"{path} isn't a Parquet file, or it is damaged ({reason}); expected a whole one, or a folder")
