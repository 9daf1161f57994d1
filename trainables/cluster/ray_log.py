"""What Ray says while it works, for a file rather than for the terminal: its tracebacks are of no help to who searches."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray._private.worker

RAY_LOG = logging.getLogger("ray")
"""What Ray logs by, and who has more to say of what Ray did."""

_LARGEST = 8 * 2**20
"""Bytes after which a log begins anew; the one before is kept."""


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Have all that Ray and its workers say in the block added to a file, made when there is something to say."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _Quiet(path, maxBytes=_LARGEST, backupCount=1, delay=True, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    printed, handlers, propagate = ray._private.worker.print_to_stdstream, RAY_LOG.handlers, RAY_LOG.propagate
    ray._private.worker.print_to_stdstream = _said
    RAY_LOG.handlers, RAY_LOG.propagate = [handler], False
    try:
        yield
    finally:
        ray._private.worker.print_to_stdstream = printed
        RAY_LOG.handlers, RAY_LOG.propagate = handlers, propagate
        handler.close()


class _Quiet(RotatingFileHandler):
    """A log that says nothing elsewhere when it can't be written: what matters is said in other places."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own)
        pass


def _said(data: dict[str, Any], ignore_prefix: bool = False) -> None:
    """Stands for what prints the workers' tracebacks."""
    RAY_LOG.error("%s", "\n".join(map(str, data["lines"])).rstrip())
