"""A Ray of our own that nobody else can reach: its processes listen on 127.0.0.1 alone.

By default Ray's processes listen on every interface, behind its token but open to all who can reach the machine. Ray knows a
mode in which they do not, for macOS and Windows; on Linux the same variable turns it on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import ray_constants


@contextmanager
def on_loopback() -> Iterator[None]:
    """A Ray that is started inside the block stays on loopback, the driver too. Not for joining another cluster."""
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
