"""Files of JSON, read within bounds of size."""

from pathlib import Path
from typing import Any

from spaces.plain_json import JsonError, parse_json

MAX_BYTES = 64 * 2**20
"""Of any such file: what a study or a source says of itself has some kilobytes, StyleGAN's labels of 1.5 million images this."""


def read_json(path: Path, *, finite: bool = True) -> Any:
    """The value in a file; OSError if that can't be read, JsonError, a ValueError whose message leaves out the place, if it is
    no JSON, as `parse_json` has it, or too large."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise JsonError(f"{size:,} bytes, more than {MAX_BYTES:,}")
    return parse_json(path.read_bytes(), finite=finite)
