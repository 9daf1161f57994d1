import pytest

from analysis.findings.spending import best_so_far, device_hours, rungs, whole_cost
from search.records.study import rung_images


def test_cost_adds_up_in_the_order_of_the_trials(study):
    e = study.data
    found = best_so_far(e.rows, e.spec, e.metric)
    assert (found["hours"] * 3600).tolist() == pytest.approx([48, 72, 120, 156, 180, 216, 216, 264])
    assert found["best"].tolist() == [60] * 8
    assert found["value"].fillna(-1).tolist() == [60, 130, 95, 110, 190, -1, -1, 75]


def test_the_best_so_far_never_gets_worse(new_study):
    study = new_study()
    for number, value in enumerate([90, 120, 70, None, 80]):
        study.trial(number, "mdi", "both", [value])
    e = study.data
    assert best_so_far(e.rows, e.spec, e.metric)["best"].tolist() == [90, 90, 70, 70, 70]


def test_images_that_are_handed_on_are_never_the_best_so_far(handed_on):
    e = handed_on.data
    found = best_so_far(e.rows, e.spec, e.metric)
    assert found["value"].tolist() == [90, 220, 50, 10, 30]
    assert found["best"].tolist() == [90, 90, 50, 50, 30]


def test_rungs_say_how_many_came_and_were_stopped_there(study):
    found = rungs(study.data.rows, study.spec)
    assert found.values.tolist() == [[0, 8, 0, 1], [100, 7, 1, 0], [300, 5, 1, 1], [400, 3, 0, 0]]


def test_the_rungs_count_every_trial_that_diverged_or_failed(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [], status="failed")
    study.trial(1, "mdi", "both", [90, None], status="diverged", every=50)
    study.trial(2, "mdi", "both", [None], status="diverged", every=50)
    study.as_is(3, "mdi", 80)
    found = rungs(study.data.rows, study.spec)
    assert found["reached"].tolist() == [3, 1, 0, 0]
    assert found["diverged_or_failed"].tolist() == [2, 1, 0, 0]


def test_without_early_stopping_the_budget_is_the_only_rung(new_study):
    assert rung_images(new_study(early_stopping=False).spec) == [400]


def test_hours_are_of_all_devices_of_a_trial(study):
    assert device_hours(study.spec) == ("core-hours", 1 / 3600)
    more = study.spec.model_copy(update={"workers_per_trial": 4, "threads_per_trial": 3})
    assert device_hours(more) == ("core-hours", 12 / 3600)
    assert device_hours(more.model_copy(update={"gpus_per_worker": 0.5})) == ("GPU-hours", 2 / 3600)


def test_the_whole_cost_is_that_of_every_trial_to_the_end(study):
    assert whole_cost(study.data.rows, study.spec) == pytest.approx(0.12 * 400 * 8 / 3600)


def test_a_source_as_it_is_comes_to_no_rung(baseline):
    assert rungs(baseline.data.rows, baseline.spec)["reached"].tolist() == [3, 3, 3, 2]


def test_a_source_as_it_is_costs_what_it_cost_whatever_the_budget(baseline):
    found = whole_cost(baseline.data.rows, baseline.spec)
    assert found == pytest.approx((0.12 * 400 * 3 + 6.0 * 2) / 3600)
