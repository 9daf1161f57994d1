"""Syne Tune's transfer schedulers on a replay; they are there if `syne-tune` is (the extra `bench`)."""

import contextlib
import copy
import io
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.search_efficiency.replay import Replay
from benchmarks.search_efficiency.table import Target
from benchmarks.search_efficiency.ways import DEFAULT_RATES, Others, Way

METRIC = "score"
RATES = "rates"
"""Both learning rates, as one choice: not all pairs were recorded."""

Scheduler = Any
Tasks = Mapping[str, Any]


def there() -> bool:
    """Whether Syne Tune can be imported, with what its transfer schedulers want."""
    try:
        import syne_tune.optimizer.schedulers.transfer_learning.zero_shot  # noqa: F401
    except ImportError:
        return False
    return True


def space_of(target: Target) -> dict[str, Any]:
    """The grid, flat: one choice of all arms, one of the pairs of rates."""
    from syne_tune.config_space import choice

    arms = sorted({str(cell.arm) for cell in target.cells})
    return {"arm": choice(arms), RATES: choice(sorted(map(str, target.pairs)))}


def tasks_of(others: Others, space: Mapping[str, Any]) -> Tasks:
    """The other targets' grids as Syne Tune takes them: last scores alone, of the arms that this target has too."""
    import pandas as pd
    from syne_tune.optimizer.schedulers.transfer_learning import transfer_learning_task_evaluation as evaluation

    found = {}
    for other in others:
        cells = [
            cell
            for cell in other.cells
            if str(cell.arm) in space["arm"].categories
            and np.isfinite(cell.true)
            and str(cell.rates or DEFAULT_RATES) in space[RATES].categories
        ]
        rows = [{"arm": str(cell.arm), RATES: str(cell.rates or DEFAULT_RATES)} for cell in cells]
        if rows:
            scores = np.array([cell.true for cell in cells]).reshape(-1, 1, 1, 1)
            found[other.name] = evaluation.TransferLearningTaskEvaluations(space, pd.DataFrame(rows), [METRIC], scores)
    return found


def zero_shot(space: dict[str, Any], tasks: Tasks, seed: int) -> Callable[[], Mapping[str, Any] | None]:
    """Wistuba et al. 2015, with surrogates: not every arm was tried on every target."""
    from syne_tune.optimizer.schedulers.transfer_learning.zero_shot import ZeroShotTransfer

    class Mended(ZeroShotTransfer):
        random_state = np.random.RandomState(seed)

    return Mended(space, METRIC, tasks, use_surrogates=len(tasks) > 1, random_seed=seed).get_config


def bounding_box(space: dict[str, Any], tasks: Tasks, seed: int) -> Callable[[], Mapping[str, Any] | None]:
    """Perrone et al. 2019: random search among what was best elsewhere."""
    from syne_tune.optimizer.baselines import RandomSearch
    from syne_tune.optimizer.schedulers.transfer_learning.bounding_box import BoundingBox

    def inner(box: dict[str, Any], metric: str, minimize: bool, inner_seed: int) -> Scheduler:
        return RandomSearch(box, [metric], minimize, random_seed=inner_seed)

    scheduler = BoundingBox(inner, space, METRIC, tasks, num_hyperparameters_per_task=3, random_seed=seed)
    return lambda: _config(scheduler.suggest())


def quantiles(space: dict[str, Any], tasks: Tasks, seed: int) -> Callable[[], Mapping[str, Any] | None]:
    """Salinas et al. 2020: Thompson sampling of a surrogate of the other targets' quantiles."""
    searcher = copy.copy(_surrogate(json.dumps([sorted(tasks), space["arm"].categories]), space, tasks))
    searcher.random_state = np.random.RandomState(seed)
    return searcher.suggest


_SURROGATES: dict[str, Any] = {}


def _surrogate(key: str, space: dict[str, Any], tasks: Tasks) -> Any:
    """Fitted once for all seeds: it takes its 100,000 candidates ten seconds to be drawn."""
    from syne_tune.optimizer.schedulers.transfer_learning.quantile_based.quantile_based_searcher import (
        QuantileBasedSurrogateSearcher,
    )

    if key not in _SURROGATES:
        _SURROGATES[key] = QuantileBasedSurrogateSearcher(space, tasks, random_seed=0)
    return _SURROGATES[key]


def _config(suggestion: Any) -> Mapping[str, Any] | None:
    return None if suggestion is None else suggestion.config


def by_syne_tune(replay: Replay, others: Others, propose: Callable[..., Any]) -> None:
    """Whole trials as the scheduler proposes them, until it has nothing more; none of these looks at what came of them."""
    space = space_of(replay.target)
    tasks = tasks_of(others, space)
    if not tasks:
        return
    arms = {str(cell.arm): cell.arm for cell in replay.target.cells}
    pairs = {str(pair): pair for pair in replay.target.pairs}
    with contextlib.redirect_stdout(io.StringIO()):  # fitting is not charged
        np.random.seed(replay.seed)
        ask = propose(space, tasks, replay.seed)
    while not replay.over:
        with replay.thinking():
            config = ask()
        if config is None:
            return
        replay.to_the_end(replay.target.nearest(arms[config["arm"]], pairs[config[RATES]]))


PEERS: Mapping[str, Way] = {
    "Syne Tune: zero-shot": partial(by_syne_tune, propose=zero_shot),
    "Syne Tune: bounding box": partial(by_syne_tune, propose=bounding_box),
    "Syne Tune: quantiles": partial(by_syne_tune, propose=quantiles),
}
