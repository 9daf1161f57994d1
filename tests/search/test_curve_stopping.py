"""Curves carried on to a budget, and trials that are stopped by what theirs promises."""

import errno
import math
import os
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.findings.spending import believed
from analysis.study_data import StudyData
from search.curve_stopping import CurveStopping, beliefs_of
from search.launch import resolve_study
from search.picking.arms import Arm
from search.picking.curves import Curve
from search.picking.extrapolation import Extrapolation
from search.records.study import StudyPaths, StudySpec, rung_images
from search.running.ledger import Ledger
from search.running.live import View
from search.running.run import Run
from search.running.stopping import scheduler_of
from spaces.errors import UserError
from spaces.presets import small
from trainables.storage.home import Home, StorageError

New = Callable[..., tuple[StudyPaths, StudySpec]]
IMAGES = (1_000, 2_000, 4_000, 8_000)
DOGS, HOOFED = Arm.finetuned("dogs", "both"), Arm.finetuned("hoofed", "generator")


def curve(trial: int, arm: Arm, rng: np.random.Generator, final: float = 5.0, steep: float = 0.3) -> Curve:
    b = steep + rng.normal(0, 0.05)
    scores = {n: final + b * ((n / 8_000) ** -0.5 - 1) + rng.normal(0, 0.02) for n in IMAGES}
    return Curve("s", trial, "cats", "cats", arm, scores, False, 60.0, small("cats", 32))


@pytest.fixture(scope="module")
def told() -> Extrapolation:
    rng = np.random.default_rng(0)
    steep = [curve(i, DOGS, rng, rng.normal(5, 1), 0.5) for i in range(12)]
    return Extrapolation([*steep, *(curve(i, HOOFED, rng, rng.normal(5, 1), 0.1) for i in range(12))], 8_000)


@pytest.mark.parametrize(("arm", "steep"), [(DOGS, 0.5), (HOOFED, 0.1)])
def test_a_kind_that_falls_steeply_is_expected_to_fall_further(told: Extrapolation, arm: Arm, steep: float) -> None:
    found = told.outcome(arm, "cats", {1_000: 6.0})
    assert found is not None
    assert found.mean == pytest.approx(6.0 - steep * (8**0.5 - 1), abs=0.1)


def test_intervals_hold_nine_in_ten_and_narrow_with_every_evaluation(told: Extrapolation) -> None:
    rng = np.random.default_rng(1)
    held, spreads = [], []
    for number in range(60):
        new = curve(number, DOGS, rng, rng.normal(5, 1), 0.5)
        found = [told.outcome(DOGS, "cats", {n: new.scores[n] for n in IMAGES[:count]}) for count in (1, 2, 3)]
        held += [abs(new.scores[8_000] - each.mean) < 1.645 * each.spread for each in found if each]
        spreads.append([each.spread for each in found if each])
    assert np.mean(held) > 0.8
    assert (np.diff(spreads, axis=1) < 0).all()


def test_curves_that_go_beyond_the_budget_tell_of_the_budget() -> None:
    rng = np.random.default_rng(3)
    long = [curve(i, DOGS, rng, 5.0, 0.5) for i in range(12)]
    cut = [replace(each, scores={n: s for n, s in each.scores.items() if n <= 2_000}) for each in long]
    ours, theirs = (Extrapolation(told, 2_000).outcome(DOGS, "cats", {1_000: 6.0}) for told in (long, cut))
    assert ours is not None and theirs is not None and ours.spread < 1.2 * theirs.spread


def test_without_any_curve_and_before_the_first_image() -> None:
    nothing = Extrapolation([], 8_000)
    found = nothing.outcome(DOGS, "cats", {1_000: 6.0})
    assert found is not None and found.mean < 6.0 and found.spread > 0.3
    assert nothing.outcome(DOGS, "cats", {0: 6.0}) is None
    assert found.below(20.0) > 0.99 and found.improvement(6.0) > found.improvement(5.0) > 0


def test_a_hopeless_trial_is_stopped_and_one_that_may_win_goes_on() -> None:
    rng = np.random.default_rng(2)
    judge = CurveStopping("cats", 8_000, [curve(i, DOGS, rng) for i in range(9)], small("cats", 32))
    finals = (5.0, 5.3, 5.6)
    for number, final in enumerate(finals):
        for images, score in curve(number, DOGS, rng, final).scores.items():
            judge.see(number, DOGS, images, math.exp(score), images / 10)
    judge.see(
        7, Arm("untranslated", "dogs", "none"), 0, 1.0, 1.0
    )  # near, but nothing that a trial could be stopped for
    late = judge.see(8, DOGS, 4_000, math.exp(6.6), 400.0)
    good = judge.see(9, DOGS, 4_000, math.exp(4.7), 400.0)
    assert late is not None and good is not None
    assert (late.stopped, good.stopped) == (True, False)
    assert late.chance < 0.01 and good.chance > 0.9
    assert late.low < late.score < late.high


def searched(new_study: New) -> tuple[StudyPaths, StudySpec]:
    study = new_study(stopping="curves", trials=8)
    ledger = Ledger(*study)
    for place in range(4):
        number, config = ledger.ask() or pytest.fail("nothing to do")
        for images, more in ((8, 9.0), (16, 4.0), (32, 0.0)):
            row = {"images_seen": images, "iterations": 1, "wall_seconds": images, "fd": 100.0 + 10 * place + more}
            ledger.record(number, config, row)
        ledger.finish(number, config, "completed")
    return study


def test_decisions_are_written_down_once_and_shown_beside_what_came(new_study: New, home: Home) -> None:
    paths, spec = searched(new_study)
    scheduler, config = scheduler_of(Ledger(paths, spec)), spec.base.model_dump_json()

    def told(number: int, fd: float, images: int = 16, **known: object) -> str:
        trial = SimpleNamespace(trial_id=str(number), config={"number": number, "config": config, **known})
        return scheduler.on_trial_result(None, trial, {"images_seen": images, "fd": fd, "wall_seconds": 16.0})

    assert told(2, 124.0, reference=True) == "CONTINUE"
    assert [told(5, 9_000.0), told(6, 90.0), told(7, 9_000.0, evaluated=16)] == ["STOP", "CONTINUE", "CONTINUE"]
    assert told(5, 9_000.0) == "STOP"
    assert [(each.trial, each.stopped) for each in beliefs_of(paths)] == [(2, False), (5, True), (6, False)]
    (data,) = StudyData.of(home, [(paths, spec)])
    spent = data.trials.assign(value=data.trials["fd"])
    assert believed(paths, spent)["came"].fillna(0).tolist() == [120, 0, 0]
    paths.beliefs.write_bytes(paths.beliefs.read_bytes()[:-20])
    assert [each.trial for each in beliefs_of(paths)] == [2, 5]


def test_a_disk_that_is_full_when_a_decision_is_written_down_halts_the_run_and_nothing_is_written_after_that(
    new_study: New, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, spec = searched(new_study)
    run = Run(home, Ledger(paths, spec), View(spec))
    scheduler, config = scheduler_of(run.ledger, run.keep), spec.base.model_dump_json()

    def tell(number: int) -> None:
        trial = SimpleNamespace(trial_id=str(number), config={"number": number, "config": config})
        scheduler.on_trial_result(None, trial, {"images_seen": 16, "fd": 9_000.0, "wall_seconds": 16.0})

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    tell(5)
    monkeypatch.undo()
    assert isinstance(run.halted, StorageError) and "beliefs.jsonl can't be written" in str(run.halted)
    tell(6)
    assert beliefs_of(paths) == []


def test_curves_decide_at_every_evaluation(new_study: New) -> None:
    _, spec = new_study(stopping="curves")
    assert rung_images(spec)[-1] == 32 and len(rung_images(spec)) >= len(rung_images(new_study(name="t")[1]))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"metric": "fd,kd"}, "goes by one metric"),
        ({"metric": "iw"}, "carried on as ratios"),
        ({"early_stopping": False}, "early stopping is off"),
    ],
)
def test_what_curves_can_not_stop_is_refused(
    home: Home, new_study: New, settings: dict[str, object], word: str
) -> None:
    new_study()
    given = {"name": "other", "sources": "seed-7", "stopping": "curves", **settings}
    with pytest.raises(UserError, match=word):
        resolve_study(home, "dots", "quickstart", **given)  # type: ignore[arg-type]
