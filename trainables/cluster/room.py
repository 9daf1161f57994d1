"""Room on the Ray cluster for what is to be trained: waiting for it, and noticing that it has gone."""

import sys
import time

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray
from ray.autoscaler.sdk import request_resources

from spaces.counts import plural
from spaces.errors import UserError
from trainables.cluster.crew import Crew

AUTOSCALER_PATIENCE = 15 * 60.0
"""Seconds that a cluster given by its address has to bring up the nodes that a training needs.

A Ray of our own, on this machine, gets none of that time: it will never bring up another node.
"""


class Room:
    """What a crew takes of the cluster, beside what its nodes have: Ray itself waits for room without an end, or a word."""

    def __init__(self, crew: Crew, what: str, patience: float, way_out: str) -> None:
        """There may be no room for `patience` seconds; `what` names the work in messages, and `way_out` ends the last one."""
        self._crew, self._what, self._patience, self._way_out = crew, what, patience, way_out
        self._gone_at: float | None = None

    def wait(self) -> None:
        """Wait until there is room; a cluster that brings up nodes when needed is asked to. Raises as `check` does."""
        if self.check():
            return
        request_resources(bundles=[self._crew.bundle] * self._crew.workers)
        try:
            while not self.check():
                time.sleep(min(1.0, self._patience))
        finally:
            request_resources(bundles=[])

    def check(self) -> bool:
        """Tell whether the nodes, were they idle, could hold the crew; where they can't, that is said, once.

        Raises UserError if they could not for `patience` seconds.
        """
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if _held(self._crew, nodes):
            self._gone_at = None
            return True
        now = time.monotonic()
        if self._gone_at is None:
            self._gone_at = now
            if self._patience:
                print(f"{self._what} takes {self._crew}; waiting for the cluster to bring up nodes", file=sys.stderr)
        if now - self._gone_at >= self._patience:
            raise UserError(
                f"{self._what} takes {self._crew}, and the cluster can't hold that: its nodes have "
                f"{_listed(nodes, self._crew)}; {self._way_out}"
            )
        return False


def _held(crew: Crew, nodes: list[dict[str, float]]) -> bool:
    """Tell whether nodes that have so much of each kind of resource, were they idle, could hold all workers of the crew."""
    return (
        sum(min(int(node.get(kind, 0) / need) for kind, need in crew.bundle.items()) for node in nodes) >= crew.workers
    )


def _listed(nodes: list[dict[str, float]], crew: Crew) -> str:
    """What the nodes have, in words; memory, which every machine has, where it is asked for."""
    found = []
    for node in nodes:
        memory = f" and {node.get('memory', 0) / 2**30:.4g} GiB" if crew.memory else ""
        found.append(f"{plural(node.get('CPU', 0), 'CPU')} and {plural(node.get('GPU', 0), 'GPU')}{memory}")
    return ", ".join(found) or "nothing"
