"""How a verb ends when it can't go on: one line that says what to do, and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from spaces.errors import UserError

MISTAKE = 2
"""Exit code of a user's mistake, as typer has it too."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@contextmanager
def if_interrupted(line: str) -> Iterator[None]:
    """Ctrl-C inside the block ends the verb with this line on stderr; typer itself would end it without a word."""
    try:
        yield
    except KeyboardInterrupt:
        print(line, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def writing_to(output: Path) -> Iterator[None]:
    """An OSError inside the block becomes a UserError that names `output` and what went wrong."""
    try:
        yield
    except OSError as error:
        reason = "not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror or error
        where = f": {error.filename}" if error.filename else ""
        raise UserError(
            f"output {output} can't be written ({reason}{where}); give another place with --output"
        ) from None
