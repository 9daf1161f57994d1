import math

import pytest

from analysis.findings.thresholds import _at_first, cost_to_match, cost_to_reach, race, thresholds
from analysis.tables import evaluations, metric_of


def race_of(study):
    e = study.data
    return race(e.rows, e.gains[0], e.metric)


def test_thresholds_are_what_either_side_came_to_from_the_first_to_the_last_of_the_faster_one(study):
    e = study.data
    assert thresholds(e.rows, e.gains[0], e.metric) == [160, 110, 95, 80, 75]


def test_costs_are_those_at_the_first_evaluation_as_good_in_the_median_over_seeds(study):
    found = race_of(study)
    assert found["transfer_images"].tolist() == [100, 200, 200, 300, 350]
    assert found["scratch_images"].fillna(-1).tolist() == [300, 300, -1, -1, -1]
    assert found["transfer_seconds"].tolist() == [12, 24, 24, 36, 42]
    assert found[["transfer_reached", "scratch_reached"]].values.tolist() == [[2, 1], [2, 1], [2, 0], [2, 0], [2, 0]]


def test_what_scratch_never_reached_is_bounded_by_all_it_spent(study):
    found = race_of(study)
    assert found["bound"].tolist() == ["", "", "never", "never", "never"]
    assert found["speedup_images"].tolist() == pytest.approx([3, 1.5, 1.5, math.nan, math.nan], nan_ok=True)


def test_a_speed_up_is_at_least_so_much_where_transfer_was_better_at_its_first_evaluation(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [50, 90, 80])
    study.trial(1, "mdi", "both", [60, 70, 65], seed=1)
    study.trial(2, "scratch", "none", [100, 62, 61])
    e = study.data
    assert [_at_first(e.rows, e.gains[0].transfer, e.metric, value) for value in (62, 60)] == [True, False]


def test_the_speed_up_shrinks_as_the_papers_does(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [52, 40, 33, 28], pace=1)
    study.trial(1, "scratch", "none", [128, 60, 50, 35, 33, 30], pace=1)
    found = race_of(study).set_index("threshold")["speedup_images"]
    assert found.to_dict() == {52: 3, 50: 1.5, 40: 2, 33: pytest.approx(5 / 3), 30: 1.5, 28: 1.5}


def test_where_scratch_wins_the_thresholds_start_with_its_first_evaluation(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [100, 90])
    study.trial(1, "scratch", "none", [95, 50])
    found = race_of(study)
    assert found["threshold"].tolist() == [95, 90, 50]
    assert found["speedup_images"].iloc[:2].tolist() == [0.5, 1]
    assert math.isnan(found["speedup_images"].iloc[2])


def test_at_most_six_thresholds_with_the_first_and_the_last(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [200 - 2 * n for n in range(20)])
    study.trial(1, "scratch", "none", [210 - n for n in range(20)])
    found = race_of(study)["threshold"].tolist()
    assert (len(found), found[0], found[-1]) == (6, 200, 162)


def test_over_a_source_as_it_is_there_is_no_speed_up(unbeaten):
    found = race_of(unbeaten)
    assert found["threshold"].tolist() == [50]
    assert found[["transfer_images", "transfer_seconds"]].values.tolist() == [[0, 6]]
    assert found[["speedup_images", "speedup_seconds"]].isna().all(axis=None)


def test_a_source_as_it_is_can_lose_against_scratch(new_study):
    study = new_study()
    study.as_is(0, "mdi", 80)
    study.trial(1, "scratch", "none", [95, 70, 50])
    found = race_of(study)
    assert found["threshold"].tolist() == [95, 80, 70, 50]
    assert found["transfer_images"].fillna(-1).tolist() == [0, 0, -1, -1]


def test_what_scratch_needs_to_match_a_source_as_it_is(new_study, unbeaten):
    study = new_study(name="matched")
    study.as_is(0, "mdi", 80)
    for seed in (0, 1):
        study.trial(1 + seed, "scratch", "none", [95, 70 + 20 * seed, 60], seed=seed)
    e, behind = study.data, unbeaten.data
    assert cost_to_match(e.rows, e.gains[0], e.metric) == {"images_seen": 250, "seconds": 30}
    assert math.isnan(cost_to_match(behind.rows, behind.gains[0], behind.metric)["images_seen"])


def test_cost_to_reach_is_that_of_the_first_evaluation_as_good(study, table):
    rows, fd = evaluations(table), metric_of("fd", study.spec)
    assert cost_to_reach(rows, 0, fd, 90, "images_seen") == 200
    assert cost_to_reach(rows, 0, fd, 89, "seconds") == 36
    assert cost_to_reach(rows, 0, fd, 59, "images_seen") is None
    assert cost_to_reach(rows, 0, metric_of("iw", study.spec), -4, "images_seen") == 200
