"""The printing of verbs: tables and JSON on stdout, and on stderr what a listing has to leave out."""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.cells import cell_len

from spaces.errors import UserError
from trainables.storage.home import Home

T = TypeVar("T")

GAP = "  "


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table without lines; None is left blank, and floats have four digits.

    On a terminal that it is too wide for, it goes on below with the columns that are left, the first one repeated: no number
    is cut. What even alone is too wide for a line is broken between words.
    """
    columns = [[heading, *map(_cell, cells)] for heading, *cells in zip(headings, *rows, strict=True)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for number, part in enumerate(_parts(columns, width)):
        if number:
            print()
        for line in _lines(part, width):
            print(line)


def _parts(columns: list[list[str]], width: int) -> Iterator[list[list[str]]]:
    """The columns in parts that fit, each with the first column."""
    first, *rest = columns
    part = [first]
    for column in rest:
        if len(part) > 1 and sum(map(_width, part)) + len(GAP) * len(part) + _width(column) > width:
            yield part
            part = [first]
        part.append(column)
    yield part


def _lines(part: list[list[str]], width: int) -> Iterator[str]:
    widths = [_width(column) for column in part]
    room = max(20, width - sum(widths[:-1]) - len(GAP) * len(widths[:-1]))
    for *cells, last in zip(*part, strict=True):
        wrapped = textwrap.wrap(last, room, break_long_words=False, break_on_hyphens=False) or [""]
        for piece in wrapped:
            yield GAP.join(
                [*(_padded(cell, width) for cell, width in zip(cells, widths, strict=False)), piece]
            ).rstrip()
            cells = [""] * len(cells)


def _width(column: Sequence[str]) -> int:
    return max(map(cell_len, column))


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))


def _cell(item: Any) -> str:
    if item is None:
        return ""
    return f"{item:.4g}" if isinstance(item, float) else in_a_line(str(item))


def note_no_home(home: Home) -> None:
    """Say on stderr how to begin, where nothing can be listed as ~/.understock was never made."""
    if not home.is_there():
        print(f"note: no home yet at {home}; begin one with: understock domains add NAME WHAT", file=sys.stderr)


def in_a_line(text: str) -> str:
    """The text on one line, whatever wrote it: words with single spaces between, and what would steer a terminal escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in " ".join(text.split()))


def print_json(value: Any) -> None:
    """Print the value as JSON, for programs; what JSON does not know is written as `str` gives it."""
    print(json.dumps(value, indent=1, default=str))


def readable(names: Iterable[str], read: Callable[[str], T]) -> Iterator[T]:
    """Give what `read` gives for each name; one for which it raises UserError is left out, with its line on stderr."""
    for name in names:
        try:
            yield read(name)
        except UserError as error:
            print(f"understock: {in_a_line(str(error))}", file=sys.stderr)
