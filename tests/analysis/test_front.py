"""The front of a search by several goals, in numbers and in the report."""

import pytest

from analysis.commands import search_command
from analysis.contents import contents
from analysis.findings.covering import covered


@pytest.fixture
def front(new_study):
    study = new_study(front=("fd", "iw"))
    study.trial(0, "mdi", "both", [80, 60, 50, 40], iw=[-0.4] * 4)
    study.trial(1, "twemoji", "both", [90, 70, 60, 60], iw=[-0.4, -0.4, -0.4, -0.1])
    study.trial(2, "mnist", "both", [90, 80, 70, 70], iw=[-0.4] * 4)
    study.trial(3, "mdi", "both", [10], iw=[0.0], status="stopped")
    return study


def test_what_is_covered_grows_with_the_front_alone(front):
    found = covered(front.data.rows, front.spec, front.data.goals)
    assert found["front"].tolist() == [True, True, False, False]
    assert found["fd"].isna().tolist() == [False, False, False, True]
    # in units of fd 30 and iw 0.3, from the corner (1.1, 1.1): 1.1 x 0.1 alone, then (1.1 - 2/3) x 1 more
    assert found["covered"].tolist() == pytest.approx([0.11 / 1.21, *[(0.11 + 13 / 30) / 1.21] * 3])
    assert found["hours"].is_monotonic_increasing


def test_the_report_shows_the_front_and_what_one_pays(front):
    block = next(part for part in contents([front.data]) if part.anchor == "front").blocks[0]
    assert block.lead.startswith(
        "2 of 3 trials to the end are on the front of FD (efficientnet_lite0) and IW; it covers 45%"
    )
    assert "from trial 0 to trial 1: IW +0.3 for FD (efficientnet_lite0) +20 (50.0%)" in block.notes[0]
    assert [len(block.plots), block.sheets[0].caption] == [2, "The front"]
    assert "--metric fd,iw" in search_command(front.spec)


@pytest.mark.slow
def test_a_study_by_one_metric_has_no_such_section_and_an_empty_front_says_so(study, new_study):
    assert "front" not in [part.anchor for part in contents([study.data])]
    empty = new_study(front=("fd", "seconds"))
    block = next(part for part in contents([empty.data]) if part.anchor == "front").blocks[0]
    assert block.lead.startswith("Not enough data")
