"""The loop: a learner takes steps, and each evaluation comes out of an iterator. It knows no Ray and takes no callbacks.

Between evaluations the iterator gives its progress, an item an iteration: who iterates shows it, looks at the memory, or
leaves.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from spaces.config import Budget
from trainables.images.batches import Batch
from trainables.training.learner import Learner, images_seen

EXPLODED = 1e6
"""A loss beyond this, either way, counts as divergence; healthy WGAN-GP losses stay below some hundreds."""


Status = Literal["running", "completed", "diverged"]


@dataclass(frozen=True)
class Evaluation:
    """One row of the evaluations table: how far a trial is, what it cost, how good it is."""

    status: Status
    images_seen: int
    iterations: int
    train_seconds: float
    """Spent in training steps, from the trial's start, resumed parts included."""
    wall_seconds: float
    """The same with evaluations."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """Means since the evaluation before."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Empty for a diverged trial."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """The protocol that the metrics were measured with."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def row(self) -> dict[str, Any]:
        """The values by column of the evaluations table, and the losses in a mapping of their own."""
        plain = self.as_dict()
        counted = {
            name: plain[name] for name in ("images_seen", "iterations", "train_seconds", "wall_seconds", "losses")
        }
        return counted | {**self.metrics, **self.record}


Evaluate = Callable[[Learner, bool], tuple[Mapping[str, float], Mapping[str, Any]]]
"""Of a learner, and whether this is its last evaluation: metrics, and the protocol they were measured with."""


@dataclass(frozen=True)
class Spent:
    """Seconds that earlier runs of the same trial took."""

    train_seconds: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class Progress:
    """How far a training is between two evaluations."""

    begun: int
    """Iterations begun, from 1."""
    iterations: int
    """That the whole budget takes."""


def evaluations(items: Iterable[Progress | Evaluation]) -> Iterator[Evaluation]:
    """The evaluations alone, for those who have no use for the progress."""
    return (item for item in items if isinstance(item, Evaluation))


def train(
    learner: Learner, batches: Iterator[Batch], budget: Budget, evaluate: Evaluate, spent: Spent | None = None
) -> Iterator[Progress | Evaluation]:
    """Train until the budget is spent, yielding an evaluation whenever the budget says that one is due.

    The last evaluation has status "completed", or "diverged" as soon as a loss is not finite or beyond EXPLODED; where
    losses are on another device than the CPU, at the evaluation. A learner that has nothing to train is evaluated once. `spent`
    is what earlier runs of the same trial took, which evaluated the untrained learner; None at a trial's start.
    """
    clock = _Clock(spent or Spent())
    if not learner.images_per_iteration:
        yield clock.evaluated(learner, evaluate, {}, "completed")
        return
    if budget.eval_start and spent is None:
        yield clock.evaluated(learner, evaluate, {}, "running")
        clock.resume()
    whole = math.ceil(budget.images / learner.images_per_iteration)
    losses: list[Mapping[str, Tensor]] = []
    due = budget.next_evaluation(images_seen(learner))
    while images_seen(learner) < budget.images:
        yield Progress(learner.iterations + 1, whole)
        losses.append(learner.step(next(batches)))
        done = images_seen(learner) >= budget.images
        if not done and images_seen(learner) < due and not _seen_to_diverge(losses[-1]):
            continue
        if _diverged(losses) or _broken(learner):
            yield clock.evaluated(learner, _unmeasured, _means(losses), "diverged")
            return
        yield clock.evaluated(learner, evaluate, _means(losses), "completed" if done else "running")
        clock.resume()
        losses, due = [], budget.next_evaluation(images_seen(learner))


class _Clock:
    """What a training costs: seconds of training alone, and with evaluations; earlier runs of the trial included."""

    def __init__(self, spent: Spent) -> None:
        self._spent = spent
        self._start = self._paused = time.perf_counter()
        self._elsewhere = 0.0
        """Seconds in evaluations, and with the caller after one."""

    def evaluated(
        self, learner: Learner, evaluate: Evaluate, losses: Mapping[str, float], status: Status
    ) -> Evaluation:
        """Evaluate, and give the evaluation with what everything has cost up to here."""
        self._paused = time.perf_counter()
        metrics, record = evaluate(learner, status == "completed")
        return Evaluation(
            status=status,
            images_seen=images_seen(learner),
            iterations=learner.iterations,
            train_seconds=self._spent.train_seconds + self._paused - self._start - self._elsewhere,
            wall_seconds=self._spent.wall_seconds + time.perf_counter() - self._start,
            losses=losses,
            metrics=metrics,
            record=record,
        )

    def resume(self) -> None:
        """Training goes on."""
        self._elsewhere += time.perf_counter() - self._paused


def _unmeasured(learner: Learner, last: bool) -> tuple[Mapping[str, float], Mapping[str, Any]]:
    """No metrics: those of a diverged learner say nothing."""
    return {}, {}


def _means(losses: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    return {name: float(torch.stack([step[name] for step in losses]).mean()) for name in losses[0]}


def _diverged(losses: Sequence[Mapping[str, Tensor]]) -> bool:
    """Whether any loss was not finite, or beyond EXPLODED."""
    every = torch.stack([value for step in losses for value in step.values()])
    return bool((~(every.abs() <= EXPLODED)).any())  # NaN compares false


def _seen_to_diverge(losses: Mapping[str, Tensor]) -> bool:
    """On the CPU at every step; elsewhere reading a loss would stall the device, so it waits for the evaluation."""
    return all(value.device.type == "cpu" for value in losses.values()) and _diverged([losses])


def _broken(learner: Learner) -> bool:
    """Whether a weight is not finite: the last step's loss cannot show what that step did."""
    return not all(bool(tensor.isfinite().all()) for tensor in learner.state_dict().values())
