from collections import Counter

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from search.sampling import GOOD, RECENT, RecentTPESampler, _Window

SPACE = {"x": FloatDistribution(-1, 1), "y": FloatDistribution(-1, 1)}


def with_trials(n: int, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Trials whose value gets worse with their number."""
    study = optuna.create_study(sampler=sampler)
    for number in range(n):
        x, y = (number * 37 % 101) / 101, (number * 53 % 103) / 103
        study.add_trial(create_trial(params={"x": x, "y": y}, distributions=SPACE, value=number + x))
    return study


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_until_there_are_many_trials_it_is_tpe() -> None:
    settings = {"seed": 3, "multivariate": True, "group": True, "constant_liar": True, "n_startup_trials": 5}
    drawn = [with_trials(60, kind(**settings)).ask(SPACE).params for kind in (RecentTPESampler, TPESampler)]
    assert drawn[0] == drawn[1]


def test_of_many_trials_the_best_and_the_recent_ones_are_seen() -> None:
    study = with_trials(GOOD + RECENT + 300, optuna.samplers.RandomSampler(seed=0))
    study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values={8: 1.0}))
    running = study.ask(SPACE).number
    seen = [trial.number for trial in _Window(study, {})._get_trials()]
    assert seen[:GOOD] == list(range(GOOD))
    assert seen[GOOD:] == list(range(GOOD + 301, running + 1))
    assert len(seen) == GOOD + RECENT + 1


def tpe() -> optuna.samplers.BaseSampler:
    return RecentTPESampler(seed=1, multivariate=True, group=True, constant_liar=True, n_startup_trials=5)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_conditions_that_a_space_suggests_are_drawn_evenly_whatever_they_score() -> None:
    study = optuna.create_study(sampler=tpe())
    for _ in range(60):
        trial = study.ask()
        cost = (trial.suggest_float("x", -1, 1) - 0.3) ** 2 + trial.suggest_int("seed", 0, 9)
        study.tell(trial, cost + 100 / trial.suggest_categorical("data/target_images", [10, 100, 1000]))
    late = [trial.params for trial in study.trials[20:]]
    sizes = Counter(trial["data/target_images"] for trial in late)
    assert min(sizes[size] for size in (10, 100, 1000)) >= 6
    assert len({trial["seed"] for trial in late}) >= 8


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_choices_are_optimised_beside_conditions() -> None:
    study = optuna.create_study(sampler=tpe())
    for _ in range(60):
        trial = study.ask()
        study.tell(trial, abs(trial.suggest_float("x", -1, 1) - 0.3) + 0.01 * trial.suggest_int("seed", 0, 1))
    near = [abs(trial.params["x"] - 0.3) < 0.2 for trial in study.trials[-20:]]
    assert sum(near) >= 10  # where 4 are due to chance


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("directions", [["minimize"], ["minimize", "maximize"]])
def test_what_trained_nothing_and_was_best_is_not_asked_for_again_and_again(directions: list[str]) -> None:
    study = optuna.create_study(sampler=tpe(), directions=directions)
    asked: Counter[str] = Counter()
    for _ in range(40):
        trial = study.ask()
        source = trial.suggest_categorical("source", ["near", "far"])
        cost = 1.0 if source == "near" else 2.0
        if trial.suggest_categorical("method", ["finetune", "as_is"]) == "as_is":
            asked[source] += 1
        else:
            cost += trial.suggest_float("optim/lr_g", 1e-4, 1e-2, log=True)
        study.tell(trial, [cost, -cost][: len(directions)])
    assert sum(asked.values()) <= 12, asked  # 32 where TPE is told how good they were
