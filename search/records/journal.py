"""A study's journal for those who only look at it, so that a page which shows a search can't change it.

The journal is Optuna's own file: which trials there are, and what became of them.
"""

import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.records.study import StudyPaths
from spaces.errors import UserError
from trainables.storage.home import snapshot

REFRESH_SECONDS = 5.0
"""Seconds between two looks at a journal, which may lie on an object store."""


class ReadOnlyJournal(JournalFileBackend):
    """Optuna's backend for a journal that grows: it reads copies of it, and refuses to write.

    Raises UserError if there is no journal yet, PermissionError if Optuna is told to write.
    """

    def __init__(self, journal: Path) -> None:
        self._journal, self._folder = journal, tempfile.TemporaryDirectory(prefix="understock-")
        self._copy, self._read = Path(self._folder.name) / journal.name, 0.0
        self._refresh()
        super().__init__(str(self._copy))

    def _refresh(self) -> None:
        """Copy the journal anew, if the copy is old or missing."""
        if time.monotonic() - self._read > REFRESH_SECONDS or not self._copy.exists():
            try:
                snapshot(self._journal, self._copy)
            except FileNotFoundError:
                raise UserError(
                    f"study {self._journal.parent.name!r} has not run yet: there is nothing to show"
                ) from None
            self._read = time.monotonic()

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        self._refresh()
        return super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError("the journal of a study is only shown here; nothing is changed")


def serve(paths: StudyPaths, host: str, port: int) -> None:
    """Serve optuna-dashboard on the study's journal until Ctrl-C, and print its address.

    Raises UserError if the study has not run yet, or if the port can't be had.
    """
    from optuna_dashboard import run_server

    storage = JournalStorage(ReadOnlyJournal(paths.journal))
    print(f"http://{host}:{port}/dashboard shows study {paths.root.name}; Ctrl-C ends it", file=sys.stderr)
    try:
        run_server(storage, host=host, port=port)
    except OSError as error:
        raise UserError(f"{host}:{port} can't be served ({error.strerror}); give another --port") from None
