import base64
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from analysis.commands import search_command
from analysis.contents import contents
from analysis.page import duration, text
from analysis.study_data import StudyData
from search.records.results import write_trial
from search.records.study import only_driver
from spaces.trials import parse_trial

ANCHORS = [
    "answer",
    "cost",
    "agreement",
    "matrix",
    "networks",
    "sizes",
    "parameters",
    "search",
    "samples",
    "protocol",
]


def read(*studies):
    """The sections of a report by anchor; of one study, its block in each."""
    found = contents(StudyData.of(studies[0].home, [(study.paths, study.spec) for study in studies]))
    return {part.anchor: part.blocks[0] if len(studies) == 1 else part for part in found}


@pytest.fixture(scope="module")
def found(study):
    return read(study)


def test_the_ten_sections_stand_in_reading_order(found):
    assert list(found) == ANCHORS


def test_the_answer_names_the_best_trial_and_the_gain_at_equal_images_and_at_equal_seconds(found):
    standing, rest = found["answer"].lead.split(" Best so far ")
    assert standing == (
        "The search was interrupted: 7 of 8 trials are through; go on with `understock resume phosphor-1`."
    )
    result, curves = f"Best so far {rest}".split(" By the curves, ")
    assert curves.startswith("from mdi, both networks: ")
    assert result == (
        "Best so far is trial 0, from mdi, both networks: FD (efficientnet_lite0) 60 after 400 images and 48 s of "
        "training and evaluation. At equal images (300) the best configuration from mdi, both networks (2 seeds) has 75 in "
        "the mean and the best configuration from scratch (1 seed) 110: transfer is better by 35 (32 % of scratch's); at equal "
        "seconds (36), transfer is better by 35 (32 % of scratch's). One seed on a side: how much of it is chance is not known."
    )


def test_a_report_that_is_written_while_the_search_runs_says_so_and_names_nothing_that_would_be_refused(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, 80], status="running")
    with only_driver(study.paths):
        sections = read(study)
    assert sections["answer"].lead.startswith(
        "The search still runs: 0 of 8 trials are through. Best so far is trial 0"
    )
    assert ("trials", "1", "1 running") in sections["answer"].facts
    assert not [part for part in sections.values() if "understock resume" in part.lead]


def test_a_study_that_is_through_says_nothing_of_how_it_stands(new_study):
    study = new_study(trials=1)
    study.trial(0, "mdi", "both", [90, 80])
    assert read(study)["answer"].lead.startswith("Best is trial 0")


def test_with_two_seeds_a_side_the_answer_has_intervals_and_says_when_they_settle_nothing(new_study):
    study = new_study()
    for seed in (0, 1):
        study.trial(seed, "mdi", "both", [60 + 40 * seed], seed=seed)
        study.trial(2 + seed, "scratch", "none", [80 + 50 * seed], seed=seed)
    lead = read(study)["answer"].lead
    assert "transfer is better by 25 (24 % of scratch's), 95 % interval " in lead
    assert "which the seeds do not tell from chance" in lead
    assert "One seed" not in lead


def test_the_answer_says_plainly_that_scratch_wins(new_study):
    study = new_study()
    study.trial(0, "scratch", "none", [100, 50])
    study.trial(1, "mdi", "generator", [90, 60])
    lead = read(study)["answer"].lead
    assert "trial 0, from scratch" in lead
    assert "transfer is worse by 10 (20 % of scratch's)" in lead


def test_the_best_score_stands_with_its_floor_and_the_gain_with_its_cost(found):
    facts = {label: (value, remark) for label, value, remark in found["answer"].facts}
    assert facts["best score"] == ("60", "FD (efficientnet_lite0), lower is better; floor 20")
    assert facts["gain at equal images"] == ("+35", "one seed on a side; at 300 images; above 0, transfer is better")
    assert facts["trials"] == ("8", "3 completed, 2 stopped, 1 interrupted, 1 diverged, 1 failed")
    assert facts["core-hours"][0] == text(264 / 3600)
    assert "Here 6 transfer trials stand against 2 scratch trials." in found["answer"].notes[1]


def with_column(study, tmp_path, name, value):
    """The study again, one column of its rows changed."""
    import shutil
    from types import SimpleNamespace

    from search.records.study import StudyPaths

    paths = StudyPaths(shutil.copytree(study.paths.root, tmp_path / "copy"))
    for path in paths.evaluations.glob("*.parquet"):
        table = pq.read_table(path)
        place = table.schema.get_field_index(name)
        column = pa.array([value] * len(table), table.schema.field(place).type)
        pq.write_table(table.set_column(place, table.schema.field(place), column), path)
        if value in ("inception", 256):  # one trial only
            break
    return SimpleNamespace(home=study.home, paths=paths, spec=study.spec)


def test_a_floor_of_fewer_images_than_generated_is_warned_of(found):
    note = found["answer"].notes[-1]
    assert "Careful: for FD (efficientnet_lite0) it was measured with 500 real images in place of 1,000" in note
    assert "too high" in note


@pytest.mark.slow
def test_a_floor_of_as_many_images_as_generated_says_so(study, tmp_path):
    note = read(with_column(study, tmp_path, "n_fake", 500))["answer"].notes[-1]
    assert note.endswith("in place of generated ones; for FD (efficientnet_lite0), of as many: 500.")


def test_best_trials_show_metrics_and_settings_that_vary(found):
    both, best, every, curves = found["answer"].sheets
    assert [row[0] for row in curves.rows][:1] == ["mdi"]
    assert both.rows[0][:5] == ["equal images", "300", "mdi", "both networks", "75"]
    assert best.columns[:4] == ["trial", "source", "parts", "FD (efficientnet_lite0)"]
    assert {"optim/lr_g", "seed", "status", "seconds, evaluation included", "images seen"} <= set(best.columns)
    assert [row[0] for row in best.rows] == ["0", "7", "2", "3", "1", "4"]
    assert len(every.rows) == 8
    assert "CUDA out of memory" in every.rows[6]


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


def test_agreement_states_front_rank_correlation_and_the_most_disputed_trial(found):
    lead = found["agreement"].lead
    assert lead.startswith("2 of 5 trials on the Pareto front; the two metrics agree")
    assert "0.80" in lead
    assert lead.endswith(" They are furthest apart on trial 0 (mdi): number 1 by FD, 2 by IW.")


@pytest.mark.slow
def test_the_matrix_judges_the_rank_before_training(study, tmp_path):
    spec = study.spec.model_copy(update={"ranking": {"twemoji": 200.0, "mdi": 210.0, "mnist": 300.0}})
    (found,) = contents(StudyData.of(study.home, [(study.paths, spec)]))[3].blocks
    assert found.lead == (
        "phosphor-1 (target phosphor): mdi is best of 2 sources, and 1 beat scratch; ranked first before training was "
        "twemoji, which costs 45 against the best."
    )
    assert found.sheets[1].rows[0] == ["twemoji", "1", "200"]


def test_networks_are_ordered_by_the_median_over_sources(found):
    assert found["networks"].lead == (
        "From best to worst, by the median over sources of the mean over trials: generator only (130), both networks (131.2), "
        "nothing transferred (205); 3 of 3 cells with transfer beat scratch (205)."
    )


def test_one_target_set_size_says_what_to_run_for_another(found):
    assert found["sizes"].lead == (
        "Not enough data: every trial with a score has 1,000 target images; for 250 images, to be reported together with "
        "this study, run `understock search phosphor --space quickstart --target-images 250 --max-images 400 --sources "
        "mdi,twemoji,mnist --name phosphor-250-images`."
    )


@pytest.mark.parametrize(
    ("shots", "count", "flags"),
    [(3, "1 image of each class", "--shots 1"), (1, "2 images of each class", "--shots 2")],
)
def test_another_size_is_counted_as_the_study_counts_its_images(new_study, shots, count, flags):
    base = {**new_study().spec.base.model_dump(), "data": {"shots": shots}}
    study = new_study(base=base)
    one_transfer(study)
    lead = read(study)["sizes"].lead
    assert f"for {count}, to be reported" in lead
    assert f" {flags} " in lead and "--target-images" not in lead


def test_parameters_say_how_many_trials_importance_takes(found):
    assert found["parameters"].lead.startswith(
        "Not enough data for importance (6 trials with a score; it takes 8 trials"
    )
    assert [plot.heading for plot in found["parameters"].plots] == ["optim/lr_g"]


def test_the_search_tells_what_early_stopping_saved_and_when_the_best_was_found(found):
    assert found["search"].lead == (
        "8 trials took 0.07333 core-hours; early stopping ended 2 of them, so the search cost 69% of what all trials to the "
        "end would have; the best one was found by trial 0, after 18% of the cost."
    )
    assert found["search"].sheets[0].rows == [["100", "7", "1", "0"], ["300", "5", "1", "1"], ["400", "3", "0", "0"]]


def test_samples_are_the_last_grids_of_the_best_trial_and_of_scratchs_best_and_the_best_over_training(found, study):
    best, scratch, strip = found["samples"].images
    written = (study.paths.samples(0) / "000000400.png").read_bytes()
    assert base64.b64decode(best.uri.removeprefix("data:image/png;base64,")) == written
    assert best.alt == "Grid of images generated by trial 0 (mdi, both networks) after 400 images seen"
    assert scratch.caption == "trial 3 (scratch, nothing transferred), 300 images seen"
    assert strip.caption.endswith("8 z; from top to bottom: after 100, 200, 300, 400 images seen")
    assert "run `understock report phosphor-1` where mdi is on the shelf" in found["samples"].notes[0]


def test_the_source_models_grid_and_the_nearest_training_images_stand_where_they_were_made(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90, 80], grid=True)
    study.trial(1, "scratch", "none", [95, 85], grid=True)
    study.paths.exhibits.mkdir()
    Image.new("RGB", (526, 130)).save(study.paths.exhibits / "source-mdi.png")
    picture = study.paths.exhibits / "neighbours-00000-000000200.png"
    Image.new("RGB", (100, 50)).save(picture)
    numbers = {"samples": [1.0, 4.0], "held_out": [2.0, 3.0], "train_images": 1000, "extractor": "efficientnet_lite0"}
    picture.with_suffix(".json").write_text(json.dumps(numbers))
    section = read(study)["samples"]
    assert [image.caption.split(",")[0] for image in section.images] == [
        "trial 0 (mdi",
        "trial 1 (scratch",
        "source model mdi",
        "trial 0 (mdi",
        "top row: the 8 samples of trial 0 (mdi",
    ]
    assert section.images[3].caption.endswith("the source model, then after 100, 200 images seen")
    assert "in 50% of all pairs (50% is what unseen real images have): no sign of copying." in section.lead
    assert section.sheets[0].rows[0][:4] == ["generated images", "2", "1", "1.75"]


def test_protocol_holds_spec_versions_digests_and_the_command(found, study):
    section = found["protocol"]
    facts = dict(section.sheets[0].rows)
    assert facts["protocol: feature extractor"] == "efficientnet_lite0"
    assert facts["protocol: FD (efficientnet_lite0) floor"] == "20"
    assert (facts["version: torch"], facts["digest: domain:phosphor"], facts["trial: seed"]) == ("2.15", "d0", "0, 1")
    assert section.texts[0].body == study.spec.model_dump_json(indent=2)
    assert section.commands[0][1] == search_command(study.spec)


def test_rows_measured_in_different_ways_are_warned_of(study, tmp_path):
    mixed = with_column(study, tmp_path, "extractor", "inception")
    assert "Careful: extractor differ among rows, so their metrics do not compare" in read(mixed)["protocol"].lead


def test_rungs_of_fewer_images_are_no_mixture(study, tmp_path):
    whole = with_column(study, tmp_path / "whole", "n_drawn", 1_000)
    lead = read(with_column(whole, tmp_path / "rungs", "n_drawn", 256))["protocol"].lead
    assert "Careful" not in lead and "At rungs fewer images are drawn (n_drawn)" in lead


@pytest.mark.slow
def test_a_method_that_trained_by_what_it_is_measured_by_is_warned_of(new_study):
    by_iw = {"protocol": {"metrics": ("iw", "fd")}}
    base = {
        "target": "phosphor",
        "source": "scratch",
        "network": {},
        "budget": {"images": 400, "eval_every_images": 400},
    }
    study = new_study(base={**base, **by_iw})
    study.trial(0, "mdi", "both", [60], iw=[-3.0], every=400)
    assert "Careful" not in read(study)["protocol"].lead
    unpenalised = {"loss": {"name": "hinge", "penalty": 0}, "method": "projected", "source": "mdi"}
    config = parse_trial({**base, **by_iw, **unpenalised}, "test")
    row = {
        "images_seen": 400,
        "iterations": 10,
        "train_seconds": 1.0,
        "fd": 5.0,
        "iw": -2.0,
        "extractor": "efficientnet_lite0",
    }
    path = study.paths.evaluation(1)
    write_trial(path, config, study=study.spec.name, trial=1, status="completed", evaluations=[row])
    learnt = read(study)["protocol"].lead
    assert "projected trained by the features of efficientnet_lite0, by which distances, IW" in learnt
    assert "of these trials nothing of that compares, but pair error" in learnt


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


@pytest.mark.slow
def test_studies_that_were_measured_in_different_ways_are_flagged(study, new_study, tmp_path):
    other = new_study(name="phosphor-2")
    other.trial(0, "scratch", "none", [50], facts={"input_size": 96})
    assert read(study, other)["protocol"].lead == (
        "Careful: the studies were not measured alike (pixels a side at the extractor differ), so their scores do not compare."
    )


@pytest.mark.slow
def test_another_protocol_of_iw_leaves_fd_comparable_and_iw_not(new_study):
    def lead(metric):
        base = new_study(name="x").spec.base.model_dump() | {"protocol": {"metrics": [metric, "kd"]}}
        studies = [new_study(name=f"{metric}-{n}", base=base) for n in (1, 2)]
        for study, said in zip(studies, (None, "critics on features"), strict=True):
            study.trial(0, "scratch", "none", [50], iw=[-3], facts={"iw_protocol": said})
        return read(*studies)["protocol"].lead

    assert lead("fd") == "The studies have one target and were measured alike: their scores compare."
    assert "not measured alike (protocol of IW differ)" in lead("iw")


def test_iw_has_its_standard_error_beside_it_and_bars_in_the_figure(new_study):
    study = new_study()
    for number in range(3):
        facts = {"iw_se": 0.1 * (number + 1), "iw_protocol": "critics"}
        study.trial(number, "mdi", "both", [90 + number], iw=[-1 - number], facts=facts)
    block = read(study)["agreement"]
    assert "standard error of IW" in block.sheets[0].columns
    bars = [list(trace.error_y.array) for trace in block.plots[0].figure.data if trace.error_y.array is not None]
    assert bars == [[0.1, 0.2, pytest.approx(0.3)]]


def test_the_copy_rate_stands_with_its_interval_under_samples(new_study):
    study = new_study()
    facts = {"copy_rate": 0.2, "copy_rate_se": 0.02, "copy_rate_floor": 0.01, "copy_rate_floor_se": 0.01}
    study.trial(0, "mdi", "both", [90], grid=True, facts=facts)
    assert (
        "Copy rate: 20.0% (16.0% to 24.0%) of its samples count as copies, 1.0% (0.0% to 3.0%) of held-out real images do; "
        "more than chance: look at them." in read(study)["samples"].lead
    )


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


def one_transfer(study):
    study.trial(0, "mdi", "both", [90], iw=[-3])


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


def test_a_study_that_is_over_is_told_to_search_for_longer(new_study):
    study = new_study(trials=1)
    one_transfer(study)
    other = study.spec.model_copy(update={"seed": 1})
    longer = search_command(other, name="phosphor-1-more", trials=16)
    assert f"run `{longer}`" in read(study)["answer"].lead
    assert read(study)["protocol"].commands[-1] == ("For more trials:", longer)


def test_a_table_of_many_rows_is_cut_and_says_where_all_are(new_study):
    study = new_study()
    for number in range(6):
        study.trial(number, "mdi", "both", list(range(1000, 900, -1)), every=1)
    table = read(study)["cost"].sheets[-1]
    assert len(table.rows) == 500
    assert table.caption == "Every evaluation (the first 500 of 600; all: understock report phosphor-1 --format csv)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (1234567, "1,234,567"),
        (400.0, "400"),
        (0.00012344, "0.0001234"),
        (4023.4, "4,023"),
        (123456.7, "123,457"),
        (-2.51234, "-2.512"),
        (True, "True"),
        ("mdi", "mdi"),
    ],
)
def test_values_read_with_four_digits_and_thousands_apart(value, shown):
    assert text(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(40, "40 s"), (600, "10 min"), (9000, "2.5 h"), (float("nan"), "–")])
def test_durations_have_the_unit_that_suits_them(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.slow
def test_the_answer_says_what_training_gains_over_the_source_as_it_is(baseline):
    answer = read(baseline)["answer"]
    assert answer.lead.split(" By the curves, ")[0].endswith(
        "Fine-tuning improves on the source as it is by 20 (25 % of its score): the best configuration from mdi, both "
        "networks (1 seed) has 60 after 400 images, mdi as it is 80."
    )
    facts = {label: (value, remark) for label, value, remark in answer.facts}
    assert facts["gain over the source as it is"] == (
        "+20",
        "one seed on a side; at 400 images; above 0, training is better",
    )
    assert [row[2] for row in answer.sheets[1].rows] == ["both", "both", "as is", "none", "as is"]
    assert answer.sheets[1].columns[2] == "way"


@pytest.mark.slow
def test_the_answer_says_plainly_that_a_source_as_it_is_wins(unbeaten):
    remark = read(unbeaten)["answer"].facts[2][2]
    assert remark == "one seed on a side; at 200 images; above 0, what trains nothing is better"
    assert read(unbeaten)["answer"].lead == (
        "The search was interrupted: 3 of 8 trials are through; go on with `understock resume unbeaten`. "
        "Best so far is trial 2, mdi as it is: FD (efficientnet_lite0) 50 without any training. At equal images (200) mdi as "
        "it is has 50 and the best configuration from scratch (1 seed) 220: the source as it is, untrained, is better by 170 "
        "(77 % of scratch's); at equal seconds (24), the source as it is, untrained, is better by 170 (77 % of scratch's). One "
        "seed on a side: how much of it is chance is not known. Fine-tuning is worse than the source as it is by 40 (80 % of "
        "its score): the best configuration from mdi, both networks (1 seed) has 90 after 200 images, mdi as it is 50. "
        "Whether curves still move where they end is not known: too few trials have three evaluations."
    )


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


@pytest.mark.slow
def test_the_matrix_and_the_networks_say_which_were_not_trained(baseline, unbeaten):
    assert "mdi, as it is, is best of 1 source" in read(unbeaten)["matrix"].lead
    assert read(baseline)["matrix"].sheets[0].rows[3][2:6] == ["twemoji", "300", "as it is", "120"]
    assert read(baseline)["networks"].lead == (
        "From best to worst, by the median over sources of the mean over trials: both networks (75), as it is (100), nothing "
        "transferred (110); 2 of 3 cells with a source beat scratch (110)."
    )


@pytest.mark.slow
def test_what_was_not_trained_is_left_out_of_sizes_and_parameters(baseline):
    found = read(baseline)
    assert [row[0] for row in found["parameters"].sheets[-1].rows] == ["0", "1", "2"]
    baseline.trial(5, "scratch", "none", [150, 140, 130], data={"target_images": 100})
    baseline.trial(6, "mdi", "both", [150, 140, 120], data={"target_images": 100})
    sizes = read(baseline)["sizes"]
    assert sizes.notes[-1] == "A source as it is, which trains on no image, is left out."
    assert {row[0] for row in sizes.sheets[-1].rows} == {"mdi", "scratch"}


def test_a_source_as_it_is_needs_no_second_grid_of_itself(unbeaten):
    section = read(unbeaten)["samples"]
    assert section.images[0].caption == "trial 2 (mdi, as it is), no training"
    assert not [note for note in section.notes if "on the shelf" in note]


@pytest.mark.slow
def test_several_studies_say_how_often_a_source_as_it_is_was_best_and_training_better(baseline, unbeaten, study):
    lead = read(baseline, unbeaten, study)["answer"].lead
    assert " In 1 of them what is best trains nothing." in lead
    assert lead.endswith(" Training improves on the source as it is in 1 of 2 studies that sample it.")
    assert read(unbeaten, unbeaten)["cost"].lead == ("In every study what is best trains nothing.")


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
