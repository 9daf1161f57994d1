"""Jobs of a cluster whose dashboard breaks its connections, or says nothing: servers of the test's own, on loopback."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import ray
from aiohttp import web

import search.running.jobs as under_test
from spaces.errors import UserError


class Dashboard:
    """As much of Ray's dashboard as a job takes. Its log has one line, and then breaks off, or never ends."""

    def __init__(self, breaks: bool) -> None:
        self._breaks = breaks
        self._asked = 0

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "4", "ray_version": ray.__version__, "ray_commit": "", "session_name": ""})

    async def submit(self, request: web.Request) -> web.Response:
        job = (await request.json())["submission_id"]
        return web.json_response({"job_id": job, "submission_id": job})

    async def status(self, request: web.Request) -> web.Response:
        self._asked += 1
        status = "RUNNING" if self._asked == 1 else "SUCCEEDED"
        return web.json_response({"type": "SUBMISSION", "entrypoint": "understock", "status": status})

    async def log(self, request: web.Request) -> web.WebSocketResponse:
        tail = web.WebSocketResponse()
        await tail.prepare(request)
        await tail.send_str("trial 0: started\n")
        if self._breaks:
            assert request.transport is not None
            request.transport.abort()
        await tail.receive()  # until nobody follows any more
        return tail


@contextmanager
def served(dashboard: Dashboard) -> Iterator[str]:
    """The URL of a dashboard, served by a thread beside the test."""
    app = web.Application()
    app.router.add_get("/api/version", dashboard.version)
    app.router.add_post("/api/jobs/", dashboard.submit)
    app.router.add_get("/api/jobs/{job}", dashboard.status)
    app.router.add_get("/api/jobs/{job}/logs/tail", dashboard.log)
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=60)
        loop.close()


def test_who_takes_connections_and_says_nothing_is_no_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_ANSWER_SECONDS", 1.0)
    start = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(UserError, match=f"no Ray dashboard to submit to at {address}: .*timed out"):
            under_test.submit(address, ["search"], "x")
    assert time.monotonic() - start < 30


def test_a_job_that_has_ended_is_not_followed_for_ever_where_its_log_has_gone_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(under_test, "_STATUS_SECONDS", 0.5)
    with served(Dashboard(breaks=False)) as address:
        assert under_test.submit(address, ["search"], "x") == 0
    said, complaint = capsys.readouterr()
    assert said == "trial 0: started\n"
    assert "the end of the log of job x-" in complaint


def test_a_connection_that_breaks_is_a_line_and_says_how_to_follow_the_job(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with (
        served(Dashboard(breaks=True)) as address,
        pytest.raises(UserError, match=f"the connection to {address} broke: "),
    ):
        under_test.submit(address, ["search"], "x")
    said, complaint = capsys.readouterr()
    assert said == "trial 0: started\n"
    assert f"goes on; follow it with: RAY_AUTH_MODE=disabled ray job logs --follow --address {address} x-" in complaint
