import itertools

import numpy as np
import pytest

from search.fronts import Member, exchanges, front_of, hypervolume, labelled, places, ranks, scored
from search.goals import goals_of
from spaces.errors import UserError

COSTS = np.array([[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [4.0, 4.0], [2.1, 2.1]])


def test_a_trial_is_ranked_by_how_many_fronts_lie_before_its_own() -> None:
    assert ranks(COSTS).tolist() == [0, 0, 0, 2, 3, 1]
    assert ranks(np.zeros((0, 2))).tolist() == []


def test_on_one_front_the_ends_come_before_the_crowded_middle_and_equals_before_none_of_each_other() -> None:
    line = np.array([[0.0, 3.0], [1.0, 2.0], [1.1, 1.9], [3.0, 0.0]])
    assert places(line).tolist() == [0, 3, 2, 0]
    assert places(np.ones((3, 2))).tolist()[0] == 0
    assert places(np.array([[1.0, 2.0], [2.0, 1.0]])).tolist() == [0, 0]


@pytest.mark.parametrize("goals", [2, 3])
def test_hypervolume_is_the_share_of_points_that_some_trial_beats(goals: int) -> None:
    costs = np.random.default_rng(goals).integers(0, 6, (7, goals)).astype(float)
    reference = np.full(goals, 5.0)
    cells = np.array(list(itertools.product(np.arange(0.5, 5), repeat=goals)))
    beaten = (costs[:, None] <= cells[None]).all(2).any(0).sum()
    assert hypervolume(costs, reference) == pytest.approx(beaten)
    assert hypervolume(costs + 9, reference) == 0


def test_members_of_a_front_and_what_one_pays_from_each_to_the_next() -> None:
    scores = [(300.0, -0.2), (310.0, -0.1), (320.0, -0.15)]
    rows = [
        {
            "trial": i,
            "status": "completed",
            "source": "dogs",
            "method": None,
            "transfer/parts": "both",
            "fd": fd,
            "iw": iw,
        }
        for i, (fd, iw) in enumerate(scores)
    ]
    rows += [{**rows[0], "trial": 3, "status": "stopped", "fd": 1.0}, {**rows[0], "trial": 4, "iw": None}]
    rows += [{**rows[0], "trial": 5, "method": "untranslated", "fd": 1.0}]  # which is no answer
    goals = ("fd", "iw")
    through = scored(rows, goals)
    assert [each.trial for each in through] == [0, 1, 2]
    front = front_of(through, goals)
    labels = labelled(goals, "inception")
    assert [each.trial for each in front] == [0, 1]
    assert front[0].said(labels) == "trial 0, dogs (both): FD (inception) 300, IW -0.2"
    assert exchanges(front, labels) == ["from trial 0 to trial 1: IW +0.1 for FD (inception) +10 (3.3%)"]
    assert front_of([Member(0, "a", {"fd": 1.0, "iw": 0.0})] * 1, goals)[0].trial == 0


@pytest.mark.parametrize(
    ("metric", "word"),
    [
        ("fd,fd", "there twice"),
        ("fd,nothing", "unknown metric 'nothing'"),
        ("fd,", "unknown metric ''"),
        ("seconds", "name a metric beside it"),
        ("fd,fid", "give both of one kind"),
        ("fd,mkd", "at a trial's end alone"),
        ("fd,kd,iw,copy_rate", "of 3 metrics at most"),
    ],
)
def test_metrics_that_make_no_front_are_refused_in_a_line(metric: str, word: str) -> None:
    with pytest.raises(UserError, match=word) as refused:
        goals_of(metric)
    assert "\n" not in str(refused.value)


def test_a_metric_comes_before_what_a_trial_costs() -> None:
    assert goals_of("seconds, fd") == ("fd", "seconds")
    assert goals_of("iw") == ("iw",)
