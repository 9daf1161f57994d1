"""The Ray cluster that trainings run on: joining or starting it, removing what was left behind."""

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, chdir, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import grpc
import ray
from ray._private.services import canonicalize_bootstrap_address_or_die
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData  # type: ignore[attr-defined]
from ray.util.placement_group import PlacementGroup, remove_placement_group

from spaces.errors import UserError
from trainables.cluster.folders import own_token, ray_folder
from trainables.cluster.loopback import on_loopback
from trainables.cluster.ray_log import logged
from trainables.machine.imports import ours_first
from trainables.machine.interrupts import kept_interrupts

_ROOT = Path(__file__).resolve().parent.parent.parent
"""Where our packages are."""

_ADDRESS = re.compile(r"(?P<host>[^/:@\s]+|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")
_PROBE_SECONDS = 4.0
"""Twice at most: until somebody answers, and until it answers as a Ray does."""


@contextmanager
def connected(
    address: str | None,
    cpus: int,
    log: Path,
    *,
    memory: int = 0,
    dashboard: bool = False,
    go_on: str = "try again",
) -> Iterator[None]:
    """Have a running Ray in the block: the cluster at `address`, or one of our own on loopback, which ends with it.

    What Ray says meanwhile goes to the file `log`. One of our own has `cpus` CPUs at least and, if given, `memory` bytes to
    share out. `dashboard` serves its dashboard on loopback, and prints where. Raises UserError if there is no Ray at
    `address`, or if ours does not come up; `go_on` is what to do once that is mended.

    Ray has its workers import from the driver's working directory before all else: that is ours meanwhile. Through a
    runtime environment, which a working directory of a job comes in by, the workers are told to, at a second for each.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address or dashboard:
        options["runtime_env"] = {"env_vars": {"RAY_TRAIN_ENABLE_STATE_TRACKING": "1"}}  # fills the page of Train runs
        options["runtime_env"]["worker_process_setup_hook"] = ours_first(str(_ROOT), str(Path.cwd()))
    if address:
        address = _reachable(address, go_on)
    ours: AbstractContextManager[dict[str, Any]] = nullcontext({}) if address else _of_our_own(cpus, memory, dashboard)
    with ours as own:
        context = _begun(address, options | own, go_on)
        if dashboard:
            print(f"dashboard: http://{context.dashboard_url}{_with_token()}", file=sys.stderr)
        with logged(log):
            try:
                yield
            finally:
                ray.shutdown()


def _with_token() -> str:
    """Where the token is that the dashboard asks for: `ray get-auth-token` knows only one in the home directory."""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return ""
    if "RAY_AUTH_TOKEN" in os.environ:
        return ", with the token in $RAY_AUTH_TOKEN"
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return f", with the token in {path}" if path else ", with the token of: ray get-auth-token"


@contextmanager
def _of_our_own(cpus: int, memory: int, dashboard: bool) -> Iterator[dict[str, Any]]:
    """What Ray is to be told of a cluster on this machine, and what that needs."""
    options: dict[str, Any] = {"num_cpus": max(os.cpu_count() or 1, cpus), "include_dashboard": dashboard}
    options |= {"dashboard_host": "127.0.0.1"} | ({"_memory": memory} if memory else {})
    with ray_folder() as folder, own_token(folder):
        yield options | {"_temp_dir": str(folder)}


def _reachable(address: str, go_on: str) -> str:
    """The address of a Ray that answers; UserError if none does within some seconds: Ray itself would try for minutes."""
    try:
        found = canonicalize_bootstrap_address_or_die("auto") if address == "auto" else address
    except (ConnectionError, ValueError) as error:
        raise _no_ray(address, " ".join(str(error).split())[:200], go_on) from None
    # Through Ray's client what drives a search, its ledger and its view too, would be pickled and run over there.
    if found.startswith("ray://"):
        raise UserError(
            f"{found!r} is the address of a Ray Client, through which nothing can be trained: on a machine of the cluster give "
            "HOST:PORT, as `ray start --head` says it, or auto; elsewhere use search --submit http://HOST:8265"
        )
    parts = _ADDRESS.fullmatch(found)
    if parts is None:
        raise UserError(f"{address!r} is no address of a Ray; give HOST:PORT or auto")
    host, port = parts["host"], int(parts["port"])
    try:
        with socket.create_connection((host.strip("[]"), port), _PROBE_SECONDS):
            pass
    except (OSError, OverflowError, UnicodeError) as error:
        raise _no_ray(address, getattr(error, "strerror", None) or str(error) or "no answer", go_on) from None
    if not os.environ.get("RAY_USE_TLS", "0").strip("0"):
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=_PROBE_SECONDS)
            except grpc.FutureTimeoutError:
                raise _no_ray(address, "what listens there does not answer as a Ray does", go_on) from None
    return found


def _no_ray(address: str, reason: str, go_on: str) -> UserError:
    return UserError(f"no Ray to work with at {address}: {reason}; see `ray status`, then {go_on}")


def _begun(address: str | None, options: dict[str, Any], go_on: str) -> Any:
    """Ray's context, of a cluster that was joined or started; UserError if it can't be."""
    try:
        with nullcontext() if address else on_loopback(), kept_interrupts(), chdir(_ROOT):
            return ray.init(address=address or "local", **options)  # not whatever cluster $RAY_ADDRESS names
    except KeyboardInterrupt:
        ray.shutdown()
        raise
    except (ConnectionError, ValueError, ray.exceptions.AuthenticationError) as error:
        raise _no_ray(address or "this machine", " ".join(str(error).split())[:200], go_on) from None
    except Exception as error:
        if "timed out during startup" not in str(error):  # Ray has no class of its own for that
            raise
        raise UserError(
            "Ray did not start in the 30 s that it waits: this machine is too busy, or short of memory; end what else runs "
            f"on it (`top` shows that), then {go_on}"
        ) from None


def node_name() -> str:
    """Name the node that this process is on by its address and the start of Ray's id: a host may have several.

    Without a Ray it is the address alone: asked for an id, Ray would join the cluster that it saw last, dead or not.
    """
    address: str = ray.util.get_node_ip_address()
    return f"{address}-{ray.get_runtime_context().get_node_id()[:8]}" if ray.is_initialized() else address


def remove_orphaned_groups() -> int:
    """Remove this job's placement groups whose maker is dead, and give their number.

    A placement group is what Ray keeps free for a set of workers; a Ray Train controller makes one for its own. When
    its trial is stopped from outside, or is killed, Ray ends the controller but keeps the group, as the job goes on.
    Ray Train's own cleaner would need the dashboard to notice. Without a Ray there is none: asked, it would start one.
    """
    if not ray.is_initialized():
        return 0
    job = ray.get_runtime_context().get_job_id()
    removed = 0
    for raw in state._connect_and_get_accessor().get_placement_group_table():
        group = PlacementGroupTableData.FromString(raw)
        by_actor = bool(group.creator_actor_id.strip(b"\xff"))
        ours = by_actor and group.creator_actor_dead and group.creator_job_id.hex() == job
        if ours and group.state != PlacementGroupTableData.REMOVED:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(group.placement_group_id)))
            removed += 1
    return removed
