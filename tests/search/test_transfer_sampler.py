"""Proposals by what is known of transfer, in a made-up world."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from search.picking.arms import SCRATCH_ARM, Arm, as_it_is, trial_values
from search.picking.bench import Bench, Network
from search.picking.curves import Curve
from search.picking.evidence import Pool
from search.prior import Prior
from search.transfer_sampler import CONTROL, TransferSampler
from spaces.presets import small
from spaces.trials import parse_trial
from trainables.sources.likeness import Part

SOURCES = ("good", "fair", "poor")
BENCH = Bench("fd", ("efficientnet_lite0", 64, "bicubic", "train", 1_000), Network(32, 16, 128))
GAIN = {"good": -1.0, "fair": -0.6, "poor": -0.2, "scratch": 0.0}
RANKING = {source: float(np.exp(7 + GAIN[source])) for source in SOURCES}
BASE = small("mine", 32)


def cost(parameters: Mapping[str, Any], level: float = 7.0) -> float:
    """The world's score: its best rate is 1e-3."""
    off = (np.log(parameters["optim/lr_g"] / 1e-3) / 2) ** 2
    parts = 0.3 if parameters.get("transfer/parts") == "generator" else 0.0
    return float(np.exp(level + GAIN[parameters["source"]] + parts + 0.2 * off))


def space(trial: optuna.Trial) -> None:
    source = trial.suggest_categorical("source", [*SOURCES, "scratch"])
    trial.suggest_float("optim/lr_g", 1e-4, 1e-2, log=True)
    if source != "scratch":
        trial.suggest_categorical("transfer/parts", ["generator", "both"])
    trial.suggest_int("seed", 0, 9)
    trial.suggest_float("optim/beta2", 0.5, 0.99)


def pool_of(targets: int = 3) -> Pool:
    """Trials on other targets of this world, with curves of three evaluations."""
    pool, rng = Pool(BENCH), np.random.default_rng(0)
    for target in range(targets):
        pool.rankings[f"t{target}"] = {source: np.exp(7 + gain) for source, gain in GAIN.items() if source != "scratch"}
        for number in range(20):
            values = {"source": [*SOURCES, "scratch"][number % 4], "optim/lr_g": float(np.exp(rng.uniform(-9, -5)))}
            parts = "both" if number % 8 < 4 else "generator"
            score = np.log(cost(values | {"transfer/parts": parts}, 6.5 + 0.5 * target)) + rng.normal(0, 0.02)
            arm = SCRATCH_ARM if values["source"] == "scratch" else Arm.finetuned(values["source"], parts)
            optim = {"optim": BASE.optim.model_copy(update={"lr_g": values["optim/lr_g"]})}
            curve = {100: score + 0.4, 200: score + 0.2, 400: float(score)}
            config = BASE.model_copy(update=optim)
            where = "earlier", number + 100 * target, f"t{target}", f"t{target}", arm
            pool.curves.append(Curve(*where, curve, False, 60.0, config))
    return pool


def new_sampler(pool: Pool | None, seed: int = 0) -> TransferSampler:
    prior = Prior.of(pool, "mine", "mine", 400, RANKING)
    return TransferSampler(prior, BASE, space, (), seed, lambda number: RandomSampler(seed=number))


def searched(trials: int, sampler: Callable[[], optuna.samplers.BaseSampler], cut: int | None = None) -> optuna.Study:
    """A search, with a new sampler after `cut` trials."""
    study = optuna.create_study(sampler=sampler())
    for number in range(trials):
        if number == cut:
            study.sampler = sampler()
        trial = study.ask()
        space(trial)
        if number == 2:
            trial.report(cost(trial.params) * 1.5, 100)
            study.tell(trial, state=TrialState.PRUNED)
        elif number == 3:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, cost(trial.params))
    return study


def test_the_first_proposal_is_what_the_other_targets_say() -> None:
    pool = pool_of()
    study = searched(1, lambda: new_sampler(pool))
    assert study.trials[0].params["source"] == "good" and study.trials[0].params["transfer/parts"] == "both"
    assert study.trials[0].value < 1.1 * cost({"source": "good", "transfer/parts": "both", "optim/lr_g": 1e-3})


def test_what_is_fine_tuned_is_as_near_as_all_parts_of_its_likeness_say_and_a_source_as_it_is_as_its_distance() -> None:
    shares = dict(zip(SOURCES, (0.2, 0.9, 0.1), strict=True))
    likeness = {source: {"fd": Part(value=2_000.0), "coverage": Part(value=shares[source])} for source in SOURCES}
    prior = Prior.of(pool_of(), "mine", "mine", 400, dict.fromkeys(SOURCES, 2_000.0), likeness)
    nearness = {source: prior.case(Arm.finetuned(source, "both"), (1e-3, 1e-3)).nearness for source in SOURCES}
    assert nearness["fair"] < nearness["good"] < nearness["poor"]
    assert sum(nearness.values()) == pytest.approx(0)
    assert prior.case(as_it_is("fair"), None).nearness == pytest.approx(0)


def test_rates_that_nobody_varied_are_not_tried_at_the_ends_of_their_range_first() -> None:
    pool = pool_of()
    pool.curves = [replace(each, config=BASE.model_copy(update={"seed": each.trial})) for each in pool.curves]
    study = searched(3, lambda: new_sampler(pool))
    assert all(1.5e-4 < trial.params["optim/lr_g"] < 7e-3 for trial in study.trials)


def test_without_any_trial_it_searches_all_the_same() -> None:
    study = searched(25, lambda: new_sampler(None))
    assert study.best_value < 1.1 * cost({"source": "good", "transfer/parts": "both", "optim/lr_g": 1e-3})


@pytest.mark.parametrize("cut", [None, CONTROL])
def test_one_trial_is_from_scratch_though_it_promises_little_so_that_there_is_what_to_compare_with(
    cut: int | None,
) -> None:
    study = searched(CONTROL + 3, lambda: new_sampler(pool_of()), cut)
    assert [trial.number for trial in study.trials if trial.params["source"] == "scratch"] == [CONTROL]


def test_images_as_they_are_are_not_proposed_and_the_best_so_far_is_none_of_them() -> None:
    def ways(trial: optuna.Trial) -> None:
        trial.suggest_categorical("source", ["good", "fair"])
        if trial.suggest_categorical("method", ["untranslated", "as_is", "finetune"]) == "finetune":
            trial.suggest_float("optim/lr_g", 1e-4, 1e-2, log=True)

    prior = Prior.of(pool_of(), "mine", "mine", 400, RANKING)
    sampler = TransferSampler(prior, BASE, ways, (), 0, lambda number: RandomSampler(seed=number))
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"source": "fair", "method": "untranslated"})
    for score in (1.0, 900.0, 950.0, 990.0):
        trial = study.ask()
        ways(trial)
        study.tell(trial, score)
    assert [trial.params["method"] for trial in study.trials].count("untranslated") == 1
    best = sampler.belief(study.trials).best
    assert best is not None and best == pytest.approx(np.log(900.0))


def begun(study: optuna.Study, values: Mapping[str, Any]) -> optuna.Trial:
    study.enqueue_trial(dict(values))
    trial = study.ask()
    space(trial)
    return trial


def test_where_no_earlier_curve_tells_a_stopped_trial_is_carried_on_as_the_searchs_own_were() -> None:
    sampler, rates = new_sampler(None), {"optim/lr_g": 1e-3, "seed": 0, "optim/beta2": 0.9}
    study = optuna.create_study(sampler=sampler)
    for source in ("poor", "fair"):
        trial = begun(study, {"source": source, "transfer/parts": "both", **rates})
        for images, factor in ((100, 1.5), (400, 1.0)):
            trial.report(cost(trial.params) * factor, images)
        study.tell(trial, cost(trial.params))
    trial = begun(study, {"source": "good", "transfer/parts": "both", **rates})
    trial.report(cost(trial.params) * 1.5, 100)
    study.tell(trial, state=TrialState.PRUNED)
    asked = [sampler._prior.case(Arm.finetuned(source, "both"), (1e-3, BASE.optim.lr_d)) for source in ("good", "fair")]
    good, fair = np.exp(sampler.belief(study.trials).belief.mean(asked).mean(0))
    assert good < 0.85 * fair  # it would have come to 0.67 times that
    alone = sampler.belief(study.trials[2:])  # nothing came through: nothing tells what it would have come to
    assert alone.best is None and len(alone.tried) == 1


def test_a_running_trial_of_a_level_that_no_candidate_has_stands_in_no_ones_way() -> None:
    def sized(trial: optuna.Trial) -> None:
        space(trial)
        trial.suggest_int("data/target_images", 1, 1_000_000)

    prior = Prior.of(pool_of(), "mine", "mine", 400, RANKING)
    sampler = TransferSampler(prior, BASE, sized, (), 0, lambda number: RandomSampler(seed=number))
    study = optuna.create_study(sampler=sampler)
    for _ in range(3):  # all of them run
        sized(study.ask())
    assert {trial.state for trial in study.trials} == {TrialState.RUNNING}


@pytest.mark.slow
def test_a_search_that_is_resumed_goes_on_as_an_unbroken_one() -> None:
    pool = pool_of()
    whole, resumed = (searched(9, lambda: new_sampler(pool), cut) for cut in (None, 5))
    assert [trial.params for trial in whole.trials] == [trial.params for trial in resumed.trials]


def test_another_seed_is_another_search() -> None:
    pool = pool_of()
    first, second = searched(4, lambda: new_sampler(pool, 0)), searched(4, lambda: new_sampler(pool, 1))
    assert [trial.params for trial in first.trials] != [trial.params for trial in second.trials]


def test_conditions_and_what_the_model_does_not_know_are_drawn_by_the_other_sampler() -> None:
    pool = pool_of()
    study = searched(12, lambda: new_sampler(pool))
    for trial in study.trials:
        other = optuna.create_study(sampler=RandomSampler(seed=trial.number)).ask()
        assert trial.params["seed"] == other.suggest_int("seed", 0, 9)
        assert trial.params["optim/beta2"] == other.suggest_float("optim/beta2", 0.5, 0.99)


def test_a_planned_trial_keeps_what_it_was_planned_with() -> None:
    study = optuna.create_study(sampler=new_sampler(pool_of()))
    whole = {"source": "poor", "transfer/parts": "generator", "optim/lr_g": 5e-4, "seed": 3, "optim/beta2": 0.9}
    study.enqueue_trial(whole)
    study.enqueue_trial({"source": "fair"})
    planned = [study.ask() for _ in range(2)]
    for trial in planned:
        space(trial)
    assert planned[0].params == whole
    assert planned[1].params["source"] == "fair" and planned[1].params["transfer/parts"] == "both"


def test_settings_that_fit_no_others_stay_together() -> None:
    def constrained(trial: optuna.Trial) -> None:
        trial.suggest_categorical("source", SOURCES)
        trial.suggest_float("optim/lr_g", 1e-4, 1e-2, log=True)
        if trial.suggest_categorical("method", ["finetune", "projected"]) == "projected":
            trial.suggest_categorical("loss/name", ["hinge"])  # which it is trained by, and never with a penalty
            trial.suggest_categorical("loss/penalty", [0.0])

    prior = Prior.of(pool_of(), "mine", "mine", 400, RANKING)
    sampler = TransferSampler(prior, BASE, constrained, (), 0, lambda number: RandomSampler(seed=number))
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"source": "good", "method": "projected"})
    constrained(trial := study.ask())
    study.tell(trial, 500.0)
    assert sampler.belief(study.trials).best == pytest.approx(np.log(500.0))
    places = {one.place for one in sampler._candidates if one.case.arm.method == "projected"}
    moved = sampler._moved(
        next(one for one in sampler._candidates if one.place in places), np.random.default_rng(0), {}
    )
    assert moved and {one.case.arm.method for one in moved} == {"projected"}


def test_trials_at_once_are_different_ones() -> None:
    study = optuna.create_study(sampler=new_sampler(pool_of()))
    asked = [study.ask() for _ in range(4)]
    for trial in asked:
        space(trial)
    assert len({(t.params["source"], t.params.get("transfer/parts"), t.params["optim/lr_g"]) for t in asked}) == 4


def test_what_costs_little_comes_before_what_promises_a_little_more() -> None:
    pool = pool_of()
    as_is = parse_trial(trial_values(small("t0", 32).model_dump(), "t0", as_it_is("good"), None), "test")
    for target in range(3):
        level = 6.5 + 0.5 * target
        arm = as_it_is("good")
        pool.curves.append(Curve("earlier", 99, f"t{target}", f"t{target}", arm, {0: level - 0.8}, False, 2.0, as_is))

    def with_as_is(trial: optuna.Trial) -> None:
        source = trial.suggest_categorical("source", [*SOURCES, "scratch"])
        if source == "scratch" or trial.suggest_categorical("method", ["finetune", "as_is"]) == "finetune":
            space(trial)

    prior = Prior.of(pool, "mine", "mine", 400, RANKING)
    sampler = TransferSampler(prior, BASE, with_as_is, (), 0, lambda number: RandomSampler(seed=number))
    trial = optuna.create_study(sampler=sampler).ask()
    with_as_is(trial)
    assert trial.params == {"method": "as_is", "source": "good"}


@pytest.mark.slow
def test_more_trials_promise_less_the_more_there_were() -> None:
    sampler = new_sampler(None)
    few, many = (sampler.outlook(searched(count, lambda: new_sampler(None)).trials, 3) for count in (1, 20))
    assert few is not None and many is not None
    assert 0 <= many.low <= many.expected <= many.most < 0.5 * few.most
    assert sampler.outlook([], 3) is None, "without a score there is nothing to gain on"


def test_more_trials_gain_much_where_the_best_source_was_not_tried() -> None:
    sampler = new_sampler(pool_of())
    study = optuna.create_study()
    for _ in range(6):
        study.enqueue_trial({"source": "poor", "transfer/parts": "both", "optim/lr_g": 1e-3})
        space(trial := study.ask())
        study.tell(trial, cost(trial.params))
    outlook = sampler.outlook(study.trials, 10)
    assert outlook is not None and outlook.trials == 10
    truth = 1 - np.exp(GAIN["good"] - GAIN["poor"])
    assert outlook.low < truth < outlook.most
