"""A study's report as a page that renews itself: a small server on loopback, by Python's own http.server."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from analysis.progress import progress
from analysis.report import render
from analysis.study_data import StudyData
from search.records.study import StudyPaths, StudySpec, is_running
from spaces.errors import UserError
from trainables.storage.home import Home, fetch

HOST = "127.0.0.1"
PORT = 8577


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

    def __call__(self, state: str) -> bytes:
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


class _Handler(BaseHTTPRequestHandler):
    server: "Watcher"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if _host_of(self.headers.get("Host", "")) not in ("localhost", HOST):
            # another name that resolves to this machine, as a page elsewhere could have found
            return self._send(HTTPStatus.FORBIDDEN, b"This page is for this machine alone.")
        if self.path != "/":
            return self._send(HTTPStatus.NOT_FOUND, b"There is one page: /")
        try:
            state = self.server.page.state()
            if self.headers.get("If-None-Match") == state:
                return self._send(HTTPStatus.NOT_MODIFIED, b"")
            return self._send(HTTPStatus.OK, self.server.page(state), "text/html; charset=utf-8", state)
        except UserError as error:
            return self._send(HTTPStatus.SERVICE_UNAVAILABLE, str(error).encode())

    def _send(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8", state: str = "") -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        headers |= {"Content-Length": str(len(body)), **({"ETag": state} if state else {})}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of a request: the terminal is its user's."""


def _host_of(header: str) -> str:
    """The host of a Host header, whose port is left out where it is 80, or by who forwards the page."""
    host, colon, port = header.rpartition(":")
    return host if colon and port.isdecimal() else header


class Watcher(ThreadingHTTPServer):
    """Serves one study's live page on loopback, to this machine only, until `shutdown`."""

    daemon_threads = True

    def __init__(self, page: LivePage, port: int | None = None) -> None:
        """Listen at `port`; without one at 8577, or another that is free. UserError if `port` is taken or no port."""
        self.page = page
        try:
            super().__init__((HOST, PORT if port is None else port), _Handler)
        except (OSError, OverflowError) as error:
            if port is not None:
                raise UserError(f"port {port} can't be had ({error}); give another --port, or none") from None
            super().__init__((HOST, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error; one of ours is told in full, and the server goes on."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_port}/"
