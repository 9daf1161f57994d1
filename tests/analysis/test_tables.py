import math

import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from analysis import tables
from analysis.findings.agreement import agreement, disagreements
from analysis.findings.thresholds import cost_to_reach
from analysis.tables import (
    Score,
    at_budget,
    cells,
    evaluations,
    front,
    protocol,
    ranking,
    settings,
    summary,
    trials_frame,
)
from search.records.results import load
from spaces.protocol import EARLIER_IW


@pytest.fixture
def table(study):
    return load(study.paths.evaluations)


def metric_of(name, study):
    return tables.metric_of(name, study.spec)


def base(protocol):
    budget = {"images": 400, "eval_every_images": 100}
    return {"target": "phosphor", "source": "scratch", "network": {}, "budget": budget, "protocol": protocol}


@pytest.mark.parametrize(
    ("name", "extractor", "label", "goal"),
    [
        ("fid", "inception", "FID", "lower is better"),
        ("kid", "inception", "KID", "lower is better"),
        ("fd", "efficientnet_lite0", "FD (efficientnet_lite0)", "lower is better"),
        ("kd", "efficientnet_lite0", "KD (efficientnet_lite0)", "lower is better"),
        ("iw", "efficientnet_lite0", "IW", "nearer 0 is better"),
    ],
)
def test_only_inception_metrics_are_called_fid_and_kid(new_study, name, extractor, label, goal):
    study = new_study(base=base({"metrics": [name], "extractor": extractor}))
    metric = metric_of(name, study)
    assert (metric.label, metric.goal) == (label, goal)


def test_trials_frame_has_each_trials_last_evaluation(study, table):
    frame = trials_frame(table, study.spec)
    assert list(frame.columns) == [
        "trial",
        "source",
        "way",
        "fd",
        "kd",
        "iw",
        "copy_rate",
        "images_seen",
        "seconds",
        "status",
        "optim/lr_g",
        "seed",
        "error",
    ]
    assert frame["trial"].tolist() == list(range(8))
    assert frame["fd"].fillna(-1).tolist() == [60, 130, 95, 110, 190, -1, -1, 75]
    assert frame["images_seen"].tolist() == [400, 200, 400, 300, 200, 300, 0, 400]
    assert frame["error"].dropna().tolist() == ["CUDA out of memory"]


def test_settings_are_the_config_columns_that_differ(study, table):
    assert settings(evaluations(table)) == ["optim/lr_g", "seed"]


def test_ranking_leaves_out_diverged_failed_and_unmeasured_trials(study, table):
    ranked = ranking(trials_frame(table, study.spec), metric_of("fd", study))
    assert ranked["trial"].tolist() == [0, 7, 2, 3, 1, 4]


def test_ranking_puts_the_iw_nearest_zero_first(study, table):
    ranked = ranking(trials_frame(table, study.spec), metric_of("iw", study))
    assert ranked["trial"].tolist() == [2, 0, 1, 3, 4]


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


def test_gain_is_positive_for_an_iw_nearer_zero(new_study):
    study = new_study(base=base({"metrics": ["iw"]}))
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


def test_at_budget_takes_the_last_evaluation_until_then_of_trials_that_got_there(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, 80, 70])
    study.trial(1, "mdi", "both", [60, 50], every=150)
    study.trial(2, "mdi", "both", [40])
    level = at_budget(evaluations(load(study.paths.evaluations)), 200)
    assert level.set_index("trial")["fd"].to_dict() == {0: 80, 1: 60}


def test_cells_are_at_the_budget_that_every_scored_cell_reached(study, table):
    frame = cells(evaluations(table), study.spec)
    assert set(frame["images_seen"]) == {200}
    best = {(row.source, row.way): row.best for row in frame.itertuples() if row.scored}
    assert best == {("scratch", "none"): 190, ("mdi", "both"): 90, ("mdi", "generator"): 130, ("twemoji", "both"): 170}


def test_cells_are_at_a_budget_where_each_has_a_score(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, None, 50])
    study.trial(1, "scratch", "none", [80, 70])
    study.trial(2, "mdi", "generator", [75, 72, 71])
    frame = cells(evaluations(load(study.paths.evaluations)), study.spec)
    assert set(frame["images_seen"]) == {100}
    assert frame["best"].tolist() == [80, 90, 75]


def test_cells_count_trials_and_give_the_spread_over_all_of_them(study, table):
    frame = cells(evaluations(table), study.spec).set_index(["source", "way"])
    columns = ["trial", "scored", "trials", "seeds", "mean", "low", "high"]
    assert frame.loc[("mdi", "both"), columns].tolist() == [0, 2, 2, 2, 92.5, 90, 95]
    assert frame.loc[("scratch", "none"), columns].tolist() == [4, 2, 2, 1, 205, 190, 220]
    assert frame.loc[("mnist", "both"), ["scored", "trials"]].tolist() == [0, 1]


def test_cells_start_with_scratch_and_go_on_as_the_spec_ranks_its_sources(study, table):
    assert list(dict.fromkeys(cells(evaluations(table), study.spec)["source"])) == [
        "scratch",
        "mdi",
        "twemoji",
        "mnist",
    ]


def test_front_holds_what_nothing_beats_in_one_metric_without_losing_in_the_other(study):
    trials = pd.DataFrame({"fd": [10, 20, 30, 15, 10, math.nan], "iw": [-5.0, -2.0, -1.0, -6.0, -5.0, -0.1]})
    found = front(trials, metric_of("fd", study), metric_of("iw", study))
    assert found.tolist() == [True, True, True, False, True, False]


def test_agreement_is_spearmans_correlation_of_costs(study):
    trials = pd.DataFrame({"fd": [10.0, 20, 30, 15, 20], "iw": [-2.0, -3, -1, -6, -3]})
    expected = spearmanr(trials["fd"], -trials["iw"]).statistic
    assert agreement(trials, metric_of("fd", study), metric_of("iw", study)) == pytest.approx(expected)


@pytest.mark.parametrize("fd", [[], [1.0], [1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 2.0, math.nan]])
def test_agreement_takes_three_trials_that_differ(study, fd):
    trials = pd.DataFrame({"fd": fd, "iw": [-1.0, -2.0, -3.0][: len(fd)]}, dtype=float)
    assert agreement(trials, metric_of("fd", study), metric_of("iw", study)) is None


def test_cost_to_reach_is_that_of_the_first_evaluation_as_good(study, table):
    rows, fd = evaluations(table), metric_of("fd", study)
    assert cost_to_reach(rows, 0, fd, 90, "images_seen") == 200
    assert cost_to_reach(rows, 0, fd, 89, "seconds") == 36
    assert cost_to_reach(rows, 0, fd, 59, "images_seen") is None
    assert cost_to_reach(rows, 0, metric_of("iw", study), -4, "images_seen") == 200


def test_protocol_lists_every_way_the_metrics_were_measured(table):
    sizes = pa.array([500] + [1000] * (len(table) - 1), pa.int32())
    mixed = table.set_column(table.schema.get_field_index("n_fake"), "n_fake", sizes)
    frame = evaluations(mixed)
    assert protocol(frame)["n_fake"] == [500, 1000]
    assert protocol(frame)["extractor"] == ["efficientnet_lite0"]


def test_disagreements_put_first_what_the_two_rank_furthest_apart(study):
    trials = pd.DataFrame({"trial": range(5), "fd": [10.0, 20, 30, 40, math.nan], "iw": [-4.0, -1, -2, -3, 0]})
    found = disagreements(trials, metric_of("fd", study), metric_of("iw", study))
    columns = ["trial", "first_rank", "second_rank", "apart"]
    assert found[columns].values.tolist() == [[0, 1, 4, 3], [1, 2, 1, 1], [2, 3, 2, 1], [3, 4, 3, 1]]


def frame_of(study):
    return evaluations(load(study.paths.evaluations))


def test_a_way_is_the_networks_of_fine_tuning_and_the_name_of_any_other_method(baseline):
    ways = frame_of(baseline).groupby("trial")["way"].first()
    assert ways.to_dict() == {0: "both", 1: "both", 2: "none", 3: "as is", 4: "as is"}


def test_rows_from_before_there_were_methods_are_of_fine_tuning(study, table):
    place = table.schema.get_field_index("method")
    old = table.set_column(place, "method", pa.nulls(len(table), pa.string()))
    assert evaluations(old)["method"].unique().tolist() == ["finetune"]
    assert trials_frame(old, study.spec).equals(trials_frame(table, study.spec))


def test_a_row_costs_training_and_evaluation_and_training_alone_where_no_other_time_was_kept(baseline, table):
    rows = frame_of(baseline)
    assert rows.loc[rows["way"] == "as is", "seconds"].tolist() == [6, 6]
    assert rows["seconds"].equals(rows["wall_seconds"])
    place = table.schema.get_field_index("wall_seconds")
    old = evaluations(table.set_column(place, "wall_seconds", pa.nulls(len(table), pa.float64())))
    assert old["seconds"].equals(old["train_seconds"])


def test_a_setting_varies_among_the_trials_whose_method_has_it(baseline, new_study):
    assert settings(frame_of(baseline)) == ["optim/lr_g", "seed"]
    alike = new_study(name="alike")
    alike.trial(0, "mdi", "both", [90])
    alike.as_is(1, "mdi", 80)
    assert settings(frame_of(alike)) == []


def test_a_study_of_sources_as_they_are_alone_has_their_settings(new_study):
    study = new_study(base=as_is_base())
    study.as_is(0, "mdi", 80)
    study.as_is(1, "twemoji", 70, network={"width": 8})
    assert settings(frame_of(study)) == ["network/width"]
    assert summary(load(study.paths.evaluations), study.spec).best.source == "twemoji"


def as_is_base():
    values = base({"metrics": ["fd", "kd", "iw"], "extractor": "efficientnet_lite0"})
    return values | {"method": "as_is", "source": "mdi"}


def test_the_config_of_a_row_has_its_methods_settings_and_whole_numbers(baseline):
    rows = frame_of(baseline)
    trained, untrained = (tables.config_values(rows[rows["trial"] == trial].iloc[-1]) for trial in (0, 3))
    assert (trained["optim/batch"], trained["data/target_images"], trained["optim/lr_g"]) == (64, None, 1e-4)
    assert isinstance(trained["optim/batch"], int)
    assert (untrained["method"], untrained["network/resolution"]) == ("as_is", 64)
    assert not [name for name in untrained if name.startswith(("optim", "loss", "augment", "transfer"))]


def test_a_source_as_it_is_has_reached_any_budget(baseline):
    for images in (0, 100, 400, 10_000):
        level = at_budget(frame_of(baseline), images).set_index("trial")["fd"].to_dict()
        assert (level[3], level[4]) == (80, 120)
    assert set(at_budget(frame_of(baseline), 400)["trial"]) == {0, 1, 3, 4}


def test_a_trial_that_ended_before_its_first_evaluation_has_not_reached_any_budget(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [], status="failed")
    assert at_budget(frame_of(study), 100).empty


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


def test_cells_have_one_for_each_source_as_it_is(baseline):
    frame = cells(frame_of(baseline), baseline.spec).set_index(["source", "way"])
    assert set(frame["images_seen"]) == {300}
    assert frame["best"].to_dict() == {
        ("scratch", "none"): 110,
        ("mdi", "both"): 70,
        ("mdi", "as is"): 80,
        ("twemoji", "as is"): 120,
    }
    assert frame.loc[("mdi", "as is"), ["scored", "seeds", "mean"]].tolist() == [1, 1, 80]


def test_two_trials_without_a_setting_have_it_alike(new_study):
    study = new_study()
    for seed, value in enumerate([90, 70]):
        study.trial(seed, "mdi", "both", [value], seed=seed)
    study.trial(2, "mdi", "both", [95], data={"target_images": 100})
    frame = cells(frame_of(study), study.spec)
    assert frame[["seeds", "mean", "low", "high"]].values.tolist() == [[2, 80, 70, 90]]


def test_iw_of_an_earlier_version_is_named_and_never_stands_beside_todays(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90], iw=[-2.0])
    assert evaluations(load(study.paths.evaluations))["iw_protocol"].tolist() == [EARLIER_IW]
    study.trial(1, "mdi", "both", [80], iw=[-0.1], facts={"iw_protocol": "critics"})
    rows = evaluations(load(study.paths.evaluations))
    assert rows["iw"].isna().tolist() == [True, False]
    assert rows["fd"].tolist() == [90, 80]
