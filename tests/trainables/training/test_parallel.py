"""What workers do together, each a process of its own, under gloo on the CPU."""

import datetime
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from spaces.errors import UserError
from trainables.training.parallel import Group, WorkerLostError

ROWS = 5  # not divisible by two: one worker has three rows, the other two


def joined(rank: int, folder: str, rows: int = ROWS, seconds: float = 60) -> Group:
    timeout = datetime.timedelta(seconds=seconds)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2, timeout=timeout)
    return Group.current().of_batch(rows)


def test_one_worker_shares_and_averages_nothing() -> None:
    group, values, layer = Group.current().of_batch(4), [torch.ones(2)], nn.BatchNorm2d(1)
    group.average_(values)
    group.agree_on_statistics(layer)
    group.meet()
    assert group == Group(0, 1)
    assert torch.equal(group.share(torch.arange(4)), torch.arange(4))
    assert torch.equal(values[0], torch.ones(2))
    assert "forward" not in vars(layer)
    assert group.from_first(b"abc") == b"abc"


def _averaging(rank: int, folder: str) -> None:
    group = joined(rank, folder)
    values = torch.arange(10.0).reshape(ROWS, 2)
    part = group.share(values)
    means = [part.mean(0), part.sum(1).mean()]
    group.average_(means)
    torch.testing.assert_close(means[0], values.mean(0))
    torch.testing.assert_close(means[1], values.sum(1).mean())
    assert len(part) == 3 - rank, part
    assert group.from_first(b"first" if rank == 0 else b"other") == b"first"
    assert group.from_first(b"" if rank == 0 else b"other") == b""
    with pytest.raises(UserError, match="a batch of 1 can't be shared by 2 workers"):
        group.of_batch(1)
    _normalising(group)


def _normalising(group: Group) -> None:
    """Against torch's own batch norm of the whole batch, in float64, where only the order of sums differs."""
    torch.manual_seed(0)
    x = torch.randn(ROWS, 3, 4, 4, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1])[:, None, None] + 100
    weigh = torch.randn(ROWS, 3, 4, 4, dtype=torch.float64)
    whole, shared = (nn.BatchNorm2d(3, dtype=torch.float64) for _ in range(2))
    for layer in (whole, shared):
        layer.load_state_dict(layer.state_dict() | {"weight": torch.tensor([1.0, -2.0, 3.0]), "bias": torch.ones(3)})
    group.agree_on_statistics(shared)
    inputs, part = x.clone().requires_grad_(), group.share(x).clone().requires_grad_()
    outputs, ours = whole(inputs), shared(part)
    (outputs * weigh).mean((1, 2, 3)).square().mean().backward()
    (ours * group.share(weigh)).mean((1, 2, 3)).square().mean().backward()
    gradients = [p.grad for p in shared.parameters() if p.grad is not None]
    group.average_(gradients)
    expected = [p.grad for p in whole.parameters()]
    assert part.grad is not None and inputs.grad is not None
    close = {"rtol": 1e-9, "atol": 1e-11}
    torch.testing.assert_close(ours, group.share(outputs), **close)
    torch.testing.assert_close(part.grad * group.share_of_batch, group.share(inputs.grad), **close)
    torch.testing.assert_close(gradients, expected, **close)
    torch.testing.assert_close(dict(shared.named_buffers()), dict(whole.named_buffers()), **close)
    shared.eval()
    if group.rank == 0:
        shared(part)  # alone: no other worker takes part


@pytest.mark.slow
def test_means_statistics_and_gradients_are_those_of_all_rows(tmp_path: Path) -> None:
    mp.spawn(_averaging, (str(tmp_path),), nprocs=2, daemon=True)


def _waiting(rank: int, folder: str) -> None:
    (Path(folder) / f"here-{rank}").touch()
    while not (Path(folder) / f"here-{1 - rank}").exists():  # the second that a step may take bounds joining, too
        time.sleep(0.05)
    group = joined(rank, folder, seconds=1)
    if rank == 0:
        time.sleep(3)  # an evaluation, longer than a step may take
    group.meet()
    if rank == 1:
        with pytest.raises(WorkerLostError, match="lost or stuck"):
            group.average_([torch.ones(1)])  # the other never comes
        (Path(folder) / "noticed").touch()
    while not (Path(folder) / "noticed").exists():
        time.sleep(0.05)
    dist.destroy_process_group()  # PyTorch aborts a process that ends with an operation under way


@pytest.mark.slow
def test_an_evaluation_may_take_longer_than_a_step_and_a_stuck_worker_is_noticed(tmp_path: Path) -> None:
    mp.spawn(_waiting, (str(tmp_path),), nprocs=2, daemon=True)
