import json
import math

import pytest

from analysis.findings.matrix import before, column, rank_correlation, regret
from spaces.errors import UserError
from spaces.protocol import METRICS

FD = METRICS["fd"]


def test_a_column_holds_each_sources_best_configuration_beside_its_ranks(study):
    found = column(study.data.rows, study.spec, FD, {"twemoji": 1.0, "mdi": 2.0, "mnist": 3.0}).set_index("source")
    assert list(found.index) == ["scratch", "twemoji", "mdi", "mnist"]
    assert found["mean"].fillna(-1).to_dict() == {"scratch": 110, "twemoji": 120, "mdi": 75, "mnist": -1}
    assert found.loc["mdi", ["low", "high", "seeds", "images_seen"]].tolist() == [70, 80, 2, 300]
    assert found["share"].fillna(-9).tolist() == pytest.approx([0, -10 / 110, 35 / 110, -9])
    assert found["after"].fillna(-1).to_dict() == {"scratch": -1, "twemoji": 2, "mdi": 1, "mnist": -1}
    assert found["before"].fillna(-1).to_dict() == {"scratch": -1, "twemoji": 1, "mdi": 2, "mnist": 3}


def test_regret_is_what_the_source_ranked_first_costs_against_the_best(study):
    rows, spec = study.data.rows, study.spec
    assert regret(column(rows, spec, FD, {"twemoji": 1, "mdi": 2}), FD) == 45
    assert regret(column(rows, spec, FD, {"mdi": 1, "twemoji": 2}), FD) == 0
    assert regret(column(rows, spec, FD, {"mdi": 1}), FD) is None


def test_rank_correlation_takes_three_sources(new_study):
    study = new_study()
    for number, (source, value) in enumerate([("mdi", 10), ("twemoji", 20), ("mnist", 30)]):
        study.trial(number, source, "both", [value])
    rows = study.data.rows
    assert rank_correlation(column(rows, study.spec, FD, {"mdi": 1, "twemoji": 2, "mnist": 3})) == pytest.approx(1)
    assert rank_correlation(column(rows, study.spec, FD, {"mdi": 3, "twemoji": 2, "mnist": 1})) == pytest.approx(-1)
    assert rank_correlation(column(rows, study.spec, FD, {"mdi": 1, "twemoji": 2})) is None


def test_a_study_without_trials_has_a_column_without_scores(new_study):
    study = new_study()
    found = column(study.data.rows, study.spec, FD, {})
    assert found["mean"].isna().all()


def test_a_ranking_is_read_part_by_part(study, tmp_path):
    parts = {"fd": {"value": 200.0, "floor": 60.0, "rank": 1.0}, "recall": {"value": None, "floor": None, "rank": None}}
    rows = [{"source": "b", "rank": 2.5, "parts": parts}, {"source": "a", "rank": 1.25, "parts": parts}]
    file = tmp_path / "ranking.json"
    file.write_text(json.dumps({"target": "phosphor", "protocol": {}, "rows": rows}))
    found = before(file, study.spec)
    assert found.ranks == {"a": 1, "b": 2}
    assert found.parts == {"fd": {"a": 200, "b": 200}}


def test_without_a_ranking_the_specs_distances_rank(study, tmp_path):
    spec = study.spec.model_copy(update={"ranking": {"mnist": 9.0, "mdi": 3.0}})
    assert before(tmp_path / "ranking.json", spec).ranks == {"mdi": 1, "mnist": 2}


@pytest.mark.parametrize("text", ["", "[]", '{"rows": [{"source": "a"}]}'])
def test_a_damaged_ranking_is_named(study, tmp_path, text):
    (tmp_path / "ranking.json").write_text(text)
    with pytest.raises(UserError, match=r"ranking\.json can't be read .* remove it"):
        before(tmp_path / "ranking.json", study.spec)


def test_equal_scores_share_a_rank(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [10])
    study.trial(1, "twemoji", "both", [10])
    found = column(study.data.rows, study.spec, FD, {}).set_index("source")
    assert found.loc[["mdi", "twemoji"], "after"].tolist() == [1, 1]
    assert math.isnan(found.loc["mdi", "share"])


def test_the_best_of_many_trials_is_no_match_for_the_best_of_few(new_study):
    study = new_study()
    for seed, value in enumerate((50, 90, 100, 120)):
        study.trial(seed, "mdi", "both", [value], seed=seed)
    study.trial(9, "twemoji", "both", [60])
    found = column(study.data.rows, study.spec, FD, {}).set_index("source")
    assert found.loc["mdi", ["mean", "low", "high", "trials", "after"]].tolist() == [90, 50, 120, 4, 2]


def test_a_trial_that_diverged_counts_against_its_source(new_study):
    study = new_study()
    study.trial(0, "mdi", "both", [50])
    study.trial(1, "mdi", "both", [40, None], status="diverged", seed=1)
    study.trial(2, "twemoji", "both", [60])
    study.trial(3, "scratch", "none", [100])
    found = column(study.data.rows, study.spec, FD, {}).set_index("source")
    assert found["mean"].dropna().to_dict() == {"scratch": 100, "mdi": 75, "twemoji": 60}
    assert found.loc["twemoji", "after"] == 1


def test_a_source_may_be_best_as_it_is(baseline, unbeaten):
    found = column(baseline.data.rows, baseline.spec, FD, {}).set_index("source")
    assert found["way"].fillna("").to_dict() == {"scratch": "none", "mdi": "both", "mnist": "", "twemoji": "as is"}
    assert found["mean"].fillna(-1).to_dict() == {"scratch": 110, "mdi": 75, "mnist": -1, "twemoji": 120}
    assert column(unbeaten.data.rows, unbeaten.spec, FD, {}).set_index("source").loc["mdi", "way"] == "as is"


def test_sections_that_compare_means_say_how_many_trials_these_are_without(new_study):
    from analysis.contents import contents

    study = new_study()
    for number, (source, scores) in enumerate(
        [("mdi", [90, 60]), ("mdi", [200]), ("mdi", [210]), ("twemoji", [85, 62]), ("twemoji", [86, 64])]
    ):
        status = "completed" if len(scores) == 2 else "stopped"
        study.trial(number, source, "both", scores, status=status, optim={"lr_g": 1e-4 * (number + 1)})
    sections = {part.anchor: part.blocks[0] for part in contents([study.data])}
    for anchor in ("matrix", "networks"):
        assert "2 trials were stopped early before that and count in no mean" in " ".join(sections[anchor].notes), (
            anchor
        )
    study.trial(1, "mdi", "both", [200, 190])
    study.trial(2, "mdi", "both", [210, 200])
    assert "stopped early" not in " ".join(
        next(p for p in contents([study.data]) if p.anchor == "matrix").blocks[0].notes
    )


def test_what_has_no_source_is_none_and_images_handed_on_are_no_way_of_using_one(handed_on):
    handed_on.untrained(5, "untranslated", "mdi", 5)
    found = column(handed_on.data.rows, handed_on.spec, FD, {}).set_index("source")
    assert list(found.index) == ["scratch", "mdi", "mnist", "twemoji"]
    assert found["way"].fillna("").to_dict() == {"scratch": "none", "mdi": "as is", "mnist": "", "twemoji": ""}
    assert found["mean"].dropna().to_dict() == {"scratch": 220, "mdi": 50}
