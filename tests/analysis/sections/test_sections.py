"""What holds for all sections of a report, whatever its studies have."""

import pytest
from report_sections import ANCHORS, one_transfer, read


def test_the_ten_sections_stand_in_reading_order(found):
    assert list(found) == ANCHORS


@pytest.mark.slow
def test_several_studies_have_a_block_each_and_a_word_on_all(study, new_study):
    other = new_study(name="phosphor-2")
    other.trial(0, "scratch", "none", [50])
    other.trial(1, "mdi", "both", [60])
    found = read(study, other)
    assert [block.heading for block in found["answer"].blocks] == ["phosphor-1", "phosphor-2"]
    assert found["answer"].lead == (
        "Transfer is ahead of scratch at equal images in 1 of 2 studies that compare them: better by -20 % to 32 % of scratch's "
        "score; in 0 of them the interval over seeds leaves out zero."
    )
    assert found["protocol"].lead == "The studies have one target and were measured alike: their scores compare."
    assert found["matrix"].blocks[0].plots[0].figure.layout.xaxis.ticktext == ("phosphor-1", "phosphor-2")


def nothing(study):
    pass


def one_running_without_evaluation(study):
    study.trial(0, "mdi", "both", [], status="running")


def all_diverged_or_failed(study):
    study.trial(0, "mdi", "both", [90, None], status="diverged")
    study.trial(1, "scratch", "none", [], status="failed")


def all_metrics_missing(study):
    study.trial(0, "mdi", "both", [None, None])
    study.trial(1, "scratch", "none", [float("nan")])


@pytest.mark.parametrize("fill", [nothing, one_running_without_evaluation, all_diverged_or_failed, all_metrics_missing])
def test_without_a_score_each_finding_says_what_to_run(new_study, fill):
    study = new_study()
    fill(study)
    for anchor, section in read(study).items():
        said = "ot enough data" in section.lead and "`understock " in section.lead
        assert said or anchor == "protocol" or section.plots, section.lead


def one_scratch(study):
    study.trial(0, "scratch", "none", [90], iw=[-3])


def two_without_iw(study):
    study.trial(0, "mdi", "both", [90])
    study.trial(1, "scratch", "none", [90])


def without_scratch(study):
    for number in range(4):
        study.trial(number, "mdi", "both", [90 + number], iw=[-3 + number], seed=number)


@pytest.mark.parametrize("fill", [one_transfer, one_scratch, two_without_iw, without_scratch])
def test_thin_studies_have_every_section_and_admit_what_is_missing(new_study, fill):
    study = new_study(trials=1)
    fill(study)
    found = read(study)
    assert list(found) == ANCHORS
    assert any("ot enough data" in section.lead for section in found.values())


def only_sources_as_they_are(study):
    study.as_is(0, "mdi", 90, iw=-3)
    study.as_is(1, "twemoji", 80, iw=-4)


def one_source_as_it_is_and_a_failed_trial(study):
    study.as_is(0, "mdi", 90)
    study.trial(1, "mdi", "both", [], status="failed")


def as_it_is_against_scratch(study):
    study.as_is(0, "mdi", 90)
    study.trial(1, "scratch", "none", [80, 70])


@pytest.mark.parametrize(
    "fill", [only_sources_as_they_are, one_source_as_it_is_and_a_failed_trial, as_it_is_against_scratch]
)
def test_thin_studies_of_sources_as_they_are_have_every_section_and_admit_what_is_missing(new_study, fill):
    study = new_study(trials=2)
    fill(study)
    found = read(study)
    assert list(found) == ANCHORS
    assert any("ot enough data" in section.lead for section in found.values())
