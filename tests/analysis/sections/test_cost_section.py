"""What the section of the cost of a score says."""

import pytest
from report_sections import read


@pytest.mark.slow
def test_studies_of_which_none_has_a_score_that_both_sides_reached_are_told_apart_from_none_to_compare(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, 80])
    other = new_study()
    assert read(study, other)["cost"].lead == "No study has transfer and scratch to compare yet."
    study.trial(1, "scratch", "none", [300, 200])
    assert read(study, other)["cost"].lead == "In no study did transfer and scratch both come to one score."


def test_the_cost_of_a_score_is_told_loose_and_tight(found):
    section = found["cost"]
    assert section.lead == (
        "To FD (efficientnet_lite0) 160, the best configuration from mdi, both networks needs 100 images (12 s); scratch "
        "needs 3 times the images, and to 110 1.5 times the images: the speed-up shrinks as the score tightens; 75, which "
        "transfer reached, scratch never did."
    )
    assert [plot.heading for plot in section.plots] == [
        "Against images seen",
        "Against seconds of training and evaluation",
        "Against core-hours",
        "Speed-up by the score to reach",
    ]
    assert section.sheets[0].rows[1][:3] == ["110", "200", "24"]


def test_no_cost_is_told_by_a_metric_that_rungs_measure_by_fewer_images_and_the_protocol_says_so(new_study, by_iw):
    study = new_study(base=by_iw)
    study.trial(0, "mdi", "both", [None] * 2, iw=[-5.0, -2.0], drawn=[256, 1000])
    study.trial(1, "scratch", "none", [None] * 2, iw=[-6.0, -4.0], drawn=[256, 1000])
    sections = read(study)
    assert sections["cost"].lead.startswith("The cost to reach a score is not compared: IW depends on how many images")
    assert "IW is not carried on: only scores of equally many images are compared" in sections["protocol"].lead


def test_a_score_that_scratch_never_reached_is_told_with_what_it_spent(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [60, 50])
    study.trial(1, "scratch", "none", [300, 200, 190])
    assert read(study)["cost"].lead == (
        "The best configuration from mdi, both networks had FD (efficientnet_lite0) 60 after 100 images (12 s); scratch never "
        "did, in 3 times the images."
    )


def test_a_table_of_many_rows_is_cut_and_says_where_all_are(new_study):
    study = new_study()
    for number in range(6):
        study.trial(number, "mdi", "both", list(range(1000, 900, -1)), every=1)
    table = read(study)["cost"].sheets[-1]
    assert len(table.rows) == 500
    assert table.caption == "Every evaluation (the first 500 of 600; all: understock report phosphor-1 --format csv)"


@pytest.mark.slow
def test_a_source_as_it_is_costs_no_training_and_scratch_is_told_against_that(unbeaten):
    assert read(unbeaten)["cost"].lead == (
        "mdi as it is has FD (efficientnet_lite0) 50 without any training; scratch was not as good after 200 images (24 s)."
    )
    unbeaten.trial(3, "scratch", "none", [300, 90, 45])
    assert read(unbeaten)["cost"].lead == (
        "mdi as it is has FD (efficientnet_lite0) 50 without any training; scratch needs 300 images (36 s) to be as good."
    )
    unbeaten.trial(4, "scratch", "none", [300, 90, 52], seed=1)
    assert read(unbeaten)["cost"].lead.endswith("; not every seed of scratch was as good after 300 images (36 s).")
