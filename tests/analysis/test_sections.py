import base64

import pyarrow as pa
import pytest

from analysis.commands import search_command
from analysis.page import duration, text
from analysis.sections import sections
from search.results import load

ANCHORS = ["answer", "trials", "curves", "trade-off", "grafts", "samples", "run"]
RANKS = "Sources ranked before and after training"


def read(study, table=None):
    """The study's sections by anchor."""
    table = load(study.paths.evaluations) if table is None else table
    return {section.anchor: section for section in sections(table, study.spec, study.paths)}


@pytest.fixture(scope="module")
def found(study):
    return read(study)


def test_sections_stand_in_reading_order(found):
    assert list(found) == ANCHORS


def test_the_answer_names_the_best_trial_and_what_scratch_has_at_equal_budget(found):
    assert found["answer"].lead == (
        "Best so far is trial 0, from mdi, both networks: FD (efficientnet_lite0) 60 after 400 images and 40 s of "
        "training. Transfer wins: at equal budget, 300 images seen, the best of 6 transfer trials (trial 0, from mdi, both "
        "networks) has 70 and the best of 2 scratch trials (trial 3) has 110: transfer is better by 40."
    )


def test_the_answer_says_plainly_that_scratch_wins(new_study):
    study = new_study()
    study.trial(0, "scratch", "none", [100, 50])
    study.trial(1, "mdi", "generator", [90, 60])
    lead = read(study)["answer"].lead
    assert "Best is trial 0, from scratch" in lead
    assert (
        "Scratch wins: at equal budget, 200 images seen, the one transfer trial (trial 1, from mdi, generator" in lead
    )
    assert "transfer is worse by 10" in lead


def test_the_best_score_stands_with_its_floor_and_direction(found):
    facts = {label: (value, remark) for label, value, remark in found["answer"].facts}
    assert facts["best score"] == ("60", "FD (efficientnet_lite0), lower is better; floor 20")
    assert facts["trials"] == ("8", "3 completed, 2 stopped, 1 running, 1 diverged, 1 failed")


def test_both_sides_stand_at_equal_budget_with_how_many_trials_each_had(found):
    facts = {label: (value, remark) for label, value, remark in found["answer"].facts}
    assert facts["transfer, equal budget"] == ("70", "best of 6 trials: trial 0, 300 images")
    assert facts["scratch, equal budget"] == ("110", "best of 2 trials: trial 3, 300 images")
    caution = found["answer"].notes[1]
    assert "More trials on a side favour it: here 6 transfer trials stand against 2 scratch trials." in caution


def counted(study, n_fake):
    """The study's rows, its 500 real images for the floor set against `n_fake` generated ones."""
    table = load(study.paths.evaluations)
    column = pa.array([n_fake] * len(table), pa.int32())
    return table.set_column(table.schema.get_field_index("n_fake"), "n_fake", column)


def test_a_floor_of_fewer_images_than_generated_is_warned_of(study):
    note = read(study, counted(study, 1000))["answer"].notes[-1]
    assert "Careful: for FD (efficientnet_lite0) it was measured with 500 real images in place of 1,000" in note
    assert "too high" in note


def test_a_floor_of_as_many_images_as_generated_says_so(study):
    said = "in place of generated ones; for FD (efficientnet_lite0), of as many: 500."
    found = read(study, counted(study, 500))
    assert found["answer"].notes[-1].endswith(said)
    assert found["curves"].notes[-1].endswith(said)


def test_best_trials_show_metrics_and_settings_that_vary(found):
    best, every = found["trials"].sheets
    assert best.columns[:4] == ["trial", "source", "parts", "FD (efficientnet_lite0)"]
    assert {"optim/lr_g", "seed", "status", "seconds", "images seen"} <= set(best.columns)
    assert [row[0] for row in best.rows] == ["0", "7", "2", "3", "1", "4"]
    assert len(every.rows) == 8
    assert "CUDA out of memory" in every.rows[6]


def test_when_every_trial_has_a_score_none_is_said_to_lack_one(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [90])
    study.trial(1, "scratch", "none", [95])
    assert read(study)["trials"].lead.endswith("lie within 5 of each other in FD (efficientnet_lite0).")


def test_at_most_ten_trials_are_best(new_study):
    study = new_study()
    for number in range(12):
        study.trial(number, "mdi", "both", [100 - number])
    section = read(study)["trials"]
    assert [row[0] for row in section.sheets[0].rows] == [str(n) for n in range(11, 1, -1)]
    assert section.lead.startswith("The 10 best of 12 trials with a score lie within 9 of each other")


def test_curves_say_how_much_sooner_the_winner_got_there(found):
    assert found["curves"].lead == (
        "Trial 0 (from mdi, both networks) had reached FD (efficientnet_lite0) 110 by 200 images (20 s); trial 3 (from "
        "scratch) needed 300 images (30 s)."
    )


def test_trade_off_states_front_and_rank_correlation(found):
    section = found["trade-off"]
    assert section.title == "FD against IW"
    assert section.lead.startswith("2 of 5 trials on the Pareto front; the two metrics agree")
    assert "0.80" in section.lead


def test_grafts_say_which_cell_is_best_and_how_many_beat_scratch(found):
    assert found["grafts"].lead == (
        "At 200 images seen, the most that every cell with a score reached, mdi (both networks) is best with 90; 3 of "
        "3 cells with transfer beat scratch (190)."
    )


def ranked(study, **ranking):
    """The section of a study that ranked its sources so: its last note, and the table of ranks if there is one."""
    table, spec = load(study.paths.evaluations), study.spec.model_copy(update={"ranking": ranking})
    section = {section.anchor: section for section in sections(table, spec, study.paths)}["grafts"]
    return section.notes[-1], {sheet.caption: sheet for sheet in section.sheets}.get(RANKS)


def test_the_nearest_source_may_be_the_best_one_too(study):
    said, ranks = ranked(study, twemoji=210.0, mdi=200.0, mnist=300.0)
    assert said == (
        "Before any training mdi was the nearest source: its own samples have FD (efficientnet_lite0) 200 to the target; "
        "after 200 images seen it was also the best of 2 sources with a score."
    )
    assert ranks.columns[1:] == [
        "FD (efficientnet_lite0) before training", "rank before", "best FD (efficientnet_lite0) at 200 images",
        "rank after",
    ]  # fmt: skip
    assert ranks.rows == [
        ["mdi", "200", "1", "90", "1"], ["twemoji", "210", "2", "170", "2"], ["mnist", "300", "3", "–", "–"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ranking", "said"),
    [
        ({"twemoji": 200.0, "mdi": 210.0}, "after 200 images seen mdi was the best, and twemoji was number 2 of 2."),
        ({"mnist": 200.0, "mdi": 210.0}, "no trial from it has a score, so whether it is the best one is not known."),
        ({"mdi": 210.0}, "no other source has a score to compare it with."),
    ],
)
def test_a_ranking_that_was_wrong_or_cannot_be_judged_is_called_so(study, ranking, said):
    assert ranked(study, **ranking)[0].endswith(said)


def test_without_a_ranking_nothing_is_said_of_it(study):
    said, ranks = ranked(study)
    assert "nearest" not in said
    assert ranks is None


def test_samples_are_the_last_grids_of_the_best_trial_and_of_scratchs_best(found, study):
    best, scratch = found["samples"].images
    written = (study.paths.samples(0) / "000000400.png").read_bytes()
    assert base64.b64decode(best.uri.removeprefix("data:image/png;base64,")) == written
    assert best.alt == "Grid of images generated by trial 0 (mdi, both networks) after 400 images seen"
    assert scratch.caption == "trial 3 (scratch, nothing transferred), 300 images seen"


def test_what_was_run_holds_spec_protocol_versions_and_digests(found, study):
    section = found["run"]
    facts = dict(section.sheets[0].rows)
    assert facts["protocol: feature extractor"] == "efficientnet_lite0"
    assert facts["protocol: FD (efficientnet_lite0) floor"] == "20"
    assert (facts["version: torch"], facts["digest: domain:phosphor"], facts["trial: seed"]) == ("2.15", "d0", "0, 1")
    assert section.texts[0].body == study.spec.model_dump_json(indent=2)
    assert section.commands[0][1] == search_command(study.spec)


def test_rows_measured_in_different_ways_are_warned_of(study):
    table = load(study.paths.evaluations)
    extractors = ["inception", *table["extractor"].to_pylist()[1:]]
    mixed = table.set_column(table.schema.get_field_index("extractor"), "extractor", [extractors])
    assert "Careful: extractor differ among rows, so their metrics do not compare" in read(study, mixed)["run"].lead


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
        said = "Not enough data" in section.lead and "run `understock resume phosphor-1`" in section.lead
        assert said or anchor == "run" or section.plots, section.lead


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
    found = read(study)
    assert "run the command for more trials under What was run" in found["answer"].lead
    assert found["run"].commands[-1] == (
        "For more trials:",
        search_command(study.spec, name="phosphor-1-more", trials=2),
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (float("nan"), "–"), (1234567, "1,234,567"), (400.0, "400"), (0.00012344, "0.0001234"),
     (4023.4, "4,023"), (123456.7, "123,457"), (-2.51234, "-2.512"), (True, "True"), ("mdi", "mdi")],
)  # fmt: skip
def test_values_read_with_four_digits_and_thousands_apart(value, shown):
    assert text(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(40, "40 s"), (600, "10 min"), (9000, "2.5 h"), (float("nan"), "–")])
def test_durations_have_the_unit_that_suits_them(seconds, shown):
    assert duration(seconds) == shown
