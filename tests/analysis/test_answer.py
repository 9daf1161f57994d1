from typing import Any

from analysis.answer import lines
from search.records.results import load
from search.records.standing import standing_rows


def test_the_answer_names_source_settings_scores_and_scratch_at_equal_budget(study: Any) -> None:
    said = lines(load(study.paths.evaluations), study.spec)
    assert said[0].startswith("study phosphor-1, completed: 8 trials (3 completed, 2 stopped, ")
    assert said[1].startswith("best: trial 0, source mdi, both transferred")
    assert "FD (efficientnet_lite0) 60 after 400 images (lower is better, floor 20)" in said[2]
    assert said[3] == (
        "at equal budget (300 images): best of 6 transfer trials 70, best of 2 scratch trials 110: transfer wins by 40"
    )


def test_scratch_may_win(new_study: Any) -> None:
    folder = new_study()
    folder.trial(0, "mdi", "both", [150, 90])
    folder.trial(1, "scratch", "none", [100, 50])
    assert lines(load(folder.paths.evaluations), folder.spec)[-2].endswith("scratch wins by 40")


def test_the_best_of_each_side_compare_whichever_trial_won_in_the_end(new_study: Any) -> None:
    folder = new_study()
    folder.trial(0, "mdi", "both", [150, 60])
    folder.trial(1, "mdi", "both", [100])
    folder.trial(2, "scratch", "none", [120])
    said = lines(load(folder.paths.evaluations), folder.spec)
    assert said[1].startswith("best: trial 0")
    assert said[-2] == (
        "at equal budget (100 images): best of 2 transfer trials 100, the one scratch trial 120: transfer wins by 20"
    )


def test_equal_scores_are_a_tie(new_study: Any) -> None:
    folder = new_study()
    folder.trial(0, "mdi", "both", [90])
    folder.trial(1, "scratch", "none", [90])
    assert lines(load(folder.paths.evaluations), folder.spec)[-2].endswith("the one scratch trial 90: a tie")


def test_no_score_is_no_answer(new_study: Any) -> None:
    folder = new_study()
    folder.trial(0, "mdi", "both", [], status="failed")
    assert lines(load(folder.paths.evaluations), folder.spec)[-1] == "no trial has a score yet"


def test_the_side_that_is_missing_is_named(new_study: Any) -> None:
    for source, parts, missing in (("mdi", "both", "scratch"), ("scratch", "none", "transfer")):
        folder = new_study()
        folder.trial(0, source, parts, [90])
        said = lines(load(folder.paths.evaluations), folder.spec)
        assert f"no {missing} trial has a score to compare with" in said


def test_a_line_compares_what_was_trained_with_the_source_as_it_is(baseline: Any) -> None:
    assert lines(load(baseline.paths.evaluations), baseline.spec)[-2] == (
        "fine-tuning improves on the source as it is by 20 (25 % of its score): the best configuration from mdi, both networks "
        "(1 seed) has 60 after 400 images, mdi as it is 80"
    )


def test_a_source_as_it_is_that_wins_is_not_called_transfer(unbeaten: Any) -> None:
    said = lines(load(unbeaten.paths.evaluations), unbeaten.spec)
    assert said[1] == "best: trial 2, source mdi, as it is"
    assert said[2] == "  FD (efficientnet_lite0) 50 without any training (lower is better, floor 20)"
    assert said[3].endswith("the one scratch trial 220: mdi as it is, untrained, wins by 170")
    assert said[4].startswith("fine-tuning is worse than the source as it is by 40")


def test_whole_numbers_stay_whole_beside_trials_that_lack_them(baseline: Any) -> None:
    baseline.trial(5, "mdi", "both", [20, 15], optim={"ema_halflife_images": 20_000})
    assert "optim/ema_halflife_images 20000" in lines(load(baseline.paths.evaluations), baseline.spec)[1]


def test_the_first_line_says_how_the_study_stands_and_counts_one_trial_as_one(new_study: Any) -> None:
    folder = new_study()
    folder.trial(0, "mdi", "both", [90], status="running")
    running, table = standing_rows(folder.paths)
    assert not running
    assert lines(table, folder.spec, "interrupted")[0].startswith(
        "study phosphor-1, interrupted: 1 trial (1 interrupted), "
    )


def test_a_study_without_a_trial_says_so(new_study: Any) -> None:
    folder = new_study()
    said = lines(load(folder.paths.evaluations), folder.spec, "interrupted")
    assert said[0] == "study phosphor-1, interrupted: 0 trials (none has started), 0.0 min in all"


def test_images_that_are_handed_on_and_copies_of_the_few_are_counted_on_no_side(handed_on: Any) -> None:
    said = lines(load(handed_on.paths.evaluations), handed_on.spec)
    assert said[3] == (
        "at equal budget (200 images): best of 2 transfer trials 50, the one scratch trial 220: mdi as it is, untrained, wins by "
        "170"
    )


def test_nothing_of_neither_side_stands_for_a_side_that_has_no_trial(new_study: Any) -> None:
    folder = new_study()
    folder.trial(0, "scratch", "none", [90])
    folder.untrained(1, "untranslated", "mdi", 10)
    folder.untrained(2, "augmented", "scratch", 30, data={"shots": 3})
    said = lines(load(folder.paths.evaluations), folder.spec)
    assert said[1].startswith("best: trial 2, augmented")
    assert "no transfer trial has a score to compare with" in said
