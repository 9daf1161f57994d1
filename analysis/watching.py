"""A study's report as a page that renews itself, on loopback."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

from analysis.progress import progress
from analysis.report import render
from analysis.serving import Answer
from analysis.study_data import StudyData
from search.records.study import StudyPaths, StudySpec, is_running
from trainables.storage.home import Home, fetch


class LivePage:
    """The page as of now, rendered again only when the study has changed."""

    def __init__(self, home: Home, paths: StudyPaths, spec: StudySpec) -> None:
        self._home, self._paths, self._spec = home, paths, spec
        self._lock = threading.Lock()
        self._known: tuple[str, bytes] | None = None

    def state(self) -> str:
        """A name for what there is to see now, which changes with every evaluation, and as the search begins and ends."""
        fetch(self._paths.evaluations)
        fetch(self._paths.ranking)
        known = [str(is_running(self._paths)), *_stamps(self._paths)]
        return hashlib.sha256("\n".join(known).encode()).hexdigest()[:32]

    def __call__(self, path: str, headers: Mapping[str, str]) -> Answer:
        """The page, but for a browser that has it as it is now."""
        if path != "/":
            return Answer(HTTPStatus.NOT_FOUND, b"There is one page: /")
        state = self.state()
        if headers.get("If-None-Match") == state:
            return Answer(HTTPStatus.NOT_MODIFIED)
        return Answer(HTTPStatus.OK, self.rendered(state), "text/html; charset=utf-8", state)

    def rendered(self, state: str) -> bytes:
        """The page for `state`, which `state()` has just given."""
        with self._lock:  # one renders, and the others wait for it
            if self._known is None or self._known[0] != state:
                studies = StudyData.of(self._home, [(self._paths, self._spec)])
                page = render(studies, progress(studies[0], state))
                self._known = (state, page.encode())
            return self._known[1]


def _stamps(paths: StudyPaths) -> Iterator[str]:
    for folder in (paths.evaluations, paths.exhibits):
        for path in sorted(folder.glob("[!.]*")):
            yield _stamp(path)
    yield _stamp(paths.ranking)


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return f"{path.name} is not there"
    return f"{path.name} {found.st_mtime_ns} {found.st_size}"
