"""What `understock confirm` says of a winner beside its fresh seeds."""

from shutil import copytree
from typing import Any

import pytest

from analysis.confirming import check_scored, lines
from search.records.results import load
from spaces.errors import UserError
from trainables.storage.home import Home
from verbs.picking import confirm_winner


def told(study: Any, *confirmed: Any, trial: int = 0) -> list[str]:
    return lines(load(study.paths.evaluations), study.spec, trial, [load(each.paths.evaluations) for each in confirmed])


def seeds(new_study: Any, *scores: float | None) -> list[Any]:
    """A study a fresh seed, that came to that score."""
    studies = [new_study(name=f"confirm-{number}") for number in range(len(scores))]
    for study, score in zip(studies, scores, strict=True):
        study.trial(0, "mdi", "both", [score])
    return studies


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ((66.0,), "10% worse than it was chosen by"),
        ((54.0,), "10% better than it was chosen by"),
        ((59.0, 61.0), "equal to what it was chosen by"),
        ((60.1,), "less than 1% worse than it was chosen by"),
    ],
)
def test_fresh_seeds_are_held_against_the_score_that_chose(new_study: Any, scores: Any, said: str) -> None:
    study = new_study()
    study.trial(0, "mdi", "both", [60.0])
    assert told(study, *seeds(new_study, *scores))[1].endswith(f": {said}")


def test_a_score_of_zero_has_no_share(new_study: Any, by_iw: Any) -> None:
    study, fresh = new_study(base=by_iw), new_study(name="confirm-0", base=by_iw)
    study.trial(0, "mdi", "both", [None], iw=[0.0])
    fresh.trial(0, "mdi", "both", [None], iw=[-0.25])
    assert told(study, fresh)[1].endswith(": 0.25 worse than it was chosen by")


def test_a_fresh_seed_without_a_number_came_to_no_score(new_study: Any) -> None:
    study = new_study()
    study.trial(0, "mdi", "both", [60.0])
    assert (
        "66 in the mean of 1 fresh seed, scored on fresh z (66); 1 came to no score: 10% worse"
        in (told(study, *seeds(new_study, 66.0, None))[1])
    )


def test_the_mean_over_seeds_is_of_trials_that_went_as_far(new_study: Any) -> None:
    study = new_study()
    study.trial(0, "mdi", "both", [90.0, 60.0])
    study.trial(1, "mdi", "both", [95.0, 70.0], seed=1)
    study.trial(2, "mdi", "both", [300.0], seed=2, status="stopped")
    study.trial(3, "mdi", "both", [80.0, None], seed=3)
    assert told(study)[0].endswith(" 60, 65 in the mean of 2 seeds")


@pytest.mark.parametrize(
    ("score", "status", "why"),
    [(40.0, "diverged", "diverged"), (None, "completed", "completed, FD (efficientnet_lite0) not measured")],
)
def test_a_trial_without_a_score_is_refused_before_anything_is_trained(
    new_study: Any, score: float | None, status: Any, why: str
) -> None:
    study = new_study()
    study.trial(0, "mdi", "both", [90.0])
    study.trial(1, "mdi", "both", [score], status=status, seed=1)
    with pytest.raises(UserError) as refused:
        check_scored(load(study.paths.evaluations), study.spec, 1)
    assert str(refused.value) == (
        f"trial 1 of study 'phosphor-1' has no score to confirm ({why}); give one that has, see `understock status phosphor-1`"
    )
    check_scored(load(study.paths.evaluations), study.spec, 0)


def test_the_verb_refuses_it_too(new_study: Any, home: Home) -> None:
    study = new_study()
    study.trial(0, "mdi", "both", [40.0], status="diverged")
    copytree(study.paths.root, home.root / "studies" / "phosphor-1")
    with pytest.raises(UserError, match="has no score to confirm"):
        confirm_winner(home, "phosphor-1:0", 1)
