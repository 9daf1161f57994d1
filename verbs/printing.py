"""The printing of verbs: tables and JSON on stdout, and on stderr what a listing has to leave out."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spaces.errors import UserError

T = TypeVar("T")

PIPED_WIDTH = 200
"""How many characters a table's lines have at most when it goes to a file or a pipe."""


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table without lines between its cells; None is left blank, and floats have four digits."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(_cell(item)) for item in row))  # Text, for brackets in a string are rich's markup
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def _cell(item: Any) -> str:
    """Write a cell as text."""
    return "" if item is None else f"{item:.4g}" if isinstance(item, float) else str(item)


def print_json(value: Any) -> None:
    """Print the value as JSON, for programs; what JSON does not know is written as `str` gives it."""
    print(json.dumps(value, indent=1, default=str))


def readable(names: Iterable[str], read: Callable[[str], T]) -> Iterator[T]:
    """Give what `read` gives for each name; one for which it raises UserError is left out, with its line on stderr."""
    for name in names:
        try:
            yield read(name)
        except UserError as error:
            print(f"understock: {error}", file=sys.stderr)
