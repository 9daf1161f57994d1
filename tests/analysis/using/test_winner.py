import shutil

import pytest

from analysis.using.winner import model_path
from search.records.study import StudyPaths
from spaces.errors import UserError
from trainables.storage.home import Home


def test_a_study_and_a_trial_name_the_same_generator(home: Home, finished: StudyPaths) -> None:
    assert model_path(home, "s") == model_path(home, "s:0") == finished.trial(0) / "model"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s:1", "study 's' has no trial 1: it has 1 trial; see `understock status s`"),
        ("s:x", "the trial is 'x', a number was expected, as in s:3"),
        ("s:", "the trial is '', a number was expected, as in s:3"),
        (f"s:{'9' * 5_000}", "a number was expected"),
        (":1", "':1' names no study; give STUDY or STUDY:TRIAL"),
        ("t", "unknown study 't'"),
        ("t:1", "unknown study 't'"),
    ],
)
def test_what_is_not_there_is_named(home: Home, finished: StudyPaths, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        model_path(home, name)


def test_a_trial_that_failed_left_no_generator(home: Home, finished: StudyPaths) -> None:
    shutil.rmtree(finished.trial(0))
    with pytest.raises(UserError, match="trial 0 of study 's' left no generator"):
        model_path(home, "s:0")
