from collections.abc import Iterator, Mapping
from itertools import repeat

import pytest
import torch
from torch import Tensor

from spaces.config import Budget
from trainables.images.batches import Batch
from trainables.images.samples import Samples
from trainables.networks.models import Model
from trainables.training.loop import EXPLODED, Evaluation, Progress, Spent, evaluations, train

BATCHES = repeat(Batch(torch.zeros(10, 3, 4, 4, dtype=torch.uint8)))


class Counting:
    """A learner that sees 10 images a step and reports the losses it is told to."""

    images_per_iteration = 10
    origin = "nothing"

    def __init__(self, losses: Mapping[int, float] = {}) -> None:
        self.iterations, self._losses = 0, losses

    def step(self, batch: Batch) -> dict[str, Tensor]:
        self.iterations += 1
        return {"loss_d": torch.tensor(self._losses.get(self.iterations, float(self.iterations)))}

    def sample(self, n: int, seed: int) -> Samples:
        return Samples(torch.zeros(n, 3, 4, 4, dtype=torch.uint8))

    def model(self) -> Model:
        return Model({}, {})

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


def items(learner: Counting, images: int, every: int) -> Iterator[Progress | Evaluation]:
    return train(
        learner, BATCHES, Budget(images=images, eval_every_images=every), lambda *_: ({"fd": 1.0}, {"seed": 0})
    )


def run(learner: Counting, images: int, every: int) -> Iterator[Evaluation]:
    return evaluations(items(learner, images, every))


def test_evaluations_come_when_their_images_are_through_and_at_the_end() -> None:
    assert [(e.images_seen, e.status) for e in run(Counting(), 70, 30)] == [
        (30, "running"),
        (60, "running"),
        (70, "completed"),
    ]


def test_an_evaluation_comes_once_however_few_images_lie_between() -> None:
    assert [e.images_seen for e in run(Counting(), 30, 4)] == [10, 20, 30]


def test_losses_are_means_since_the_evaluation_before() -> None:
    assert [e.losses["loss_d"] for e in run(Counting(), 40, 20)] == [1.5, 3.5]


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -2 * EXPLODED])
def test_a_loss_that_is_not_finite_or_explodes_ends_the_trial(loss: float) -> None:
    *_, last = run(Counting({4: loss, 5: loss, 6: loss}), 100, 30)
    assert (last.status, last.metrics) == ("diverged", {})
    assert last.images_seen == 40


def test_a_weight_that_is_not_finite_is_divergence_whatever_the_loss_says() -> None:
    learner = Counting()
    learner.state_dict = lambda: {"w": torch.tensor([1.0, float("nan")])}  # type: ignore[method-assign]
    (only,) = run(learner, 10, 10)
    assert only.status == "diverged"


def test_a_spent_budget_trains_no_more() -> None:
    learner = Counting()
    learner.iterations = 5
    assert list(run(learner, 50, 10)) == []


def test_seconds_go_on_from_earlier_runs() -> None:
    budget = Budget(images=10, eval_every_images=10)
    (only,) = evaluations(train(Counting(), BATCHES, budget, lambda *_: ({}, {}), Spent(100.0, 200.0)))
    assert 100 < only.train_seconds < 110
    assert 200 < only.wall_seconds < 210


def test_a_row_holds_progress_losses_metrics_and_protocol() -> None:
    (only,) = run(Counting(), 10, 10)
    row = {"images_seen": 10, "iterations": 1, "losses": {"loss_d": 1.0}, "fd": 1.0, "seed": 0}
    assert row.items() <= only.row().items()


def test_progress_comes_before_each_iteration_and_counts_what_an_earlier_run_did() -> None:
    learner = Counting()
    learner.iterations = 2
    found = [item for item in items(learner, 45, 30) if isinstance(item, Progress)]
    assert found == [Progress(3, 5), Progress(4, 5), Progress(5, 5)]


def test_a_learner_that_has_nothing_to_train_is_evaluated_once() -> None:
    learner = Counting()
    learner.images_per_iteration = 0
    (only,) = items(learner, 100, 30)
    assert (only.status, only.images_seen, only.metrics) == ("completed", 0, {"fd": 1.0})  # type: ignore[union-attr]


def counted(budget: Budget, learner: Counting | None = None, spent: Spent | None = None) -> list[tuple[int, bool]]:
    """Images seen at each evaluation, and whether the evaluation was told to be the last."""
    told: list[bool] = []

    def evaluate(_: object, last: bool) -> tuple[dict[str, float], dict[str, int]]:
        told.append(last)
        return {}, {}

    seen = [e.images_seen for e in evaluations(train(learner or Counting(), BATCHES, budget, evaluate, spent))]
    return list(zip(seen, told, strict=True))


def test_evaluations_may_begin_with_the_untrained_learner_and_grow_apart() -> None:
    budget = Budget(images=300, eval_every_images=30, eval_growth=3, eval_start=True)
    assert counted(budget) == [(0, False), (30, False), (90, False), (270, False), (300, True)]


def test_the_last_evaluation_is_told_so_once_where_the_growth_meets_the_budget() -> None:
    assert counted(Budget(images=90, eval_every_images=30, eval_growth=3)) == [(30, False), (90, True)]


def test_a_resumed_trial_does_not_evaluate_its_start_again() -> None:
    learner = Counting()
    learner.iterations = 4
    budget = Budget(images=60, eval_every_images=20, eval_start=True)
    assert counted(budget, learner, Spent(1.0, 1.0)) == [(60, True)]
