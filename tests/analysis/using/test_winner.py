import pytest

from analysis.using.winner import model_path
from search.records.study import StudyPaths
from spaces.errors import UserError
from trainables.storage.home import Home


def test_a_study_and_a_trial_name_the_same_generator(home: Home, finished: StudyPaths) -> None:
    assert model_path(home, "s") == model_path(home, "s:0") == finished.trial(0) / "model"


@pytest.mark.parametrize(
    ("name", "said"), [("s:1", "left no generator"), ("s:x", "a number was expected"), ("t", "unknown study")]
)
def test_what_is_not_there_is_named(home: Home, finished: StudyPaths, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        model_path(home, name)
