from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from trainables.parallel import Group


def test_one_worker_shares_and_averages_nothing() -> None:
    group, values = Group.current(), [torch.ones(2)]
    group.average_(values)
    assert group == Group(0, 1)
    assert torch.equal(group.share(torch.arange(4)), torch.arange(4))
    assert torch.equal(values[0], torch.ones(2))


def _worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    group = Group.current()
    values = [torch.full((2, 3), float(rank)), torch.tensor(10.0 * rank)]
    group.average_(values)
    part = group.share(torch.arange(6))
    assert torch.equal(values[0], torch.full((2, 3), 0.5)), values
    assert values[1].item() == 5.0, values
    assert part.tolist() == [rank, rank + 2, rank + 4], part
    dist.destroy_process_group()


def test_two_workers_average_tensors_of_any_shape_and_split_a_batch(tmp_path: Path) -> None:
    mp.spawn(_worker, (str(tmp_path),), nprocs=2)
