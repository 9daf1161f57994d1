"""A Ray of our own that nobody else can reach: its processes listen on 127.0.0.1 alone.

By default Ray's processes listen on every interface of the machine: behind Ray's token, but open to all who can reach
it. Ray has a mode in which they do not, meant for macOS and Windows; on Linux the same environment variable turns it
on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import ray_constants


@contextmanager
def on_loopback() -> Iterator[None]:
    """Keep a Ray that is started in the block on loopback, this process included; it can't join another cluster."""
    variable, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    given = os.environ.get(variable)
    os.environ[variable] = "0"  # for the processes that Ray starts
    ray_constants.ENABLE_RAY_CLUSTER = False  # for this one, which may have imported Ray before
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(variable)
        if given is not None:
            os.environ[variable] = given
