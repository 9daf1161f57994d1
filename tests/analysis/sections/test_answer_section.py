"""What the section of the answer says: the best trial, and what transfer gains."""

import pytest
from report_sections import one_transfer, read, with_column

from analysis.commands import search_command
from analysis.page import text
from search.records.study import only_driver


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


def test_a_study_that_is_over_is_told_to_search_for_longer(new_study):
    study = new_study(trials=1)
    one_transfer(study)
    other = study.spec.model_copy(update={"seed": 1})
    longer = search_command(other, name="phosphor-1-more", trials=16)
    assert f"run `{longer}`" in read(study)["answer"].lead
    assert read(study)["protocol"].commands[-1] == ("For more trials:", longer)


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
def test_several_studies_say_how_often_a_source_as_it_is_was_best_and_training_better(baseline, unbeaten, study):
    lead = read(baseline, unbeaten, study)["answer"].lead
    assert " In 1 of them what is best trains nothing." in lead
    assert lead.endswith(" Training improves on the source as it is in 1 of 2 studies that sample it.")
    assert read(unbeaten, unbeaten)["cost"].lead == ("In every study what is best trains nothing.")
