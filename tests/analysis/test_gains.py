import pytest
from scipy.stats import ttest_1samp

from analysis.findings.gains import gains


def test_the_best_configurations_of_both_sides_compare_by_their_means_at_equal_images(study):
    images, seconds = study.data.gains
    assert (images.cost, images.at, images.value) == ("images_seen", 300, 35)
    assert (images.transfer.source, images.transfer.way, images.transfer.trials) == ("mdi", "both", (0, 7))
    assert (images.transfer.values, images.baseline.values) == ((70, 80), (110,))
    assert (seconds.cost, seconds.at, seconds.value) == ("seconds", 36, 35)


def test_a_score_lies_linearly_between_evaluations_at_equal_seconds(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [100, 50], pace=10)
    study.trial(1, "scratch", "none", [200, 100], pace=15)
    images, seconds = study.data.gains
    assert images.value == 50
    assert (seconds.at, seconds.transfer.mean) == (24, 50)
    assert seconds.baseline.mean == pytest.approx(200 - 100 * 5 / 15)
    assert seconds.share == pytest.approx(seconds.value / seconds.baseline.mean)


def test_without_a_common_time_there_is_no_gain_at_equal_seconds(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [100], pace=10)
    study.trial(1, "scratch", "none", [200], pace=15)
    assert [gain.cost for gain in study.data.gains] == ["images_seen"]


def test_a_configuration_with_the_better_mean_wins_over_one_with_a_lucky_seed(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [40])
    study.trial(1, "mdi", "both", [200], seed=1)
    study.trial(2, "twemoji", "both", [100])
    study.trial(3, "scratch", "none", [130])
    assert study.data.gains[0].transfer.source == "twemoji"


def test_a_gain_in_iw_is_positive_where_transfer_is_nearer_zero(new_study, by_iw):
    study = new_study(base=by_iw)
    study.trial(0, "mdi", "both", [None], iw=[-2.0])
    study.trial(1, "scratch", "none", [None], iw=[-5.0])
    assert study.data.gains[0].value == 3


def test_diverged_trials_are_no_side(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [10], status="diverged")
    study.trial(1, "scratch", "none", [100])
    assert gains(study.data.rows, study.data.metric) == []


@pytest.mark.parametrize(("values", "settled"), [([[60, 61], [110, 111]], True), ([[60, 100], [80, 130]], False)])
def test_a_gain_is_settled_when_its_interval_leaves_out_zero(new_study, values, settled):
    study = new_study()
    for seed in (0, 1):
        study.trial(seed, "mdi", "both", [values[0][seed]], seed=seed)
        study.trial(2 + seed, "scratch", "none", [values[1][seed]], seed=seed)
    assert study.data.gains[0].settled is settled


def test_training_gains_over_the_best_source_as_it_is_at_the_most_images_trained(baseline):
    gain = baseline.data.gain_of_training
    assert (gain.at, gain.value, gain.share) == (400, 20, 0.25)
    assert (gain.transfer.source, gain.transfer.way, gain.transfer.values) == ("mdi", "both", (60,))
    assert (gain.baseline.source, gain.baseline.way, gain.baseline.values) == ("mdi", "as is", (80,))


def test_training_can_lose_against_the_source_as_it_is(unbeaten):
    assert unbeaten.data.gain_of_training.value == -40


def test_the_source_as_it_is_may_be_another_than_the_one_that_was_trained(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [60])
    study.as_is(1, "twemoji", 70)
    gain = study.data.gain_of_training
    assert (gain.transfer.source, gain.baseline.source, gain.value) == ("mdi", "twemoji", 10)


def test_without_a_source_as_it_is_training_gains_nothing_that_is_known(study):
    assert study.data.gain_of_training is None


def test_scratch_is_no_training_from_a_source(new_study):
    study = new_study()
    study.trial(0, "scratch", "none", [60])
    study.as_is(1, "mdi", 70)
    assert study.data.gain_of_training is None


def test_a_source_as_it_is_has_its_score_at_any_images_and_any_seconds(unbeaten):
    images, seconds = unbeaten.data.gains
    assert (images.transfer.way, images.at, images.value) == ("as is", 200, 170)
    assert (seconds.transfer.values, seconds.at, seconds.value) == ((50,), 24, 170)


def test_the_score_of_a_source_as_it_is_has_no_chance_in_it(new_study):
    study = new_study()
    scores = (60.0, 75.0, 66.0)
    for seed, value in enumerate(scores):
        study.trial(seed, "mdi", "both", [value], seed=seed)
    study.as_is(3, "mdi", 90)
    gain = study.data.gain_of_training
    expected = ttest_1samp([90 - value for value in scores], 0).confidence_interval(0.95)
    assert gain.interval == pytest.approx((expected.low, expected.high), abs=3)  # which is of logs


def test_trials_of_equal_settings_are_one_configuration_where_a_setting_is_missing(new_study):
    study = new_study()
    for seed in (0, 1):
        study.trial(seed, "mdi", "both", [60 + seed], seed=seed)
        study.trial(2 + seed, "mdi", "both", [90], seed=seed, data={"target_images": 100})
        study.trial(4 + seed, "scratch", "none", [100], seed=seed)
    assert study.data.gains[0].transfer.trials == (0, 1)


def test_the_best_of_many_configurations_is_not_believed_whole(new_study):
    study = new_study()
    scores = [(88, 90), (95, 101), (103, 97), (99, 108), (92, 104), (110, 100)]
    for number, pair in enumerate(scores):
        for seed, value in enumerate(pair):
            study.trial(2 * number + seed, "mdi", "both", [value], seed=seed, optim={"lr_g": 1e-3 * (1 + number)})
            study.trial(20 + seed, "scratch", "none", [99 + 2 * seed], seed=seed)
    gain = study.data.gains[0]
    assert (gain.value, gain.chosen_of) == (11, 6)
    assert 0 < gain.expected < 6


def test_a_trial_measured_before_its_first_image_stands_for_its_source_as_it_is(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [60], before=80)
    study.trial(1, "mnist", "discriminator", [90], before=10)
    study.trial(2, "scratch", "none", [95], before=500)
    gain = study.data.gain_of_training
    assert (gain.value, gain.baseline.source, gain.baseline.way, gain.baseline.values) == (20, "mdi", "as is", (80,))
    assert study.data.gains[0].at == 100


def test_a_source_as_it_is_is_scored_by_the_rankings_full_count_where_a_rung_drew_few(new_study):
    study = new_study(ranking={"mdi": 75.0})
    study.trial(0, "mdi", "both", [60], before=80, drawn=[1000])
    assert study.data.gain_of_training.baseline.values == (75,)
    study.as_is(1, "mdi", 77)
    assert study.data.gain_of_training.baseline.values == (77,)


def test_a_metric_that_depends_on_the_count_compares_only_scores_of_equally_many_drawn_images(new_study, by_iw):
    study = new_study(base=by_iw)
    study.trial(0, "mdi", "both", [None] * 2, iw=[-5.0, -2.0], drawn=[256, 1000])
    study.trial(1, "scratch", "none", [None] * 3, iw=[-6.0, -4.0, -3.0], drawn=[256, 256, 1000])
    images, seconds = study.data.gains
    assert (images.at, images.transfer.values, images.baseline.values) == (100, (-5,), (-6,))
    assert (seconds.transfer.values, seconds.baseline.values) == ((-5,), (-6,))


def test_a_metric_that_depends_on_the_count_has_no_gain_where_none_were_equally_drawn(new_study, by_iw):
    study = new_study(base=by_iw)
    study.trial(0, "mdi", "both", [None], iw=[-2.0], drawn=[1000])
    study.trial(1, "scratch", "none", [None], iw=[-6.0], drawn=[256])
    assert study.data.gains == []


def test_distances_that_are_carried_on_compare_whatever_was_drawn(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [60], drawn=[1000])
    study.trial(1, "scratch", "none", [90], drawn=[256])
    assert study.data.gains[0].value == 30


def test_images_that_are_handed_on_are_no_transfer_and_what_training_is_held_against(handed_on):
    images, seconds = handed_on.data.gains
    assert (images.transfer.way, images.value, seconds.transfer.way) == ("as is", 170, "as is")
    assert (images.chosen_of, images.baseline.trials) == (2, (1,))
    gain = handed_on.data.gain_of_training
    assert (gain.baseline.way, gain.value) == ("untranslated", -80)


def test_where_nothing_but_images_handed_on_stands_against_scratch_there_is_no_gain(new_study):
    study = new_study()
    study.untrained(0, "untranslated", "mnist", 10)
    study.trial(1, "scratch", "none", [100])
    assert study.data.gains == []
