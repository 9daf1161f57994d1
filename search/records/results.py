"""The evaluations table: one Parquet file a trial, a row an evaluation, the trial's config flat beside its metrics."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from spaces.config import TrialConfig
from spaces.errors import UserError, lookup
from spaces.protocol import METRICS, RECORD, SECONDS
from spaces.trials import CONFIGS, DEFAULT_METHOD, own_settings, parse_trial
from trainables.storage.home import writing

Status = Literal["running", "completed", "stopped", "diverged", "failed"]
"""How a trial stands.

running: it trains, or was interrupted, which `search/records/standing.py` tells apart; completed: it spent its budget; stopped:
the scheduler stopped it; diverged: its losses became NaN or exploded; failed: it raised an error.
"""

NO_SCORE = ("diverged", "failed")
"""The statuses of trials that have no score, whatever they measured on the way."""

_ARROW_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}

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
    "origin": pa.string(),
    "device": pa.string(),
    "threads": pa.int32(),
    "node": pa.string(),
    **{name: pa.float64() for metric in METRICS.values() for name in metric.columns},
    **{name: _ARROW_TYPES[fact.kind] for name, fact in RECORD.items()},
}

_MEASURED = [name for name in _ROW_FIELDS if name not in ("study", "trial", "status", "error", "retries")]

_MACHINE = ("device", "threads", "node")
"""Columns that tell where a row was measured."""

LOSSES = "losses"
"""Where an evaluation holds its losses by the method's own names; in the table each is a column of its name."""


def _config_fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The path and annotation of every leaf of a config; of a field with several kinds of config, the leaves of all."""
    for name, field in model.model_fields.items():
        groups = [kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        for group in groups:
            yield from _config_fields(group, f"{prefix}{name}/")
        if not groups:
            yield f"{prefix}{name}", field.annotation


def _kinds(annotation: Any) -> list[Any]:
    """What an annotation allows: itself, or the members of a union."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for member in get_args(annotation) for kind in _kinds(member)]
    return [annotation]


def _arrow_type(annotation: Any) -> pa.DataType:
    """The column type of a config field's annotation; a tuple of names is joined by commas into one string."""
    kind = next(kind for kind in _kinds(annotation) if kind is not type(None))
    if get_origin(kind) is tuple:
        return pa.string()
    if get_origin(kind) is Literal:
        return _ARROW_TYPES[type(get_args(kind)[0])]
    return _ARROW_TYPES[kind]


LEAVES: Mapping[str, Mapping[str, Any]] = {name: dict(_config_fields(config)) for name, config in CONFIGS.items()}
"""The leaves of every method's config: their annotations by path."""


def _columns() -> dict[str, pa.DataType]:
    """A column for each leaf of every method's config; those of one path are of one type."""
    columns: dict[str, pa.DataType] = {}
    for method, leaves in LEAVES.items():
        for path, annotation in leaves.items():
            kind = columns.setdefault(path, _arrow_type(annotation))
            assert kind == _arrow_type(annotation), f"{path=} of {method} is no {kind}, as it is of another method"
    return columns


_COLUMNS = _columns()

CONFIG_COLUMNS = tuple(_COLUMNS)
"""The columns that hold a config. Those that a trial's method has no setting for are null in its rows."""

SCHEMA = pa.schema({**_ROW_FIELDS, **_COLUMNS})
"""Every column but the losses'. A config column is named by the field's path: `source`, `transfer/parts`, `optim/lr_g`."""


def is_final(status: Status) -> bool:
    """Whether a trial of that status is through."""
    return status != "running"


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Whether a row is of an evaluation; a trial that has none yet has one row all the same."""
    return bool(row["images_seen"]) or row["iterations"] is not None


def is_repeated(row: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether a report tells what is `known` of an evaluation already. Where it comes from says nothing: a trial that is taken
    up on another machine repeats what it did on the first one."""
    return all(_same(known.get(name), value) for name, value in row.items() if name not in _MACHINE)


def _same(one: Any, other: Any) -> bool:
    """Whether two cells, or two mappings of them, are equal, where a number that is none equals itself."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return bool(one == other or (one != one and other != other))


def row_columns(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial measured, out of a report that holds other things too; not its config, identity or status."""
    return {name: result[name] for name in (*_MEASURED, LOSSES) if name in result}


def flat_config(config: TrialConfig) -> dict[str, Any]:
    """Lay a config out flat: its leaves by path ("optim/lr_g"), as the columns of the table hold them."""

    def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", ",".join(value) if isinstance(value, tuple) else value

    values = config.model_dump()
    order = (
        "target",
        "source",
        "method",
        *own_settings(type(config)),
        *values,
    )  # settings before data, budget and seed
    return dict(leaves({name: values[name] for name in order}))


def config_of(row: Mapping[str, Any]) -> TrialConfig:
    """The config whose leaves a row of the table holds."""
    method = _plain(row.get("method")) or DEFAULT_METHOD
    leaves = {path: _plain(row.get(path)) for path in lookup(LEAVES, "method", method)}
    values = merged({}, {path: value for path, value in leaves.items() if value is not None})
    values["protocol"]["metrics"] = tuple(str(values["protocol"]["metrics"]).split(","))
    return parse_trial(values, "a row of the evaluations table")


def _plain(value: Any) -> Any:
    """Make of a cell, out of a row of pandas or of plain values, a value as configs have it: None if it is missing."""
    if value is None or value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def score_of(row: Mapping[str, Any], goal: str) -> float | None:
    """What a row says of a metric, or of another goal of a search."""
    value = row.get(column_of(goal))
    return None if value is None else float(value)


def column_of(goal: str) -> str:
    """The column that has a goal of a search."""
    return "wall_seconds" if goal == SECONDS else goal


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

    An evaluation maps names of SCHEMA's row fields to values, and "losses" to a mapping of the method's own names; any other
    name is a bug and raises KeyError. `retries`: how often the trial's process was lost, and it was taken up again.
    """
    known = flat_config(config)
    known |= {"study": study, "trial": trial, "status": status, "error": error, "retries": retries}
    rows = [{**evaluation, **known} for evaluation in evaluations] or [{"images_seen": 0, **known}]
    losses = [row.pop(LOSSES, None) or {} for row in rows]
    unknown = {name for row in rows for name in row} - set(SCHEMA.names)
    if unknown:
        raise KeyError(f"not columns of the evaluations table: {sorted(unknown)}")
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    for name in dict.fromkeys(name for each in losses for name in each):
        if name in SCHEMA.names:
            raise KeyError(f"{name!r} is a column of the evaluations table already, and no name for a loss")
        table = table.append_column(name, pa.array([each.get(name) for each in losses], pa.float64()))
    with writing(path) as beside:
        pq.write_table(table, beside)


def load(folder: Path) -> pa.Table:
    """Read all rows of a study's `evaluations/`, sorted by trial and images seen; the columns are there without rows.

    Raises UserError if a file is damaged.
    """
    tables = [_read(path) for path in sorted(folder.glob("[!.]*.parquet"))]
    known = [SCHEMA.empty_table(), *tables]
    table = pa.concat_tables(known, promote_options="permissive")  # earlier versions had narrower integers
    return table.sort_by([("trial", "ascending"), ("images_seen", "ascending")])


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of one trial's file as they were given to `write_trial`: each with the losses that it has, and no others, in a
    mapping of their own. UserError if the file is missing or damaged.
    """
    rows = []
    for row in _read(path).to_pylist():
        losses = {name: row.pop(name) for name in list(row) if name not in SCHEMA.names}
        rows.append({**row, LOSSES: {name: loss for name, loss in losses.items() if loss is not None}})
    return rows


def _read(path: Path) -> pa.Table:
    """Read one trial's file; UserError if it is missing or damaged."""
    try:
        return pq.ParquetFile(path).read(use_threads=False)  # half the time of read_table for small files
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a readable Parquet file ({error}); remove it, and `resume` rebuilds it"
        ) from None
