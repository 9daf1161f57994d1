"""Images in a column of Parquet files: one file, or the shards of a data set."""

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spaces.errors import UserError
from spaces.plain_json import parse_json
from trainables.images.domains import Split
from trainables.images.importing.class_numbers import NO_LABEL, ClassNumbers, class_numbers
from trainables.images.importing.decoding import Item, Origin, Sample
from trainables.images.importing.formats import open_bytes
from trainables.images.importing.layouts import SPLITS
from trainables.images.importing.parquet_pages import unpacked_bytes
from trainables.images.printable import printable

IMAGE_COLUMNS = ("image", "img", "images", "jpg", "png", "bytes")
"""Names that decide between several columns of bytes, the first one first."""
LABEL_COLUMNS = ("label", "labels", "class")
"""Likewise between columns of labels."""

ROWS = 64
"""Rows held at a time, at most."""
HELD_BYTES = 64 * 2**20
"""What they may come to: originals may be large."""
MAX_IMAGE_BYTES = 256 * 2**20
"""Of one image's file."""
MAX_GROUP_BYTES, MAX_PACKING = 256 * 2**20, 50
"""A column of a row group that unpacks to more than so many bytes, and so many times its size, holds no image files: they
are packed already."""


_MAGIC = b"PAR1"
"""What a Parquet file begins with."""


class Shard(NamedTuple):
    """A Parquet file, what its rows' names begin with, and the split that its name tells."""

    path: Path
    prefix: str = ""
    split: Split | None = None


class _Columns(NamedTuple):
    image: str
    label: str | None
    split: str | None

    @property
    def names(self) -> list[str]:
        return [name for name in self if name is not None]


class _Table(NamedTuple):
    shard: Shard
    schema: pa.Schema
    columns: _Columns


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet files do; one that was cut off later does too."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:  # reading it as one says what is wrong
        return True


def parquet_origin(shards: Sequence[Shard], image_column: str | None) -> Origin:
    """The rows of Parquet files.

    Read are a column of image files' bytes (binary, or a struct that has `bytes`), and where there are such columns, a
    label (numbers, or names, which the alphabet numbers) and `split` (one of SPLITS; it goes before the file's).
    UserError if a file is damaged, if it has no such column, or several and none is `image_column`.
    """
    tables, total = [], 0
    for shard in shards:
        with _opened(shard.path) as file:
            tables.append(_Table(shard, file.schema_arrow, _columns(shard.path, file.schema_arrow, image_column)))
            total += file.metadata.num_rows
    numbers = _class_numbers(tables)
    return Origin(_rows(tables, numbers.of), total, class_names=numbers.names, notes=numbers.notes)


def _rows(tables: Sequence[_Table], number: Callable[[Any], int]) -> Iterator[Item]:
    for shard, _, columns in tables:
        rows = (row for batch in _batches(shard.path, columns.names) for row in batch.to_pylist())
        for place, row in enumerate(rows):
            image = row[columns.image]
            data = image.get("bytes") if isinstance(image, dict) else image
            label = number(row[columns.label]) if columns.label else NO_LABEL
            split = _split(shard.path, row[columns.split]) if columns.split else None
            size = len(data or b"")
            read = partial(open_bytes, data, label) if size <= MAX_IMAGE_BYTES else partial(_refuse, size)
            yield Item(f"{shard.prefix}row {place}", read, split or shard.split, size)


def _refuse(size: int) -> Sample:
    raise ValueError(f"a file of {size:,} bytes, more than {MAX_IMAGE_BYTES:,}")


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """All rows of these columns, a few at a time. UserError if they would not fit into memory, before they are unpacked."""
    with _opened(path) as file:
        for number in range(file.metadata.num_row_groups):
            rows = _rows_at_once(path, file.metadata, number, columns)
            yield from file.iter_batches(rows, row_groups=[number], columns=list(columns))


def _rows_at_once(path: Path, metadata: pq.FileMetaData, number: int, columns: Sequence[str]) -> int:
    """How many rows of a row group to hold. A value in a dictionary is stored once, and may be all there is."""
    group = metadata.row_group(number)
    a_row = 1
    for chunk in (group.column(place) for place in range(group.num_columns)):
        if not any(f"{chunk.path_in_schema}.".startswith(f"{name}.") for name in columns):
            continue
        packed = chunk.total_compressed_size
        unpacked = max(chunk.total_uncompressed_size, _by_its_pages(path, chunk))
        if unpacked > MAX_GROUP_BYTES and unpacked > MAX_PACKING * packed:
            raise UserError(
                f"{printable(str(path))}: column {chunk.path_in_schema!r} of row group {number} unpacks from "
                f"{packed:,} to {unpacked:,} bytes, as no image files do; write it anew, in row groups of "
                f"less than {MAX_GROUP_BYTES:,} bytes"
            )
        a_row += unpacked if chunk.has_dictionary_page else unpacked // max(1, group.num_rows)
    return max(1, min(ROWS, HELD_BYTES // a_row))


def _by_its_pages(path: Path, chunk: pq.ColumnChunkMetaData) -> int:
    """What a column chunk unpacks to by the headers of its pages, which its footer may not tell."""
    start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return unpacked_bytes(content, max(0, start), min(start + chunk.total_compressed_size, len(content)))


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pa.memory_map(os.fsencode(path)) as content, pq.ParquetFile(content) as file:  # a name in bytes may be any
            yield file
    except (OSError, pa.ArrowException) as error:
        reason = printable(" ".join(str(error).split()))
        raise UserError(
            f"{printable(str(path))} isn't a Parquet file, or it is damaged ({reason}); expected a whole one, or a folder"
        ) from None


def _class_numbers(tables: Sequence[_Table]) -> ClassNumbers:
    labelled = [table for table in tables if table.columns.label]

    def values() -> Iterator[Any]:
        for table in labelled:
            for batch in _batches(table.shard.path, [str(table.columns.label)]):
                yield from pc.unique(batch.column(0)).to_pylist()

    kinds = [table.schema.field(table.columns.label).type for table in labelled]
    return class_numbers(kinds, values, _names_in_schema(labelled[0]) if labelled else ())


def _names_in_schema(table: _Table) -> Sequence[str]:
    """The class names that Hugging Face's `datasets` writes into a file's schema."""
    try:
        about = parse_json((table.schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][table.columns.label]["names"]
    except (KeyError, TypeError, ValueError):  # not written by it
        return ()
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


def _split(path: Path, value: object) -> Split | None:
    if value is None:
        return None
    if not isinstance(value, str) or value.lower() not in SPLITS:
        raise UserError(
            f"{printable(str(path))}: column 'split' holds {value!r:.80}; expected {', '.join(SPLITS)} or nothing"
        )
    return SPLITS[value.lower()]


def _columns(path: Path, schema: pa.Schema, asked: str | None) -> _Columns:
    image = _image_column(path, schema, asked)
    label = next((name for name in LABEL_COLUMNS if name in schema.names and name != image), None)
    return _Columns(image, label, "split" if "split" in schema.names and image != "split" else None)


def _image_column(path: Path, schema: pa.Schema, asked: str | None) -> str:
    where = printable(str(path))
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    if asked is not None:
        if asked not in candidates:
            raise UserError(
                f"{where}: no column {asked!r} of bytes; columns of bytes: {printable(', '.join(candidates)) or 'none'}"
            )
        return asked
    named = [name for name in IMAGE_COLUMNS if name in candidates]
    if len(candidates) == 1 or named:
        return (named or candidates)[0]
    if candidates:
        raise UserError(
            f"{where}: several columns hold bytes: {printable(', '.join(candidates))}; say which with --image-column"
        )
    columns = printable(", ".join(f"{field.name} ({field.type})" for field in schema))
    raise UserError(f"{where}: no column of image bytes, only {columns}; expected binary, or a struct with 'bytes'")


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind.fields)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
