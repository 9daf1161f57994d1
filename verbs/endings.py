"""The endings of a verb that can't go on: one line that says what to do, and an exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from spaces.errors import UserError

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
