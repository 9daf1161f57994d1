"""A way to an S3 server on which answers get lost, or come late or not at all."""

import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal
from urllib.parse import urlsplit

Trouble = Literal["mute", "lost"] | int
"""Nobody answers for long; the server does what it was asked, whose answer is lost; or it refuses with that status."""


class Proxy:
    """Sends requests on to the server at `to`, but for those of which `trouble(method, path)` gives one."""

    def __init__(self, to: str, port: int = 0) -> None:
        self.trouble: Callable[[str, str], Trouble | None] = lambda method, path: None
        self.asked: list[str] = []
        """Each request so far, as "PUT /bucket/key?query"."""
        self._to, self._over = urlsplit(to), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # who asked is gone
                    self.close_connection = True

            def answer(self) -> None:
                proxy.asked.append(f"{self.command} {self.path}")
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                trouble = proxy.trouble(self.command, self.path)
                if trouble == "mute":
                    proxy._over.wait(30)
                    self.close_connection = True
                elif isinstance(trouble, int):
                    code = {403: "AccessDenied", 412: "PreconditionFailed"}.get(trouble, "Trouble")
                    self.reply(trouble, {}, f"<Error><Code>{code}</Code><Message>trouble</Message></Error>".encode())
                else:
                    self.pass_on(body, lost=trouble == "lost")

            def pass_on(self, body: bytes, *, lost: bool) -> None:
                server = HTTPConnection(proxy._to.hostname or "", proxy._to.port)
                server.request(self.command, self.path, body, dict(self.headers.items()))
                got = server.getresponse()
                content = got.read()
                server.close()
                if lost:
                    self.close_connection = True
                else:
                    self.reply(got.status, dict(got.getheaders()), content)

            def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response_only(status)
                left_out = {"content-length", "transfer-encoding", "connection"}
                for name, value in headers.items():
                    if name.lower() not in left_out:
                        self.send_header(name, value)
                length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def once(trouble: Trouble, method: str, end: str) -> Callable[[str, str], Trouble | None]:
    """That trouble for the first request of a method whose path ends so, and none for others."""
    left = [trouble]
    return lambda asked, path: left.pop() if left and asked == method and path.endswith(end) else None


def always(trouble: Trouble, method: str, end: str = "") -> Callable[[str, str], Trouble | None]:
    """That trouble for each request of a method whose path, without its query, ends so."""
    return lambda asked, path: trouble if asked == method and path.partition("?")[0].endswith(end) else None
