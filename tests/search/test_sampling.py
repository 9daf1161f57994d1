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
