"""A search as a Ray job: it runs on the cluster, and goes on when this terminal is closed."""

import asyncio
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray.exceptions
from ray.job_submission import JobStatus, JobSubmissionClient

from spaces.errors import UserError

_ASKING_SECONDS = 1.0
"""Between two questions of the same kind to a cluster."""
_PATIENCE_SECONDS = 60.0
"""With a cluster whose connections break."""


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
        ray_job = f"RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} ray job"
        print(
            f"job {job} goes on; follow it with: {ray_job} logs --follow --address {_shown(address)} {job}\n"
            f"stop it with: {ray_job} stop --address {_shown(address)} {job}",
            file=sys.stderr,
        )
        raise


def _client(address: str) -> JobSubmissionClient:
    if not address.startswith(("http://", "https://")):
        raise UserError(
            f"--submit {_shown(address)}: expected the Ray dashboard's address, such as http://127.0.0.1:8265"
        )
    try:
        return JobSubmissionClient(address)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.AuthenticationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"no Ray dashboard to submit to at {_shown(address)}: {_shown(reason)}") from None


def _shown(text: str) -> str:
    """An address, or a message that has it, without the name and password that it may hold."""
    return re.sub(r"(?<=//)[^/@\s]+@", "", text)


def _hand_over(client: JobSubmissionClient, address: str, job: str, command: str, environment: dict[str, Any]) -> None:
    """Submit the job once, over a connection that may break and a cluster that may still be starting."""
    deadline, lost = time.monotonic() + _PATIENCE_SECONDS, False
    while True:
        try:
            client.submit_job(entrypoint=command, submission_id=job, runtime_env=environment)
            return
        except (RuntimeError, ValueError, OSError) as error:
            if lost and "already exists" in str(error):  # it was taken, and the answer was lost
                return
            lost = isinstance(error, OSError)
            if not lost or time.monotonic() > deadline:
                reason = " ".join(str(error).split())[:300]
                raise UserError(f"{_shown(address)} does not take the job: {_shown(reason)}") from None
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
    async for lines in client.tail_job_logs(job):
        print(lines, end="", flush=True)
