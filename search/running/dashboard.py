"""A study in optuna-dashboard: the page reads a copy of the journal, so that it can't change a search that runs."""

import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from search.records.journal import DamagedJournalError, read_trials
from search.records.study import StudyPaths
from search.running.damage import check_parameters, read_table
from spaces.errors import UserError
from trainables.storage.home import fetch, snapshot

REFRESH_SECONDS = 5.0
"""How long a copy of the journal is shown before the next one is made: on an object store each is a download."""


class ReadOnlyJournal(JournalFileBackend):
    """A journal that is shown while it grows, and that refuses to be written."""

    def __init__(self, journal: Path) -> None:
        self._journal, self._folder = journal, tempfile.TemporaryDirectory(prefix="understock-")
        self.copy, self._read = Path(self._folder.name) / journal.name, 0.0
        self._refresh()
        super().__init__(str(self.copy))

    def _refresh(self) -> None:
        if time.monotonic() - self._read > REFRESH_SECONDS or not self.copy.exists():
            try:
                snapshot(self._journal, self.copy)
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


def checked_journal(paths: StudyPaths) -> ReadOnlyJournal:
    """The study's journal, to be shown; UserError if it does not say what the evaluations table says."""
    table = read_table(paths)  # before the journal, which has each trial before the table has it
    journal = ReadOnlyJournal(paths.journal)
    try:
        check_parameters(read_trials(journal.copy, paths.root.name), table)
    except DamagedJournalError as damage:
        name = paths.root.name
        raise UserError(f"{paths.journal} is damaged ({damage}); mend it with: understock resume {name}") from None
    return journal


def serve(paths: StudyPaths, host: str, port: int) -> None:
    """Serve optuna-dashboard on the study's journal until Ctrl-C; UserError if it is damaged, or the port can't be had."""
    from optuna_dashboard import run_server

    storage = JournalStorage(checked_journal(paths))
    fetch(paths.artifacts)
    store = FileSystemArtifactStore(paths.artifacts) if paths.artifacts.is_dir() else None  # earlier versions kept none
    print(f"http://{host}:{port}/dashboard shows study {paths.root.name}; Ctrl-C ends it", file=sys.stderr)
    try:
        run_server(storage, host=host, port=port, artifact_store=store)
    except OSError as error:
        raise UserError(f"{host}:{port} can't be served ({error.strerror}); give another --port") from None
