"""The evaluations table: one Parquet file a trial, a row an evaluation, the trial's config flat beside its metrics."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from spaces.config import METRIC_DIRECTIONS, TrialConfig
from spaces.errors import UserError
from trainables.storage.home import writing

Status = Literal["running", "completed", "stopped", "diverged", "failed"]
"""How a trial stands.

running: it trains, or was interrupted; completed: it spent its budget; stopped: the scheduler stopped it; diverged: its
losses became NaN or exploded; failed: it raised an error.
"""

_PROTOCOL_FIELDS = {
    "extractor": pa.string(),
    "input_size": pa.int32(),
    "resizer": pa.string(),
    "split": pa.string(),
    "n_real": pa.int32(),
    "n_fake": pa.int32(),
    "metric_seed": pa.int64(),
    "kd_subset": pa.int32(),
    "iw_n": pa.int32(),
    "floor_n": pa.int32(),
}
"""What each metric was measured with; names and values come from `trainables.metrics.metrics.measure`."""

_ROW_FIELDS = {
    "study": pa.string(),
    "trial": pa.int32(),
    "status": pa.string(),
    "error": pa.string(),
    "retries": pa.int32(),
    "note": pa.string(),
    "images_seen": pa.int64(),
    "iterations": pa.int64(),
    "train_seconds": pa.float64(),
    "wall_seconds": pa.float64(),
    "loss_d": pa.float64(),
    "loss_g": pa.float64(),
    "origin": pa.string(),
    "device": pa.string(),
    "threads": pa.int32(),
    "node": pa.string(),
    **{name: pa.float64() for metric in METRIC_DIRECTIONS for name in (metric, f"{metric}_floor")},
    **_PROTOCOL_FIELDS,
}

_MEASURED = [name for name in _ROW_FIELDS if name not in ("study", "trial", "status", "error", "retries")]

_ARROW_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def _config_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, pa.DataType]]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _config_fields(kind, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", _arrow_type(kind)


def _arrow_type(kind: Any) -> pa.DataType:
    """The column type of a config field's annotation; a tuple of names is joined by commas into one string."""
    if get_origin(kind) is tuple:
        return pa.string()
    if get_origin(kind) is Literal:
        return _ARROW_TYPES[type(get_args(kind)[0])]
    if get_origin(kind) is Annotated:
        return _arrow_type(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _arrow_type(next(arg for arg in get_args(kind) if arg is not type(None)))
    return _ARROW_TYPES[kind]


SCHEMA = pa.schema({**_ROW_FIELDS, **dict(_config_fields(TrialConfig))})
"""Every column. A config column is named by the field's path: `source`, `transfer/parts`, `optim/lr_g`, ..."""


def row_columns(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial measured, out of a report that holds other things too; not its config, identity or status."""
    return {name: result[name] for name in _MEASURED if name in result}


def flat_config(config: TrialConfig) -> dict[str, Any]:
    """Lay a config out flat: its leaves by path ("optim/lr_g"), as the columns of the table hold them."""

    def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", ",".join(value) if isinstance(value, tuple) else value

    return dict(leaves(config.model_dump()))


def config_of(row: Mapping[str, Any], base: TrialConfig) -> TrialConfig:
    """The config whose leaves a row of the table holds; `base`, the study's, says which leaves are lists of names."""
    values = merged({}, {path: _plain(row[path]) for path in flat_config(base)})
    values["protocol"]["metrics"] = tuple(str(values["protocol"]["metrics"]).split(","))
    return TrialConfig.parse(values, "a row of the evaluations table")


def _plain(value: Any) -> Any:
    """Make of a cell, out of a row of pandas or of plain values, a value as configs have it: None if it is missing."""
    missing = value is None or value != value
    return None if missing else value.item() if hasattr(value, "item") else value


def merged(values: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Put each parameter at its path ("optim/lr_g") in nested `values`, which are changed in place and returned.

    Raises UserError if a path leads through a value that is not a group of fields.
    """
    for path, value in parameters.items():
        *parents, leaf = path.split("/")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UserError(f"{path!r} is no field: {parent!r} holds a value, not a group of fields")
        place[leaf] = value
    return values


def write_trial(
    path: Path,
    config: TrialConfig,
    *,
    study: str,
    trial: int,
    status: Status,
    evaluations: Sequence[Mapping[str, Any]],
    error: str | None = None,
    retries: int = 0,
) -> None:
    """Write a trial's rows, whole, over what was there. Without an evaluation it has one row, with no metrics.

    An evaluation maps names of SCHEMA's row fields to values; a name that is not in SCHEMA is a bug and raises
    KeyError. `retries`: how often the trial's process was lost, and it was taken up again.
    """
    known = flat_config(config)
    known |= {"study": study, "trial": trial, "status": status, "error": error, "retries": retries}
    rows = [{**evaluation, **known} for evaluation in evaluations] or [{"images_seen": 0, **known}]
    unknown = {name for row in rows for name in row} - set(SCHEMA.names)
    if unknown:
        raise KeyError(f"not columns of the evaluations table: {sorted(unknown)}")
    with writing(path) as beside:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), beside)


def load(folder: Path) -> pa.Table:
    """Read all rows of a study's `evaluations/`, sorted by trial and images seen; the columns are there without rows.

    Raises UserError if a file is damaged.
    """
    tables = [_read(path) for path in sorted(folder.glob("[!.]*.parquet"))]
    table = pa.concat_tables([SCHEMA.empty_table(), *tables], promote_options="default")
    return table.sort_by([("trial", "ascending"), ("images_seen", "ascending")])


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of one trial's file; UserError if it is missing or damaged."""
    return list(_read(path).to_pylist())


def _read(path: Path) -> pa.Table:
    """Read one trial's file; UserError if it is missing or damaged."""
    try:
        return pq.ParquetFile(path).read(use_threads=False)  # half the time of read_table for small files
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable Parquet file ({error}); remove it, and `resume` rebuilds it"
        ) from None
