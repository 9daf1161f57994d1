"""The endings of a verb that can't go on: one line that says what to do, and an exit code."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from spaces.errors import UserError
from trainables.storage.places import new_file, new_folder, try_writing

MISTAKE = 2
"""Exit code after a user's mistake, the same as typer's."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, the same as in shells."""


@contextmanager
def if_interrupted(line: str) -> Iterator[None]:
    """End the verb with this line on stderr if Ctrl-C comes in the block; typer itself would end it without a word."""
    try:
        yield
    except KeyboardInterrupt:
        print(line, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def writing_to(output: Path) -> Iterator[None]:
    """Turn an OSError in the block into a UserError that names `output`, the file or folder that the block writes."""
    try:
        yield
    except OSError as error:
        reason = "not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror or error
        where = f": {error.filename}" if error.filename else ""
        raise UserError(
            f"output {output} can't be written ({reason}{where}); give another place with --output"
        ) from None


def check_output(output: Path, *, replace: bool = False, folder: bool = False) -> None:
    """UserError now, rather than after minutes of work, unless something new can be written there.

    That is a `folder`, or else a file, which may be there if it is to be replaced.
    """
    with writing_to(output):
        place = new_folder(output) if folder else new_file(output, replace=replace)
        try_writing(place.absolute().parent)


class UnsaidError(UserError):
    """What was printed can't be written: the disk is full, say, or nobody reads any more."""


class _Printed(io.TextIOWrapper):
    """Standard output whose errors are told from those of any other file."""

    def write(self, text: str, /) -> int:
        with _unsaid():
            return super().write(text)

    def flush(self) -> None:
        with _unsaid():
            super().flush()


@contextmanager
def _unsaid() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is left, and what Python flushes at its end
        if isinstance(error, BrokenPipeError):
            raise UnsaidError from None
        raise UnsaidError(f"what was printed can't be written ({error.strerror})") from None


def open_streams() -> None:
    """Give what is printed a place in any case: a stream that was closed goes nowhere, before a file gets its number, and
    what a terminal's alphabet lacks is shown escaped."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                while (got := os.open(os.devnull, os.O_RDWR)) < number:
                    pass
                if got > number:
                    os.close(got)
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    if type(sys.stdout) is io.TextIOWrapper and sys.stdout is sys.__stdout__:
        out = sys.stdout
        sys.stdout = _Printed(
            out.buffer, out.encoding, out.errors, line_buffering=out.line_buffering, write_through=out.write_through
        )
