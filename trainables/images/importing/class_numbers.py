"""How the values of a label column become class numbers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from spaces.errors import UserError

NO_LABEL = -1
MAX_LABEL = 2**31 - 1
MAX_CLASS_NAMES = 30_000
"""That are kept; more classes keep their numbers alone."""
MAX_NAME = 200
"""Characters of a class name."""


class ClassNumbers(NamedTuple):
    """What a value's class number is, and the classes' names."""

    of: Callable[[Any], int]
    names: Sequence[str] = ()
    """By number."""
    notes: Sequence[str] = ()


def class_numbers(
    kinds: Sequence[pa.DataType], values: Callable[[], Iterator[Any]], number_names: Sequence[str]
) -> ClassNumbers:
    """Numbers stay; names are numbered by the alphabet; anything else is left out, and a note says so.

    `kinds` are the types of the files' label columns, `values` reads the distinct values, `number_names` are names of
    classes that have numbers. UserError for a label that can't be a class's.
    """
    kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds if not pa.types.is_null(kind)]
    if all(pa.types.is_integer(kind) or pa.types.is_boolean(kind) for kind in kinds):
        return ClassNumbers(class_number, number_names)
    if all(str(kind) in ("string", "large_string", "string_view") for kind in kinds):
        return _numbered(sorted({_checked(value) for value in values() if value is not None}))
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in kinds):
        odd = next((value for value in values() if value is not None and value % 1 > 0), None)
        if odd is None:  # whole ones, which become floating beside missing ones
            return ClassNumbers(class_number)
        return _left_out(f"holds {odd!r}")
    return _left_out(f"is of type {' and '.join(sorted(set(map(str, kinds))))}")


def class_number(value: Any) -> int:
    """The number itself; NO_LABEL for none, which negative ones mean as well."""
    if value is None or not value >= 0:
        return NO_LABEL
    if value > MAX_LABEL:
        raise UserError(f"label {value} is no class number; expected 0 to {MAX_LABEL:,}, or names")
    return int(value)


def _numbered(names: Sequence[str]) -> ClassNumbers:
    numbers = {name: number for number, name in enumerate(names)}
    kept = names if len(names) <= MAX_CLASS_NAMES else ()
    return ClassNumbers(lambda value: NO_LABEL if value is None else numbers[value], kept)


def _checked(name: str) -> str:
    if len(name) > MAX_NAME:
        raise UserError(
            f"a label of {len(name):,} characters, {name[:20]!r}...; expected class names of {MAX_NAME} at most; "
            "rename the column to import without labels"
        )
    return name


def _left_out(what: str) -> ClassNumbers:
    note = f"labels are left out: their column {what}; expected class numbers, or names"
    return ClassNumbers(lambda value: NO_LABEL, notes=(note,))
