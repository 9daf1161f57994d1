"""The loop: a learner takes steps, and each evaluation comes out of an iterator. It knows no Ray and takes no callbacks."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from spaces.config import Budget

EXPLODED = 1e6
"""A loss beyond this, either way, counts as divergence; healthy WGAN-GP losses stay below some hundreds."""


class Learner(Protocol):
    """What a method trains. `step` takes uint8 (n, 3, R, R) and returns scalar losses, on the device."""

    @property
    def images_seen(self) -> int: ...

    @property
    def images_per_iteration(self) -> int: ...

    iterations: int
    origin: str
    """What it started from, in a line: what was grafted, re-initialised and frozen."""

    def step(self, images: Tensor) -> dict[str, Tensor]: ...

    def sample(self, n: int, seed: int) -> Tensor: ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True)
class Evaluation:
    """One row of the evaluations table: how far a trial is, what it cost, how good it is."""

    status: Literal["running", "completed", "diverged"]
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
        """The values by column of the evaluations table."""
        plain = self.as_dict()
        return {name: plain[name] for name in ("images_seen", "iterations", "train_seconds", "wall_seconds")} | {
            **self.losses,
            **self.metrics,
            **self.record,
        }


Evaluate = Callable[[Learner], tuple[Mapping[str, float], Mapping[str, Any]]]
"""Metrics and the protocol they were measured with."""


@dataclass(frozen=True)
class Spent:
    """Seconds that earlier runs of the same trial took."""

    train_seconds: float = 0.0
    wall_seconds: float = 0.0


def train(
    learner: Learner, batches: Iterator[Tensor], budget: Budget, evaluate: Evaluate, spent: Spent | None = None
) -> Iterator[Evaluation]:
    """Train until the budget is spent, yielding an evaluation whenever another `eval_every_images` are through.

    `batches` gives uint8 (images_per_iteration, 3, R, R), on any device. The last evaluation has status "completed", or
    "diverged" as soon as a loss is not finite or beyond EXPLODED; where losses are on another device than the CPU, at the
    evaluation.
    """
    spent = spent or Spent()
    start, elsewhere = time.perf_counter(), 0.0  # elsewhere: in evaluations and with the caller
    losses: list[Mapping[str, Tensor]] = []
    while learner.images_seen < budget.images:
        due = learner.images_seen // budget.eval_every_images + 1
        losses.append(learner.step(next(batches)))
        done = learner.images_seen >= budget.images
        if not done and learner.images_seen < due * budget.eval_every_images and not _seen_to_diverge(losses[-1]):
            continue
        healthy = not (_diverged(losses) or _broken(learner))
        means = {name: float(torch.stack([step[name] for step in losses]).mean()) for name in losses[0]}
        losses = []
        paused = time.perf_counter()
        train_seconds = paused - start - elsewhere
        metrics, record = evaluate(learner) if healthy else ({}, {})
        yield Evaluation(
            status="diverged" if not healthy else "completed" if done else "running",
            images_seen=learner.images_seen,
            iterations=learner.iterations,
            train_seconds=spent.train_seconds + train_seconds,
            wall_seconds=spent.wall_seconds + time.perf_counter() - start,
            losses=means,
            metrics=metrics,
            record=record,
        )
        if not healthy:
            return
        elsewhere += time.perf_counter() - paused


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
