"""How Optuna draws the next trial of a study: at random, or by TPE on the best trials and the recent ones, or by NSGA-II.

TPE (tree-structured Parzen estimators, Bergstra et al., NeurIPS 2011) draws where good trials lie dense and others do
not. The conditions of a trial (how many target images, which ones, its seed) it neither sees nor draws: where a space
suggests them, they are drawn evenly. A trial that trained nothing (a source as it is, a baseline) would come out the same
again, so TPE takes it for one to keep away from, however good it was.
"""

import copy
import heapq
import warnings
from collections.abc import Container, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.fronts import places
from search.records.study import DEFAULT_TRIALS, StudySpec
from spaces.suggest import CONDITIONS
from spaces.trials import DEFAULT_METHOD, trains

GOOD = 25
"""How many trials TPE takes for good ones, at most."""

POPULATION = 50
"""Of a generation of NSGA-II, at most; a quarter of the trials where those are few, so that there are some generations."""

RECENT = 500
"""How many of the other trials TPE looks at: it weighs older ones down anyway, and its time grows with their number."""


def sampler(spec: StudySpec, trials_before: int) -> BaseSampler:
    """Make the sampler of a study with `trials_before` trials already; a grid is planned ahead, and draws nothing.

    Where what is known of transfer proposes trials, this one draws the rest of each.
    """
    # a resumed search goes on, rather than draw the same numbers again; NumPy takes 32 bits
    seed = (spec.seed + 1_000_003 * trials_before) % 2**32
    if spec.sampler in ("random", "grid"):
        return RandomSampler(seed=seed)
    startup = max(5, (spec.trials or DEFAULT_TRIALS) // 4)
    if spec.sampler == "nsga2":
        return NSGAIISampler(seed=seed, population_size=min(startup, POPULATION))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return RecentTPESampler(seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=startup)


class RecentTPESampler(TPESampler):
    """TPE on the best trials and the recent ones alone: TPE itself until there are more, and no slower after that."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._costs: dict[int, Cost] = {}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return super().infer_relative_search_space(self._window(study), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return super().sample_relative(self._window(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if param_name in CONDITIONS:
            return self._random_sampler.sample_independent(study, trial, param_name, param_distribution)
        return super().sample_independent(self._window(study), trial, param_name, param_distribution)

    def _window(self, study: optuna.Study) -> optuna.Study:
        return cast(optuna.Study, _Window(study, self._costs))


Cost = tuple[int, float, float]
"""What an ended trial is ordered by, lowest first, as in TPE itself.

The first number is 0 of a complete trial, 1 of a pruned one, 2 of one that reported nothing. Complete trials go on by
their value; pruned ones by how far they came, and then by their last score.
"""


class _Window:
    """A study that shows a sampler only some of its trials, without their conditions, and what there is no use in repeating.

    `costs`, of ended trials by number, is kept from one window to the next and filled here.
    """

    def __init__(self, study: optuna.Study, costs: dict[int, Cost]) -> None:
        self._study, self._costs = study, costs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        shown = map(_chosen, self._shown)
        return [trial for trial in shown if states is None or trial.state in states]

    @cached_property
    def _shown(self) -> list[FrozenTrial]:
        """All trials while they are few; then the good, the recent and the running ones, in order."""
        trials = self._study.get_trials(deepcopy=False)
        ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if len(ended) <= GOOD + RECENT:
            return trials
        good = self._good(ended)
        from_here = ended[-RECENT].number
        return [t for t in trials if t.number >= from_here or t.number in good or t.state is TrialState.RUNNING]

    def _good(self, ended: Sequence[FrozenTrial]) -> set[int]:
        """The numbers of the best, by the one score or by the fronts that they are on."""
        if len(self._study.directions) > 1:
            through = [trial for trial in ended if trial.state is TrialState.COMPLETE]
            signs = [1 if each == StudyDirection.MINIMIZE else -1 for each in self._study.directions]
            costs = np.array([trial.values for trial in through]).reshape(-1, len(signs)) * signs
            return {through[place].number for place in np.argsort(places(costs), kind="stable")[:GOOD]}
        for trial in ended:
            if trial.number not in self._costs:
                self._costs[trial.number] = self._cost(trial)
        return set(heapq.nsmallest(GOOD, self._costs, key=self._costs.__getitem__))

    def _cost(self, trial: FrozenTrial) -> Cost:
        sign = 1 if self._study.direction == StudyDirection.MINIMIZE else -1
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            return 0, sign * trial.value, 0.0
        steps = trial.intermediate_values
        return (1, -max(steps), sign * steps[max(steps)]) if steps else (2, 0.0, 0.0)


def _chosen(trial: FrozenTrial) -> FrozenTrial:
    """A trial by its choices alone; one that trained nothing as if it had been stopped before any score."""
    is_spent = trial.state is TrialState.COMPLETE and not trains(trial.params.get("method", DEFAULT_METHOD))
    if not is_spent and not any(name in trial.params for name in CONDITIONS):
        return trial
    shown = copy.copy(trial)
    if is_spent:
        shown.state, shown.values, shown.intermediate_values = TrialState.PRUNED, None, {}
    shown.params = {name: value for name, value in trial.params.items() if name not in CONDITIONS}
    shown.distributions = {name: kind for name, kind in trial.distributions.items() if name not in CONDITIONS}
    return shown
