"""The workers that train one trial together; one, unless torch.distributed is up.

Every worker holds the whole state, draws the same random numbers for the whole batch, and computes its own share of the
rows. Means over the batch (losses, gradients, batch norm's statistics) are means over all workers' rows, so that any number
of workers follows one worker, but for the rounding of sums in another order. What decides how a trial goes on (losses,
weights) is the same on each, so they go on, diverge and stop together.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from spaces.errors import UserError

STEP_TIMEOUT = datetime.timedelta(minutes=10)
"""How long a worker waits for the others inside a step; to be given to `torch.distributed.init_process_group`."""

EVALUATION_TIMEOUT = datetime.timedelta(days=1)
"""How long the others wait while the first worker reads a checkpoint, evaluates and writes. A lost one is noticed at once."""


class WorkerLostError(RuntimeError):
    """Another worker of the trial is gone, or kept this one waiting for too long: no fault of the trial's configuration."""


@dataclass(frozen=True)
class Group:
    """This process's place among the workers of a trial."""

    rank: int = 0
    size: int = 1
    share_of_batch: float = 1.0
    """How much of the whole batch this worker's rows are."""
    patient: dist.ProcessGroup | None = None
    """For what takes as long as an evaluation, on the CPU."""

    @classmethod
    def current(cls) -> "Group":
        """The torch.distributed default group, or one worker where there is none. All workers have to call it."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls()
        patient = dist.new_group(backend="gloo", timeout=EVALUATION_TIMEOUT)
        assert isinstance(patient, dist.ProcessGroup), "this process is one of the group"
        rank, size = dist.get_rank(), dist.get_world_size()
        return cls(rank, size, 1 / size, patient)

    def of_batch(self, rows: int) -> "Group":
        """The same group for batches of so many rows; UserError if there are more workers than rows."""
        if rows < self.size:
            raise UserError(
                f"a batch of {rows} can't be shared by {self.size} workers; take fewer workers or a larger batch"
            )
        return replace(self, share_of_batch=len(range(self.rank, rows, self.size)) / rows)

    def share(self, batch: Tensor) -> Tensor:
        """This worker's part of a batch, every size-th row: (N, ...) -> (about N / size, ...)."""
        return batch[self.rank :: self.size]

    def whole(self, share: Tensor, rows: int) -> Tensor:
        """The batch of so many rows that every worker has its `share` of, on every worker: the inverse of `share`."""
        if self.size == 1:
            return share
        batch = share.new_zeros(rows, *share.shape[1:])
        batch[self.rank :: self.size] = share
        with _noticing_loss():
            dist.all_reduce(batch)
        return batch

    def average_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, a mean over this worker's rows, by that over all rows, in one all-reduce of them all."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).mul_(self.share_of_batch)
        with _noticing_loss():
            dist.all_reduce(flat)
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def means(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means over all rows of losses by name, scalars that are means over this worker's rows; without their graph."""
        found = torch.stack([loss.detach() for loss in losses.values()])
        self.average_([found])
        return dict(zip(losses, found, strict=True))

    def agree_on_statistics(self, network: nn.Module) -> None:
        """Let every BatchNorm2d of `network` normalise by the mean and variance of all workers' rows while it trains.

        From then on its forward pass is one that all workers take part in; in eval mode it stays each worker's own.
        """
        if self.size == 1:
            return
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.forward = partial(_batch_norm, layer, self.share_of_batch)  # type: ignore[method-assign]

    def from_first(self, data: bytes = b"") -> bytes:
        """The first worker's `data`, on every worker; waits for it."""
        if self.size == 1:
            return data
        size = torch.tensor(len(data))
        with _noticing_loss():
            dist.broadcast(size, 0, group=self.patient)
            buffer = torch.empty(int(size), dtype=torch.uint8)
            if self.rank == 0 and data:
                buffer.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
            if len(buffer):
                dist.broadcast(buffer, 0, group=self.patient)
        return buffer.numpy().tobytes()

    def meet(self) -> None:
        """Wait until every worker is here, for as long as an evaluation may take."""
        if self.size > 1:
            with _noticing_loss():
                dist.barrier(group=self.patient)


@contextmanager
def _noticing_loss() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise WorkerLostError(f"another worker of this trial is lost or stuck: {error}") from error


def _batch_norm(layer: nn.BatchNorm2d, share: float, x: Tensor) -> Tensor:
    """What `layer` does in training mode, with the statistics of all workers' rows: (n, c, h, w) -> (n, c, h, w)."""
    if not layer.training:
        return nn.BatchNorm2d.forward(layer, x)
    y, mean, variance, count = _AgreedNorm.apply(x, layer.weight, layer.bias, layer.eps, share)
    running_mean, running_var, momentum = layer.running_mean, layer.running_var, layer.momentum
    batches = layer.num_batches_tracked
    assert running_mean is not None and running_var is not None and batches is not None and momentum is not None
    with torch.no_grad():
        batches.add_(1)
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(variance * (count / (count - 1)), momentum)
    return y  # type: ignore[no-any-return]


class _AgreedNorm(torch.autograd.Function):
    """Batch norm over all workers' rows. Each worker's upstream gradient is that of its own rows' mean loss, and so are the
    gradients that it gives; `Group.average_` makes those of the weights whole.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, share: float
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        """The output, the mean and biased variance (c,) over all rows, and how many numbers those are of."""
        count = x.numel() // x.shape[1]
        values = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        mean = values.mean((0, 2, 3))
        variance = (values - _across(mean)).square_().mean((0, 2, 3))
        # In float64, as the variance of the whole is a small difference of large numbers where the mean is large.
        whole = torch.stack([mean.double(), variance.double() + mean.double().square()]) * share
        with _noticing_loss():
            dist.all_reduce(whole)
        mean, variance = whole[0].to(values.dtype), (whole[1] - whole[0].square()).clamp_(min=0).to(values.dtype)
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.count, ctx.share = count, share
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps), mean, variance, count / share

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        """Gradients of this worker's mean loss; those of x hold what its rows do to the others' through the statistics."""
        x, weight, mean, inverse_std = ctx.saved_tensors
        dy = grad.to(mean.dtype)
        normed = (x.to(mean.dtype) - _across(mean)).mul_(_across(inverse_std))
        sums = torch.stack([dy.sum((0, 2, 3)), (dy * normed).sum((0, 2, 3))])
        own = sums.clone()
        with _noticing_loss():
            dist.all_reduce(sums.mul_(ctx.share))
        through_mean, through_variance = (_across(each) / ctx.count for each in sums)
        dx = (dy - through_mean).sub_(normed.mul_(through_variance))
        if weight is None:  # a norm whose scale and shift come after it
            return dx.mul_(_across(inverse_std)).to(x.dtype), None, None, None, None
        dx.mul_(_across(weight * inverse_std))
        return dx.to(x.dtype), own[1].to(weight.dtype), own[0].to(weight.dtype), None, None


def _across(per_channel: Tensor) -> Tensor:
    """(c,) -> (c, 1, 1), to be broadcast over (n, c, h, w)."""
    return per_channel[:, None, None]
