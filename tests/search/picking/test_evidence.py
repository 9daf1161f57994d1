import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from search.launch import resolve_study
from search.picking.arms import SCRATCH_ARM, Arm, as_it_is, trial_values
from search.picking.evidence import Evidence, Pool, gather
from search.records.results import Status, write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial
from trainables.images.domains import write_domain
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

MEASURED = {
    "extractor": "efficientnet_lite0",
    "input_size": 64,
    "resizer": "r",
    "split": "train",
    "n_fake": 24,
    "metric_seed": 0,
}


@pytest.fixture
def study(home: Home, tiny_domain: str, tiny_source: SourceModel) -> Callable[..., StudySpec]:
    """Writes a study of domain dots, source seed-7, with a budget of 900 images, and no trial."""

    def make(name: str, **settings: Any) -> StudySpec:
        spec = resolve_study(
            home, "dots", "quickstart", **{"name": name, "sources": "seed-7", "max_images": 900} | settings
        ).spec
        spec = spec.model_copy(update={"ranking": {"seed-7": 75.0}})
        write_spec(StudyPaths.of(home, name), spec)
        return spec

    return make


def tried(
    home: Home,
    spec: StudySpec,
    number: int,
    curve: dict[int, float],
    source: str = "scratch",
    status: Status = "completed",
    measured: dict[str, Any] = MEASURED,
) -> TrialConfig:
    """A trial with these scores by images seen."""
    parts = "none" if source == "scratch" else "generator"
    values = spec.base.model_dump() | {"source": source, "seed": number, "transfer": {"parts": parts}}
    config = parse_trial(values, "test")
    rows = [
        {"images_seen": n, "fd": fd, "iterations": n, "wall_seconds": n / 10, **measured} for n, fd in curve.items()
    ]
    path = StudyPaths.of(home, spec.name).evaluation(number)
    write_trial(path, config, study=spec.name, trial=number, status=status, evaluations=rows)
    return config


def only(found: tuple[list[Pool], list[str]], images: int = 900) -> Evidence:
    (pool,), notes = found
    assert notes == []
    return pool.at(images)


def scores(evidence: Evidence) -> Sequence[float]:
    return [pytest.approx(one.score) for one in evidence.tried]


def test_a_trial_is_its_last_score_and_its_whole_config(home: Home, study: Callable[..., StudySpec]) -> None:
    spec = study("s")
    config = tried(home, spec, 0, {300: 90.0, 900: 40.0}, source="seed-7")
    evidence = only(gather(home))
    (one,) = evidence.tried
    assert (one.score, one.arm, one.target, one.level, one.seconds, one.error) == (
        pytest.approx(40),
        Arm.finetuned("seed-7", "generator"),
        "dots",
        "dots",
        90,
        0,
    )
    assert one.config == config
    assert evidence.rankings == {"dots": {"seed-7": 75.0}}


def test_a_stopped_trial_is_carried_on_by_the_progress_of_its_kind_with_its_error(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    for number in range(6):
        tried(home, spec, number, {300: 1000.0 + number, 900: 500.0})
        tried(home, spec, 10 + number, {300: 400.0 + number, 900: 360.0}, source="seed-7")
    tried(home, spec, 20, {300: 1800.0}, status="stopped")
    tried(home, spec, 21, {300: 500.0}, source="seed-7", status="stopped")
    *_, scratch, transferred = only(gather(home)).tried
    assert (scratch.score, transferred.score) == (pytest.approx(950, rel=0.06), pytest.approx(440, rel=0.06))
    assert 0 < scratch.error < 0.25 and 0 < transferred.error < 0.25


def test_progress_that_differs_from_trial_to_trial_leaves_a_larger_error(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    for name, ends in (("even", [500.0] * 8), ("uneven", [100.0, 1000.0] * 4)):
        spec = study(name)
        for number, end in enumerate(ends):
            tried(home, spec, number, {300: 1000.0, 900: end})
        tried(home, spec, 20, {300: 1000.0}, status="stopped")
    even, uneven = (gather(home, [name])[0][0].at(900).tried[-1].error for name in ("even", "uneven"))
    assert uneven > 3 * even


def test_a_trial_says_the_more_the_nearer_to_the_budget_it_was_measured(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    tried(home, spec, 0, {100: 300.0, 300: 200.0, 900: 100.0})
    tried(home, spec, 1, {100: 300.0}, status="stopped")
    tried(home, spec, 2, {100: 300.0, 300: 200.0}, status="stopped")
    early, late = only(gather(home)).tried[1:]
    assert 0 < late.error < early.error


def test_where_nobody_went_on_the_budget_is_what_was_reached(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {300: 100.0}, status="stopped")
    assert only(gather(home)).tried == []
    (one,) = only(gather(home), 300).tried
    assert (one.score, one.error) == (pytest.approx(100), 0)


def test_what_diverged_is_counted_and_has_no_score(home: Home, study: Callable[..., StudySpec]) -> None:
    spec = study("s")
    tried(home, spec, 0, {300: 100.0, 900: 50.0})
    tried(home, spec, 1, {300: 10.0}, source="seed-7", status="diverged")
    tried(home, spec, 2, {}, source="seed-7", status="failed")
    evidence = only(gather(home))
    assert scores(evidence) == [50]
    assert {(one.target, one.arm) for one in evidence.dead} == {("dots", Arm.finetuned("seed-7", "generator"))}
    assert sorted(one.diverged for one in evidence.dead) == [False, True]


def test_a_trial_that_was_never_measured_is_of_the_bench_with_its_network(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    base = spec.base.model_dump()
    wide = spec.model_copy(update={"base": parse_trial(base | {"network": {**base["network"], "width": 8}}, "test")})
    tried(home, spec, 0, {900: 50.0})
    tried(home, wide, 1, {900: 50.0})
    tried(home, wide, 2, {900: 50.0})
    tried(home, wide, 3, {}, status="failed")
    lost = {pool.bench.network.width: len(pool.dead) for pool in gather(home)[0]}
    assert lost == {8: 1, base["network"]["width"]: 0}


@pytest.mark.parametrize("other", [{"n_fake": 48}, {"extractor": "other"}, {"split": "val"}, {"resizer": "q"}])
def test_rows_of_another_protocol_are_evidence_of_their_own(
    home: Home, study: Callable[..., StudySpec], other: dict[str, Any]
) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    tried(home, study("t"), 0, {900: 60.0}, measured=MEASURED | other)
    assert sorted(one.score for pool in gather(home)[0] for one in pool.at(900).tried) == [
        pytest.approx(50),
        pytest.approx(60),
    ]
    assert len(gather(home)[0]) == 2


def test_which_z_was_drawn_is_chance_and_no_bench_of_its_own(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    tried(home, study("t"), 1, {900: 60.0}, measured=MEASURED | {"metric_seed": 1})
    assert scores(only(gather(home))) == [50, 60]


def test_a_training_that_two_studies_have_counts_once(home: Home, study: Callable[..., StudySpec]) -> None:
    for name, images, curve in (("s", 900, {0: 90.0, 900: 50.0}), ("t", 1800, {0: 80.0, 900: 52.0, 1800: 45.0})):
        tried(home, study(name, max_images=images), 0, curve, source="seed-7")
    kept = {(one.arm.method, round(one.score)) for one in only(gather(home)).tried}
    assert kept == {("finetune", 50), ("as_is", 75)}  # each as it ended at the budget, and the source as it is
    assert [round(one.score) for one in only(gather(home), 1800).tried if one.arm.method == "finetune"] == [45]


def test_budgets_are_one_bench_and_compare_at_one_of_them(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    tried(home, study("t", max_images=1800), 1, {450: 80.0, 900: 60.0, 1800: 45.0})
    assert scores(only(gather(home))) == [50, 60]
    at_most = only(gather(home), 1800).tried
    assert (at_most[0].score, at_most[1].score) == (pytest.approx(50 * 45 / 60), pytest.approx(45))
    assert at_most[0].error > 0 and at_most[1].error == 0


def pool_of(home: Home) -> Pool:
    return gather(home)[0][0]


def test_one_long_training_does_not_displace_the_trials_of_a_shorter_budget(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    for number in range(6):
        tried(home, spec, number, {300: 100.0, 900: 50.0}, source="scratch" if number % 2 else "seed-7")
    tried(home, study("long", max_images=9000), 0, {1000: 45.0, 9000: 20.0})
    assert pool_of(home).budget("dots") == 900
    evidence = pool_of(home).at(900)
    assert len(evidence.tried) == 7
    assert 45 < evidence.tried[-1].score < 60 or 45 < evidence.tried[0].score < 60


@pytest.mark.parametrize(("end", "budget"), [(40.0, 1800), (60.0, 900)])
@pytest.mark.slow
def test_the_larger_budget_is_favoured_where_curves_still_fall(
    home: Home, study: Callable[..., StudySpec], end: float, budget: int
) -> None:
    short, long = study("s"), study("t", max_images=1800)
    for number, source in enumerate(("scratch", "seed-7", "scratch", "seed-7", "seed-7")):
        tried(home, short, number, {900: 60.0}, source=source)
    for number, source in enumerate(("scratch", "seed-7")):
        tried(home, long, number, {900: 60.0, 1800: end}, source=source)
    assert pool_of(home).budget("dots") == budget


def test_a_trial_measured_before_its_first_image_tells_of_its_source_as_it_is(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    tried(home, spec, 0, {0: 70.0, 900: 50.0}, source="seed-7")
    tried(home, spec, 1, {0: 70.0, 900: 52.0}, source="seed-7")
    tried(home, spec, 2, {0: 500.0, 900: 60.0})
    found = {str(one.arm): one.score for one in only(gather(home)).tried}
    assert found["seed-7 (as is)"] == pytest.approx(75)  # by the ranking, of all images, and not by a rung's few
    assert len(only(gather(home)).tried) == 4
    assert only(gather(home)).tried[-1].rates is None


def test_where_no_ranking_measured_a_source_it_is_as_it_began_by_most_samples(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s").model_copy(update={"ranking": {}})
    write_spec(StudyPaths.of(home, "s"), spec)
    few = MEASURED | {"n_drawn": 8}
    tried(home, spec, 0, {0: 70.0, 900: 50.0}, source="seed-7", measured=few)
    (untouched,) = (curve for curve in pool_of(home).curves if curve.untrained)
    assert (untouched.at_rung, untouched.is_trial) == (True, False)
    tried(home, spec, 1, {0: 68.0, 900: 50.0}, source="seed-7")
    tried(home, spec, 2, {0: 70.0, 900: 50.0}, source="seed-7", measured=few)
    (untouched,) = (curve for curve in pool_of(home).curves if curve.untrained)
    assert (untouched.at_rung, untouched.scores[0]) == (False, pytest.approx(math.log(68)))


def test_a_source_as_it_is_that_no_trial_sampled_is_no_trial(home: Home, study: Callable[..., StudySpec]) -> None:
    spec = study("s")
    tried(home, spec, 0, {0: 70.0, 900: 50.0}, source="seed-7")
    (pool,), _ = gather(home)
    assert (len(pool.curves), len(pool.trials), pool.information("other")) == (2, 1, 1)
    evidence = pool.at(900)
    assert [one.arm.method for one in evidence.trials] == ["finetune"]
    assert evidence.seconds == 90  # a search has no such trial
    as_is = parse_trial(trial_values(spec.base.model_dump(), "dots", as_it_is("seed-7"), None), "test")
    row = {"images_seen": 0, "iterations": 0, "fd": 72.0, "wall_seconds": 1.0, **MEASURED}
    path = StudyPaths.of(home, "s").evaluation(1)
    write_trial(path, as_is, study="s", trial=1, status="completed", evaluations=[row])
    assert {one.trial for one in pool_of(home).at(900).trials} == {0, 1}


def test_all_of_a_targets_images_are_one_level_however_they_were_asked_for(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    whole = spec.base.model_copy(
        update={"data": spec.base.data.model_copy(update={"target_images": spec.train_images})}
    )
    few = spec.base.model_copy(update={"data": spec.base.data.model_copy(update={"target_images": 10})})
    for number, base in enumerate((spec.base, whole, few)):
        tried(home, spec.model_copy(update={"base": base, "name": "s"}), number, {900: 50.0})
    assert [one.level for one in only(gather(home)).tried] == ["dots", "dots", "dots with 10 images"]


def test_seconds_of_a_search_count_early_stopping(home: Home, study: Callable[..., StudySpec]) -> None:
    spec = study("s")
    tried(home, spec, 0, {300: 100.0, 900: 50.0})
    tried(home, spec, 1, {300: 200.0}, status="stopped")
    tried(home, spec, 2, {300: 200.0}, status="stopped")
    assert only(gather(home)).seconds == pytest.approx((90 + 30 + 30) / 3)


def test_trials_of_a_domain_that_was_replaced_are_not_of_the_new_one(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("s")
    tried(home, spec, 0, {900: 50.0})
    path = home.domain("dots")
    from trainables.images.domains import Domain

    domain = Domain.open(path)
    write_domain(path, domain.images[::-1].copy(), domain.labels, domain.is_val, origin="test", resizer="none")
    (name,) = only(gather(home)).targets
    assert name == f"dots@{spec.digests['domain:dots'][:8]}"


def test_a_study_that_can_not_be_read_is_noted_and_refused_by_name(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    study("torn")
    StudyPaths.of(home, "torn").spec.write_text("{")
    found, notes = gather(home)
    assert scores(found[0].at(900)) == [50]
    assert len(notes) == 1 and "torn" in notes[0]
    with pytest.raises(UserError, match="torn"):
        gather(home, ["torn"])


def test_a_gan_that_learnt_by_the_features_it_is_judged_by_is_no_evidence(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    spec = study("a")
    tried(home, spec, 0, {900: 30.0}, "seed-7")
    learnt = {"method": "projected", "source": "seed-7", "protocol": {"metrics": ("iw",)}}
    learnt |= {"loss": {"name": "hinge", "penalty": 0}, "budget": spec.base.budget.model_dump()}
    config = parse_trial({"target": "dots", "network": {"resolution": 32, "width": 2}, **learnt}, "test")
    path = StudyPaths.of(home, "a").evaluation(1)
    rows = [{"images_seen": 900, "fd": 3.0, "iterations": 900, **MEASURED}]
    write_trial(path, config, study="a", trial=1, status="completed", evaluations=rows)
    (pool,), _ = gather(home)
    assert [curve.trial for curve in pool.curves] == [0]


def test_scratch_and_nothing_transferred_are_one_arm(home: Home, study: Callable[..., StudySpec]) -> None:
    tried(home, study("s"), 0, {900: 50.0})
    assert only(gather(home)).tried[0].arm == SCRATCH_ARM


def test_a_trial_costs_training_and_evaluation_and_training_alone_where_no_other_time_was_kept(
    home: Home, study: Callable[..., StudySpec]
) -> None:
    tried(home, study("s"), 0, {900: 50.0}, measured=MEASURED | {"train_seconds": 60.0})
    old = MEASURED | {"train_seconds": 60.0, "wall_seconds": None}
    tried(home, study("t"), 1, {900: 50.0}, measured=old)
    assert [one.seconds for one in only(gather(home)).tried] == [90, 60]
