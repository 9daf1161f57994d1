import math

import pytest

from analysis.findings.thresholds import race, thresholds


def race_of(study):
    e = study.evidence
    return race(e.rows, e.gains[0], e.metric)


def test_thresholds_are_what_the_slower_side_came_to_and_the_last_of_the_faster_one(study):
    e = study.evidence
    assert thresholds(e.rows, e.gains[0], e.metric) == [400, 220, 110, 75]


def test_costs_are_those_at_the_first_evaluation_as_good_in_the_median_over_seeds(study):
    found = race_of(study)
    assert found["transfer_images"].tolist() == [100, 100, 200, 350]
    assert found["scratch_images"].fillna(-1).tolist() == [100, 200, 300, -1]
    assert found["transfer_seconds"].tolist() == [10, 10, 20, 35]
    assert found[["transfer_reached", "scratch_reached"]].values.tolist() == [[2, 1], [2, 1], [2, 1], [2, 0]]


def test_speed_ups_are_bounds_where_transfer_was_there_at_once_or_scratch_never(study):
    found = race_of(study)
    assert found["bound"].tolist() == ["at least", "at least", "", "never"]
    assert found["speedup_images"].tolist() == pytest.approx([1, 2, 1.5, 300 / 350])


def test_the_speed_up_shrinks_as_the_papers_does(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [52, 40, 33, 28], pace=1)
    study.trial(1, "scratch", "none", [128, 60, 50, 35, 33, 30], pace=1)
    found = race_of(study).set_index("threshold")["speedup_images"]
    assert found[50] == 1.5
    assert found[33] == pytest.approx(5 / 3)


def test_where_scratch_wins_the_thresholds_are_transfers(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [100, 90])
    study.trial(1, "scratch", "none", [95, 50])
    found = race_of(study)
    assert found["threshold"].tolist() == [100, 90, 50]
    assert found["speedup_images"].iloc[:2].tolist() == [1, 1]
    assert math.isnan(found["speedup_images"].iloc[2])


def test_at_most_six_thresholds_with_the_first_and_the_last(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [50] * 20)
    study.trial(1, "scratch", "none", [200 - n for n in range(20)])
    found = race_of(study)["threshold"].tolist()
    assert (len(found), found[0], found[-1]) == (6, 200, 50)
