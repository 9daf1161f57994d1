"""A search as a Ray job: it runs on the cluster, and goes on when this terminal is closed."""

import asyncio
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import aiohttp
import ray.exceptions
from ray.job_submission import JobStatus, JobSubmissionClient

from spaces.errors import UserError

_ASKING_SECONDS = 1.0
"""Between two questions of the same kind to a cluster."""
_PATIENCE_SECONDS = 60.0
"""With a cluster whose connections break."""
_ANSWER_SECONDS = 15.0
"""Within which a dashboard says its version; whoever does not is none."""
_REQUEST_SECONDS = (4.0, 60.0)
"""Until a connection is made, and until there is an answer: a folder that travels along is taken in before it comes."""
_STATUS_SECONDS = 30.0
"""Between two questions whether a job has ended whose log is followed: a connection that has gone quiet does not tell."""

_BROKEN = (OSError, RuntimeError, aiohttp.ClientError, ray.exceptions.AuthenticationError)
"""What a question to a cluster raises, or its log, once the connection is lost or the cluster has gone."""


def submit(address: str, arguments: Sequence[str], name: str, working_dir: Path | None = None) -> int:
    """Run `understock` with `arguments` on the cluster whose dashboard is at `address`, follow its log to stdout.

    Gives the job's exit code. Ctrl-C leaves the job running and raises KeyboardInterrupt. With `working_dir` that folder
    travels along, and the job runs in it. UserError if there is no such cluster, or it does not take the job.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    client = _client(address)
    environment: dict[str, Any] = {"working_dir": str(working_dir)} if working_dir else {}
    job = f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    _hand_over(client, address, job, shlex.join(["understock", *arguments]), environment)
    print(f"submitted as job {job}; Ctrl-C leaves it running", file=sys.stderr)
    try:
        return _follow(client, job)
    except KeyboardInterrupt:
        print(_goes_on(address, job), file=sys.stderr)
        raise
    except BrokenPipeError:  # of who read our stdout
        raise
    except _BROKEN as error:
        print(_goes_on(address, job), file=sys.stderr)
        raise UserError(f"the connection to {_shown(address)} broke: {_in_a_line(error)}") from None


def _goes_on(address: str, job: str) -> str:
    """How to follow and to stop a job that nobody here follows any more."""
    ray_job = f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} ray job"
    return (
        f"job {job} goes on; follow it with: {ray_job} logs --follow --address {_shown(address)} {job}\n"
        f"stop it with: {ray_job} stop --address {_shown(address)} {job}"
    )


class _Client(JobSubmissionClient):
    """Ray's client, with an end to each wait for an answer: Ray's own is for ever."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
        connect, answer = _REQUEST_SECONDS
        options.setdefault("timeout", (connect, _ANSWER_SECONDS if endpoint == "/api/version" else answer))
        return super()._do_request(method, endpoint, **options)


def _client(address: str) -> JobSubmissionClient:
    if not address.startswith(("http://", "https://")):
        raise UserError(
            f"--submit {_shown(address)}: expected the Ray dashboard's address, such as http://127.0.0.1:8265"
        )
    try:
        return _Client(address)
    except (*_BROKEN, ValueError) as error:
        raise UserError(f"no Ray dashboard to submit to at {_shown(address)}: {_in_a_line(error)}") from None


def _shown(text: str) -> str:
    """An address, or a message that has it, without the name and password that it may hold."""
    return re.sub(r"(?<=//)[^/@\s]+@", "", text)


def _in_a_line(error: Exception) -> str:
    """What an error says, without what an address in it may hold; where it says nothing, what it is called."""
    return _shown(" ".join(str(error).split())[:300] or type(error).__name__)


def _hand_over(client: JobSubmissionClient, address: str, job: str, command: str, environment: dict[str, Any]) -> None:
    """Submit the job once, over a connection that may break and a cluster that may still be starting."""
    deadline, lost = time.monotonic() + _PATIENCE_SECONDS, False
    while True:
        try:
            client.submit_job(entrypoint=command, submission_id=job, runtime_env=environment)
            return
        except (*_BROKEN, ValueError) as error:
            if lost and "already exists" in str(error):  # it was taken, and the answer was lost
                return
            lost = isinstance(error, OSError)
            if not lost or time.monotonic() > deadline:
                raise UserError(f"{_shown(address)} does not take the job: {_in_a_line(error)}") from None
        time.sleep(_ASKING_SECONDS)


def _follow(client: JobSubmissionClient, job: str) -> int:
    """Print the job's log as it grows; gives its exit code."""
    asyncio.run(_tail(client, job))
    while not (status := client.get_job_status(job)).is_terminal():  # its log may be cut off before its end
        time.sleep(_ASKING_SECONDS)
    if status == JobStatus.SUCCEEDED:
        return 0
    info = client.get_job_info(job)
    print(f"job {job} {status.value.lower()}: {info.message}", file=sys.stderr)
    return info.driver_exit_code or 1


async def _tail(client: JobSubmissionClient, job: str) -> None:
    """Print the job's log as it grows, until it ends, or the job has."""
    log = asyncio.create_task(_print_log(client, job))
    while not (await asyncio.wait([log], timeout=_STATUS_SECONDS))[0]:
        if client.get_job_status(job).is_terminal() and not (await asyncio.wait([log], timeout=_ASKING_SECONDS))[0]:
            print(f"the end of the log of job {job} did not come through", file=sys.stderr)
            log.cancel()
    with suppress(asyncio.CancelledError):
        await log


async def _print_log(client: JobSubmissionClient, job: str) -> None:
    async for lines in client.tail_job_logs(job):
        print(lines, end="", flush=True)
