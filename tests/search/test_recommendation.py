from collections.abc import Callable
from typing import Any

import pytest

from search.launch import begin
from search.picking.arms import as_it_is, trial_values
from search.recommendation import Recommendation, recommend, write_recommendation
from search.records.results import load, write_trial
from search.records.study import StudyPaths, StudySpec, open_study
from search.regret import of_home
from search.running.single import read_config, spec_of, train_one
from search.running.tune import run_study
from spaces.errors import UserError
from spaces.trials import parse_trial
from trainables.images.domains import Domain, write_domain
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

Study = Callable[..., tuple[StudyPaths, StudySpec]]
MEASURED = {"extractor": "e", "input_size": 32, "resizer": "r", "split": "train", "n_fake": 24, "metric_seed": 0}
SCORES = {"scratch": [400.0, 410.0, 390.0], "seed-7": [150.0, 152.0, 148.0]}


def written(
    paths: StudyPaths,
    spec: StudySpec,
    scores: dict[str, list[float]] = SCORES,
    before: float | None = None,
    **measured: Any,
) -> None:
    """Finished trials with these scores, by source, a seed each; all measured `before` the first image, where it is given."""
    trials = [(source, seed, score) for source, found in scores.items() for seed, score in enumerate(found)]
    row = MEASURED | measured
    for number, (source, seed, score) in enumerate(trials):
        parts = "none" if source == "scratch" else "both"
        values = spec.base.model_dump() | {"source": source, "seed": seed, "transfer": {"parts": parts}}
        rows = [{"images_seen": spec.base.budget.images, "fd": score, "wall_seconds": 60.0, **row}]
        rows[:0] = (
            [] if before is None else [{"images_seen": 0, "iterations": 0, "fd": before, "wall_seconds": 1.0, **row}]
        )
        config = parse_trial(values, "test")
        write_trial(
            paths.evaluation(number), config, study=spec.name, trial=number, status="completed", evaluations=rows
        )


@pytest.mark.slow
def test_with_nothing_but_a_ranking_nothing_else_is_claimed(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    picked, _ = recommend(home, "dots", sources=["seed-7"])
    assert (picked.score, picked.to_scratch, picked.search, picked.rivals) == (None, None, None, ())
    assert (picked.source, picked.ranking) == ("seed-7", {"seed-7": 1.0})
    assert "no trial of this home is evidence for it" in picked.says[1]
    assert not any("beats" in line for line in picked.says)


def test_trials_of_the_target_lead_to_a_config_that_train_takes(home: Home, new_study: Study, tmp_path: Any) -> None:
    paths, spec = new_study()
    written(paths, spec)
    picked, notes = recommend(home, "dots", hours=0.5)
    assert notes == []
    assert (picked.source, picked.parts, picked.trials_here, picked.rests_on) == ("seed-7", "both", 6, {"s": 6})
    assert picked.score is not None and picked.score.low < 150 < picked.score.high
    assert picked.search is not None and (picked.search.trials, picked.search.hours) == (30, 0.5)
    write_recommendation(tmp_path / "pick.json", picked)
    assert read_config(tmp_path / "pick.json", "dots") == picked.config
    assert picked.config.source == "seed-7"


def trained(home: Home, name: str, picked: Recommendation, score: float) -> None:
    """A study of the one trial that was picked, as `understock train` leaves it, with this score."""
    paths, spec = open_study(home, begin(home, spec_of(home, picked.config, name, threads=1)))
    budget = spec.base.budget.images
    row = {"images_seen": budget, "iterations": 1, "fd": score, "wall_seconds": 60.0}
    write_trial(paths.evaluation(0), spec.base, study=name, trial=0, status="completed", evaluations=[row | MEASURED])


@pytest.mark.parametrize("factor", [10.0, 0.1])
@pytest.mark.slow
def test_trainings_of_what_was_picked_teach_the_next_pick(home: Home, new_study: Study, factor: float) -> None:
    written(*new_study())
    before, _ = recommend(home, "dots")
    for number in range(20):
        config = before.config.model_copy(update={"seed": 10 + number})
        picked = before.model_copy(update={"config": config})
        trained(home, f"again-{number}", picked, 150.0 * factor * (1 + number % 3 / 50))
    after, _ = recommend(home, "dots")
    assert (after.trials_here, before.source) == (26, "seed-7")
    assert before.score is not None and after.score is not None
    if factor > 1:
        assert after.source == "scratch"
    else:
        assert after.score.expected < before.score.expected / 3


@pytest.mark.slow
def test_what_is_picked_was_never_tried_with_its_seed_and_trains_on_all_images(home: Home, new_study: Study) -> None:
    paths, spec = new_study(target_images=20)
    written(paths, spec)
    picked, _ = recommend(home, "dots")
    assert (picked.config.seed, picked.config.data.target_images) == (3, None)
    assert picked.score is None and picked.to_scratch is not None  # at a level that nothing was tried at
    fewer, _ = recommend(home, "dots", target_images=20)
    assert fewer.config.data.target_images == 20 and fewer.score is not None
    trained(home, "again", fewer, 150.0)
    assert recommend(home, "dots")[0].config.seed == 4


def test_trials_on_so_many_of_each_class_are_no_evidence_of_all(home: Home, new_study: Study) -> None:
    written(*new_study(shots=3))
    picked, _ = recommend(home, "dots")
    assert picked.config.data.shots is None and picked.score is None


def test_one_training_measured_otherwise_does_not_displace_a_homes_trials(home: Home, new_study: Study) -> None:
    written(*new_study())
    written(*new_study(name="other"), scores={"seed-7": [1.0]}, n_fake=48)
    assert recommend(home, "dots")[0].rests_on == {"s": 6}


def test_what_training_gains_over_the_source_as_it_is_is_said_or_that_it_is_not_known(
    home: Home, new_study: Study
) -> None:
    paths, spec = new_study()
    written(paths, spec)
    unknown, _ = recommend(home, "dots")
    assert unknown.to_as_is is None
    assert any(line.startswith("what training gains over a source as it is is not known") for line in unknown.says)
    as_is = parse_trial(trial_values(spec.base.model_dump(), "dots", as_it_is("seed-7"), None), "test")
    row = {"images_seen": 0, "iterations": 0, "fd": 300.0, "wall_seconds": 1.0} | MEASURED
    write_trial(paths.evaluation(6), as_is, study="s", trial=6, status="completed", evaluations=[row])
    known, _ = recommend(home, "dots")
    assert known.to_as_is is not None and known.to_as_is.low < 0.5 < known.to_as_is.high
    assert any("its score is" in line and "of that of seed-7 (as is)" in line for line in known.says)


def test_sources_measured_before_a_first_image_are_not_counted_as_trials(home: Home, new_study: Study) -> None:
    written(*new_study(), before=300.0)
    picked, _ = recommend(home, "dots")
    assert (picked.trials_here, picked.rests_on) == (6, {"s": 6})
    assert any(line.startswith("this rests on 6 trials of dots, by") for line in picked.says)
    assert any(line.startswith("beside them 1 score of sources as they are: no trials") for line in picked.says)


def test_what_never_varied_is_not_said_to_gain_nothing(home: Home, new_study: Study) -> None:
    written(*new_study())
    picked, _ = recommend(home, "dots")
    assert picked.search is not None
    assert picked.search.unvaried == ("learning rates", "the networks transferred")
    assert "a search would still gain is not known, as learning rates and the networks" in picked.says[-1]


def test_trials_measured_otherwise_are_noted_and_not_mixed_in(home: Home, new_study: Study) -> None:
    written(*new_study())
    written(*new_study(name="other"), scores={"seed-7": [1.0, 1.0]}, n_fake=48)
    picked, notes = recommend(home, "dots")
    assert picked.rests_on == {"s": 6}
    assert len(notes) == 1
    assert notes[0].startswith("left out, as measured otherwise: 2 trials by fd of 48 samples")


def test_a_source_model_that_was_replaced_leaves_its_trials_behind(
    home: Home, new_study: Study, tiny_source: SourceModel
) -> None:
    from trainables.networks.models import Model
    from trainables.sources.shelf import save_source

    written(*new_study())
    weights = tiny_source.weights()
    weights["generator"]["to_rgb.bias"] = weights["generator"]["to_rgb.bias"] + 1
    facts = tiny_source.facts
    save_source(home.source("seed-7"), facts.model_dump(exclude={"digest"}), Model(facts.networks, weights), b"png")
    picked, _ = recommend(home, "dots")
    (rival,) = [rival for rival in picked.rivals if rival.source == "seed-7"] or [None]
    trials = 0 if rival is None else rival.trials
    assert trials == 0
    assert not any("transfer beats scratch" in line for line in picked.says)


@pytest.mark.slow
def test_after_trainings_of_the_pick_that_diverged_another_is_picked_with_a_seed_that_none_had(
    home: Home, new_study: Study
) -> None:
    written(*new_study(), scores={"scratch": [400.0, 410.0, 390.0], "seed-7": [300.0, 305.0, 295.0]})
    seeds = []
    for number in range(5):
        picked, _ = recommend(home, "dots", sources=["seed-7"])
        seeds.append(picked.config.seed)
        if picked.source == "scratch":
            break
        paths, spec = open_study(home, begin(home, spec_of(home, picked.config, f"own-{number}", threads=1)))
        write_trial(paths.evaluation(0), picked.config, study=spec.name, trial=0, status="diverged", evaluations=[])
    assert 2 <= number < 5 and picked.source == "scratch"
    assert len(set(seeds)) == len(seeds)
    assert any(line.startswith("diverged, which counts against it") for line in picked.says)


def test_the_same_evidence_gives_the_same_pick(home: Home, new_study: Study) -> None:
    written(*new_study())
    assert recommend(home, "dots") == recommend(home, "dots")


def test_regrets_of_a_home_come_with_ranks_also_of_studies_that_had_none(home: Home, new_study: Study) -> None:
    paths, spec = new_study()
    written(paths, spec)
    dots = Domain.open(home.domain("dots"))
    facts = write_domain(
        home.domain("dots2"), 255 - dots.images, dots.labels, dots.is_val, origin="test", resizer="none"
    )
    base = spec.base.model_copy(update={"target": "dots2"})
    digests = spec.digests | {"domain:dots2": facts.digest}
    other = spec.model_copy(update={"name": "s2", "target": "dots2", "base": base, "digests": digests})
    begin(home, other)
    other_paths = StudyPaths.of(home, "s2")
    written(other_paths, other, scores={"scratch": [100.0, 100.0], "seed-7": [150.0, 150.0]})
    other_paths.ranking.unlink()  # as a study of an earlier version is
    _, ways, notes = of_home(home, None)
    regrets = {way.name: {choice.target: choice.regret for choice in way.choices} for way in ways}
    assert notes == []
    assert regrets["rank"] == {"dots": 0, "dots2": pytest.approx(50)}
    assert regrets["always scratch"] == {"dots": pytest.approx(250, abs=1), "dots2": 0}
    assert regrets["pick, from the other targets"] == {"dots": pytest.approx(250, abs=1), "dots2": pytest.approx(50)}


@pytest.mark.ray
def test_what_a_search_found_is_picked_and_trained(home: Home, new_study: Study, grid_code: str, tmp_path: Any) -> None:
    paths, spec = new_study(grid_code, trials=6, sampler="grid", early_stopping=False)
    assert run_study(home, paths, spec) == "complete"
    picked, _ = recommend(home, "dots", sources=["seed-7"])
    assert (picked.rests_on, picked.trials_here) == ({"s": 6}, 6)
    write_recommendation(tmp_path / "pick.json", picked)
    trained, one = train_one(home, read_config(tmp_path / "pick.json", "dots"), "dots-pick", threads=1)
    assert one.base.seed == 2  # the search had 0 and 1
    (score,) = [row["fd"] for row in load(trained.evaluations).to_pylist()]
    assert score not in load(paths.evaluations)["fd"].to_pylist()
    assert recommend(home, "dots", sources=["seed-7"])[0].rests_on == {"s": 6, "dots-pick": 1}


def test_a_source_of_another_network_is_refused(home: Home, new_study: Study) -> None:
    written(*new_study())
    with pytest.raises(
        UserError, match=r"source model 'mdi' has resolution, width, z and family \(32, 16, 128, .resnet.\)"
    ):
        recommend(home, "dots", sources=["mdi"])


@pytest.mark.parametrize("trials", [1, 500])
def test_a_search_of_any_size_is_judged(home: Home, new_study: Study, trials: int) -> None:
    written(*new_study())
    picked, _ = recommend(home, "dots", trials=trials)
    assert picked.search is not None and picked.search.trials == trials
    assert picked.search.ratio.low <= picked.search.ratio.expected <= picked.search.ratio.high
