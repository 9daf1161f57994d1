"""What a report says where scores at rungs are of fewer drawn images than at trials' ends."""

from typing import Any

import pytest

from analysis.contents import contents


def notes_of(study: Any, anchor: str) -> str:
    section = next(part for part in contents([study.data]) if part.anchor == anchor)
    return " ".join(section.blocks[0].notes)


@pytest.fixture
def halted(new_study: Any) -> Any:
    study = new_study()
    study.trial(0, "mdi", "both", [90, 80], drawn=[256, 1000])
    study.trial(1, "scratch", "none", [95], drawn=[256], status="stopped")
    return study


def test_learning_curves_say_that_their_ends_are_of_more_images(halted: Any) -> None:
    assert (
        "At a trial's end FD (efficientnet_lite0) is of 1,000 drawn images, at rungs of 256, carried on to as many"
    ) in notes_of(halted, "cost")
    assert "Dotted: the step between the two." in notes_of(halted, "cost")


def test_the_best_so_far_says_that_stopped_trials_have_the_score_of_a_rung(halted: Any) -> None:
    assert "A stopped trial's score is that of its last rung. At a trial's end" in notes_of(halted, "search")


def test_of_equally_many_images_everywhere_nothing_is_said(new_study: Any) -> None:
    study = new_study()
    study.trial(0, "mdi", "both", [90, 80])
    study.trial(1, "scratch", "none", [95], status="stopped")
    assert study.data.drawn == ""
    assert "Dotted" not in notes_of(study, "cost") and "last rung" not in notes_of(study, "search")


def test_what_fewer_images_do_depends_on_the_metric(new_study: Any, by_iw: Any) -> None:
    study = new_study(base=by_iw)
    study.trial(0, "mdi", "both", [None] * 2, iw=[-3.0, -2.0], drawn=[256, 1000])
    assert study.data.drawn.endswith("at rungs of 256, by which it comes out worse.")
