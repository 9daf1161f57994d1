"""A server on loopback for one page and what it asks for, by Python's own http.server: for this machine alone."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spaces.errors import UserError

HOST = "127.0.0.1"
PORT = 8577
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What a request gets."""

    status: HTTPStatus
    body: bytes = b""
    kind: str = TEXT
    state: str = ""
    """The name of what was shown, which a browser that has it asks with; none where it may not keep it."""


Page = Callable[[str, Mapping[str, str]], Answer]
"""Of a request's path, with its query, and its headers: the answer. UserError where something is wrong with the study."""


class _Handler(BaseHTTPRequestHandler):
    server: "Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(self._answer())

    def _answer(self) -> Answer:
        if _host_of(self.headers.get("Host", "")) not in ("localhost", HOST):
            # another name that resolves to this machine, as a page elsewhere could have found
            return Answer(HTTPStatus.FORBIDDEN, b"This page is for this machine alone.")
        try:
            return self.server.page(self.path, self.headers)  # type: ignore[arg-type]  # a message is a mapping of headers
        except UserError as error:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, str(error).encode())

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {
            "Content-Type": answer.kind,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Length": str(len(answer.body)),
            **({"ETag": answer.state} if answer.state else {}),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of a request: the terminal is its user's."""


def _host_of(header: str) -> str:
    """The host of a Host header, whose port is left out where it is 80, or by who forwards the page."""
    host, colon, port = header.rpartition(":")
    return host if colon and port.isdecimal() else header


class Server(ThreadingHTTPServer):
    """Serves a page on loopback, to this machine only, until `shutdown`."""

    daemon_threads = True

    def __init__(self, page: Page, port: int | None = None) -> None:
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
