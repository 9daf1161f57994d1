"""What the evaluations table answers: the best trial, and the best of either side at equal budget."""

import math

import pytest

from analysis.tables import Score, cells, evaluations, summary, trials_frame
from search.records.results import load


def test_of_equal_trials_the_earlier_one_ranks_first(new_study):
    study = new_study()
    for number in (3, 1, 2):
        study.trial(number, "mdi", "both", [70])
    assert summary(load(study.paths.evaluations), study.spec).best.trial == 1


def test_summary_compares_at_the_most_images_that_both_sides_saw(study, table):
    answer = summary(table, study.spec)
    assert answer.best == Score(0, "mdi", "both", value=60, floor=20, images_seen=400, seconds=48)
    assert answer.transfer == Score(0, "mdi", "both", value=70, floor=20, images_seen=300, seconds=36)
    assert answer.scratch == Score(3, "scratch", "none", value=110, floor=20, images_seen=300, seconds=36)
    assert answer.gain == 40


def best_of_either_side(study):
    answer = summary(load(study.paths.evaluations), study.spec)
    return answer.budget, *((side.trial, side.value) for side in (answer.transfer, answer.scratch))


def test_at_equal_budget_the_best_of_each_side_stand_not_the_one_that_won_later(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [150, 60])
    study.trial(1, "mdi", "both", [100])
    study.trial(2, "scratch", "none", [120])
    assert best_of_either_side(study) == (100, (1, 100), (2, 120))
    assert summary(load(study.paths.evaluations), study.spec).gain == 20


def test_at_equal_budget_the_other_side_too_has_its_best_there(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, 50])
    study.trial(1, "scratch", "none", [80, 70, 55])
    study.trial(2, "scratch", "none", [85, 65, 60])
    assert best_of_either_side(study) == (200, (0, 50), (2, 65))


def test_a_budget_where_one_side_has_no_score_is_not_equal(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, None, 50])
    study.trial(1, "scratch", "none", [80, 70])
    assert best_of_either_side(study) == (100, (0, 90), (1, 80))


def test_sides_whose_evaluations_never_meet_do_not_compare(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90])
    study.trial(1, "scratch", "none", [80], every=150)
    answer = summary(load(study.paths.evaluations), study.spec)
    assert (answer.budget, answer.transfer, answer.scratch.trial, answer.gain) == (None, None, 1, None)


def test_each_side_counts_its_trials_with_the_best_ones_target_images(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [50], data={"target_images": 100})
    study.trial(1, "mdi", "both", [], status="failed", data={"target_images": 100})
    study.trial(2, "mdi", "both", [60])
    study.trial(3, "scratch", "none", [70], data={"target_images": 100})
    study.trial(4, "scratch", "none", [55])
    answer = summary(load(study.paths.evaluations), study.spec)
    assert (answer.transfer_trials, answer.scratch_trials, answer.scratch.trial) == (2, 1, 3)


def test_summary_counts_statuses_and_adds_up_wall_time(study, table):
    answer = summary(table, study.spec)
    assert answer.statuses == {"completed": 3, "stopped": 2, "running": 1, "diverged": 1, "failed": 1}
    assert answer.seconds == 12 * (4 + 2 + 4 + 3 + 2 + 3 + 4)


def test_a_score_is_the_last_evaluation_not_the_best_one(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [50, 90])
    study.trial(1, "mdi", "both", [99, 80])
    answer = summary(load(study.paths.evaluations), study.spec)
    assert (answer.best.trial, answer.best.value) == (1, 80)


def test_scratch_can_win(new_study):
    study = new_study()
    study.trial(0, "scratch", "none", [100, 50])
    study.trial(1, "mdi", "both", [90, 60, 55])
    answer = summary(load(study.paths.evaluations), study.spec)
    assert (answer.best.source, answer.best.value) == ("scratch", 50)
    assert (answer.transfer.value, answer.transfer.images_seen, answer.gain) == (60, 200, -10)


def test_the_best_trial_can_be_behind_scratch_at_equal_budget(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [300, 200, 50])
    study.trial(1, "scratch", "none", [250, 180])
    answer = summary(load(study.paths.evaluations), study.spec)
    assert (answer.best.value, answer.transfer.value, answer.scratch.value, answer.gain) == (50, 200, 180, -20)


def test_gain_is_positive_for_an_iw_nearer_zero(new_study, by_iw):
    study = new_study(base=by_iw)
    study.trial(0, "mdi", "both", [None], iw=[-2.0])
    study.trial(1, "scratch", "none", [None], iw=[-5.0])
    assert summary(load(study.paths.evaluations), study.spec).gain == 3


def test_only_trials_with_as_many_target_images_are_compared(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [60], data={"target_images": 1000})
    study.trial(1, "scratch", "none", [70], data={"target_images": 5000})
    study.trial(2, "scratch", "none", [90], data={"target_images": 1000})
    assert summary(load(study.paths.evaluations), study.spec).scratch.trial == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_a_metric_that_is_not_finite_is_no_score(new_study, value):
    study = new_study()
    study.trial(0, "mdi", "both", [50, value])
    assert summary(load(study.paths.evaluations), study.spec).best is None


def test_without_trials_the_answer_is_empty(new_study):
    study = new_study()
    table = load(study.paths.evaluations)
    answer = summary(table, study.spec)
    assert (answer.best, answer.budget, answer.transfer, answer.scratch, answer.gain) == (None,) * 5
    assert (answer.statuses, answer.seconds) == ({}, 0)
    assert (len(trials_frame(table, study.spec)), len(cells(evaluations(table), study.spec))) == (0, 0)


def test_with_one_side_only_there_is_no_comparison(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [50])
    answer = summary(load(study.paths.evaluations), study.spec)
    assert (answer.transfer.trial, answer.scratch, answer.gain) == (0, None, None)


def test_the_best_of_transfer_can_be_the_source_as_it_is(unbeaten):
    answer = summary(load(unbeaten.paths.evaluations), unbeaten.spec)
    assert answer.best == answer.transfer == Score(2, "mdi", "as is", value=50, floor=20, images_seen=0, seconds=6)
    assert (answer.budget, answer.scratch.value, answer.gain, answer.transfer_trials) == (200, 220, 170, 2)


def test_a_source_as_it_is_compares_whatever_the_number_of_target_images(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [60], data={"target_images": 1000})
    study.trial(1, "scratch", "none", [90], data={"target_images": 1000})
    study.trial(2, "scratch", "none", [40], data={"target_images": 5000}, status="diverged")
    study.as_is(3, "mdi", 50)
    answer = summary(load(study.paths.evaluations), study.spec)
    assert (answer.transfer.trial, answer.scratch.trial) == (3, 1)
    assert (answer.transfer_trials, answer.scratch_trials) == (2, 1)
