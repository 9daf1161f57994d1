"""The workers of one training meet at a store on the first worker's own address, and on no other interface.

PyTorch's own way, which Ray Train takes, opens that store on every interface of the machine, to whoever can reach it.
"""

import os
import socket
from datetime import timedelta

import psutil
import torch.distributed as dist

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray.train
import ray.util
from ray.train.collective import broadcast_from_rank_zero


def join_workers(backend: str, timeout: timedelta) -> None:
    """Make this Ray Train worker and the others the default group of torch.distributed; every worker has to call it.

    They talk over the interface of their node's address: on a Ray of our own, loopback. `backend` is "gloo" or "nccl";
    `timeout` is how long a worker waits for the others, here and in each later operation, before PyTorch raises an
    error.
    """
    own, context = ray.util.get_node_ip_address(), ray.train.get_context()
    rank, size = context.get_world_rank(), context.get_world_size()
    if interface := _interface(own):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
    listener = socket.create_server((own, 0)) if rank == 0 else None
    host, port = broadcast_from_rank_zero(listener.getsockname()[:2] if listener else None)
    handed_over = listener.detach() if listener else None
    store = dist.TCPStore(host, port, size, rank == 0, timeout, master_listen_fd=handed_over)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)


def _interface(address: str) -> str | None:
    """Find the network interface that has an address; None where the node goes by one that it does not have itself."""
    found = psutil.net_if_addrs().items()
    return next((name for name, each in found if address in {one.address for one in each}), None)
