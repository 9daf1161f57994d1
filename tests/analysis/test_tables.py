import math

import pandas as pd
import pyarrow as pa
import pytest

from analysis import tables
from analysis.tables import at_budget, cells, evaluations, front, protocol, ranking, settings, summary, trials_frame
from search.records.results import load, write_trial
from spaces.protocol import EARLIER_IW
from spaces.trials import parse_trial


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


def test_protocol_lists_every_way_the_metrics_were_measured(table):
    sizes = pa.array([500] + [1000] * (len(table) - 1), pa.int32())
    mixed = table.set_column(table.schema.get_field_index("n_fake"), "n_fake", sizes)
    frame = evaluations(mixed)
    assert protocol(frame)["n_fake"] == [500, 1000]
    assert protocol(frame)["extractor"] == ["efficientnet_lite0"]


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


def test_a_setting_inside_of_a_field_varies_among_the_trials_whose_method_has_it(new_study):
    """CycleGAN alone has `weights/cycle` and `training/pool`, and DTN other fields of `weights` and `training`."""
    study = new_study()
    common = {"target": "phosphor", "source": "mdi", "budget": study.spec.base.budget}
    for number, method in enumerate(("cyclegan", "dtn")):
        config = parse_trial({**common, "method": method, "translator": {"blocks": 4}}, "test")
        rows = [{"images_seen": 100, "iterations": 1, "wall_seconds": 1.0, "fd": 5.0}]
        write_trial(
            study.paths.evaluation(number), config, study="s", trial=number, status="completed", evaluations=rows
        )
    assert settings(frame_of(study)) == ["weights/identity"]  # its default is CycleGAN's 5 and DTN's 15


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


def test_a_cell_counts_only_trials_with_as_many_target_images_as_the_best(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [50])
    study.trial(1, "twemoji", "both", [60])
    study.trial(2, "scratch", "none", [100])
    study.trial(3, "twemoji", "both", [None], status="diverged", data={"target_images": 100})
    study.trial(4, "mnist", "both", [70], data={"target_images": 100})
    frame = cells(frame_of(study), study.spec)
    assert frame[["source", "mean", "scored", "trials"]].values.tolist() == [
        ["scratch", 100, 1, 1],
        ["mdi", 50, 1, 1],
        ["twemoji", 60, 1, 1],
    ]


def test_a_trial_that_was_stopped_at_another_size_is_missing_from_no_mean(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [80, 50])
    study.trial(1, "mdi", "both", [90], status="stopped")
    study.trial(2, "mdi", "both", [95], status="stopped", data={"target_images": 100})
    assert tables.stopped_before(frame_of(study), 200, metric_of("fd", study)) == 1
