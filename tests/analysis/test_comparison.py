import pytest

from analysis.comparison import compare
from analysis.study_data import StudyData


def both(one, other):
    return compare(*StudyData.of(one.home, [(study.paths, study.spec) for study in (one, other)]))


def test_the_studies_stand_beside_each_other(study, new_study):
    other = new_study(name="phosphor-2", space="source_by_parts")
    other.trial(0, "twemoji", "generator", [50, 40], optim={"lr_g": 0.5})
    rows = {what: cells for what, *cells in both(study, other).rows}
    assert rows["trials"] == ["8 of 8 trials", "1 of 8 trials"]
    assert rows["best score"] == ["60", "40"]
    assert rows["best trial"] == ["0, from mdi, both networks", "0, from twemoji, generator only"]
    assert rows["gain over scratch at equal images"] == ["35, 32 % (one seed)", "–"]
    assert rows["best trial's optim/lr_g"] == ["0.0001", "0.5"]


def test_the_one_ahead_is_so_at_equal_images(study, new_study):
    other = new_study(name="phosphor-2")
    other.trial(0, "twemoji", "both", [100, 99])
    assert both(study, other).verdict == (
        "at 200 images seen phosphor-1 is ahead of phosphor-2 by 6.5 (92.5 against 99); one seed on a side, so how much of it "
        "is chance is not known"
    )


@pytest.mark.parametrize(
    ("values", "told"), [([(50, 51), (90, 91)], ""), ([(50, 90), (60, 99)], "do not tell from chance")]
)
def test_the_interval_over_seeds_says_what_is_chance(new_study, values, told):
    studies = [new_study(name=f"s-{n}") for n in (0, 1)]
    for study, scores in zip(studies, values, strict=True):
        for seed, value in enumerate(scores):
            study.trial(seed, "mdi", "both", [value], seed=seed)
    verdict = both(*studies).verdict
    assert "95 % interval" in verdict
    assert verdict.endswith(told) and ("chance" in verdict) == bool(told)


def test_equal_scores_are_a_tie(new_study):
    studies = [new_study(name=f"s-{n}") for n in (0, 1)]
    for study in studies:
        study.trial(0, "mdi", "both", [50])
    assert both(*studies).verdict == "a tie at 100 images seen: both have 50"


def test_no_winner_is_named_between_unequal_protocols(study, new_study):
    other = new_study(name="phosphor-2")
    other.trial(0, "mdi", "both", [1], facts={"input_size": 96})
    found = both(study, other)
    assert found.verdict == ""
    assert (
        found.caution
        == "the studies were not measured alike (pixels a side at the extractor differ): their scores do not compare"
    )


def test_no_winner_is_named_between_different_targets(study, new_study):
    base = study.spec.base.model_dump() | {"target": "remix"}
    other = new_study(name="remix-1", target="remix", base=base, digests={"domain:remix": "d9"})
    other.trial(0, "mdi", "both", [1])
    assert both(study, other).caution == "the studies have different targets: gains and ranks compare, scores do not"


def test_a_domain_that_was_changed_is_another_target(study, new_study):
    other = new_study(name="phosphor-2", digests={"domain:phosphor": "other"})
    other.trial(0, "mdi", "both", [1])
    assert both(study, other).caution


def test_without_scores_nobody_is_ahead(new_study):
    assert "not enough data" in both(new_study(name="a"), new_study(name="b")).verdict


def test_a_source_as_it_is_compares_at_the_images_that_the_other_has_seen(unbeaten, new_study):
    other = new_study(name="phosphor-2")
    other.trial(0, "twemoji", "both", [100, 99])
    found = both(unbeaten, other)
    assert found.verdict.startswith("at 200 images seen unbeaten is ahead of phosphor-2 by 49 (50 against 99)")
    rows = {what: cells for what, *cells in found.rows}
    assert rows["best trial"] == ["2, mdi as it is", "0, from twemoji, both networks"]
    assert rows["gain of training over the source as it is"] == ["-40, -80 % (one seed)", "–"]
    assert not [what for what in rows if what.startswith("best trial's optim")]


def test_sources_as_they_are_compare_before_any_image(new_study):
    studies = [new_study(name=f"s-{n}") for n in (0, 1)]
    for place, study in enumerate(studies):
        study.as_is(0, "mdi", 50 + place)
    assert both(*studies).verdict == (
        "at 0 images seen s-0 is ahead of s-1 by 1 (50 against 51); neither was trained, so there are no seeds of a training to "
        "tell it from chance by"
    )


def test_without_scores_on_one_side_nobody_is_ahead(unbeaten, new_study):
    assert "not enough data" in both(unbeaten, new_study(name="b")).verdict


def test_no_winner_is_named_between_unequally_many_drawn_images_where_that_matters(new_study, by_iw):
    short, long = new_study(name="short", base=by_iw), new_study(name="long", base=by_iw)
    short.trial(0, "mdi", "both", [None] * 2, iw=[-5.0, -2.0], drawn=[256, 1000])
    long.trial(0, "mdi", "both", [None] * 3, iw=[-5.0, -3.0, -1.0], drawn=[256, 256, 1000])
    assert both(short, long).verdict.startswith(
        "no comparison at 200 images seen: IW depends on how many images are drawn"
    )


def test_images_that_are_handed_on_are_ahead_of_nothing(handed_on, new_study):
    other = new_study(name="phosphor-2")
    other.trial(0, "twemoji", "both", [100, 20])
    found = both(handed_on, other)
    assert found.verdict.startswith(
        "at 200 images seen phosphor-2 is ahead of handed-on by 10 (20 against 30); one seed"
    )
    rows = {what: cells for what, *cells in found.rows}
    assert rows["best score"] == ["30", "20"]
    assert rows["gain of training over the best that trains nothing"] == ["-80, -800 % (one seed)", "–"]


def test_a_study_that_only_hands_images_on_has_nothing_to_compare(study, new_study):
    other = new_study(name="phosphor-2")
    other.untrained(0, "untranslated", "mdi", 10)
    assert both(study, other).verdict == (
        "not enough data: both studies need a trial that makes images, with a score at equal images"
    )
