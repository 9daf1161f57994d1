from collections.abc import Callable, Sequence

import numpy as np
import pytest

from search.picking.arms import SCRATCH_ARM, Arm, trial_values
from search.picking.evidence import Dead, Evidence
from search.picking.pick import expected, judge, pattern, rivals, search_gain
from search.picking.verdict import verdict
from search.recommendation import search_size
from spaces.presets import small
from spaces.trials import parse_trial

A, B = Arm.finetuned("a", "both"), Arm.finetuned("b", "both")
RATES = (1e-3, small("t", 32).optim.lr_d)
"""Those of all trials that the fixture makes."""
Make = Callable[..., Evidence]


def said(of: Evidence, target: str, sources: Sequence[str] = ("a", "b"), trials: int = 24) -> str:
    judged = judge(of, target, sources)
    arm = judged.arms[judged.order[0]]
    others = rivals(judged, of, target)
    return "\n".join(
        verdict(of, target, arm, judged.rates[arm], *expected(judged), others, search_gain(judged, trials, None))
    )


CLEAR = {SCRATCH_ARM: [4000, 4100, 3900], A: [1500, 1520, 1480], B: [2200, 2250, 2150]}
CLOSE = {SCRATCH_ARM: [4000, 4100, 3900], A: [1500, 1800, 1650], B: [1550, 1700, 1750]}
SINGLE = {SCRATCH_ARM: [2000], A: [1500], B: [1650]}
WORSE = {SCRATCH_ARM: [1000, 1020, 980], A: [1500, 1520, 1480], B: [2200, 2250, 2150]}


def test_clear_evidence_is_claimed(evidence_of: Make) -> None:
    text = said(evidence_of({"t": CLEAR}), "t")
    assert text.startswith("train from a, both transferred")
    assert "transfer beats scratch with probability" in text
    assert "as a source it beats b (both" in text
    assert "not separate" not in text


def test_what_lies_within_the_seeds_is_not_claimed(evidence_of: Make) -> None:
    text = said(evidence_of({"t": CLOSE}), "t")
    assert "the evidence does not separate it, as a source, from " in text
    assert "as a source it beats" not in text
    assert "transfer beats scratch" in text


def test_one_trial_each_carries_no_claim_however_they_come_out(evidence_of: Make) -> None:
    text = said(evidence_of({"t": SINGLE}), "t")
    assert "the evidence does not separate transfer from scratch" in text
    assert "as a source it beats" not in text


def test_scratch_is_picked_where_it_is_better(evidence_of: Make) -> None:
    text = said(evidence_of({"t": WORSE}), "t")
    assert text.startswith("train from scratch")
    assert "the evidence favours scratch: it beats the best source, a (both), with probability 1.00" in text


def test_the_expected_score_is_what_seeds_gave_and_wider_than_their_mean(evidence_of: Make) -> None:
    judged = judge(evidence_of({"t": CLEAR}), "t", ["a", "b"])
    score, to_scratch = expected(judged)
    assert score is not None
    assert score.expected == pytest.approx(1500, rel=0.02)
    assert score.low < 1480 and score.high > 1520
    assert to_scratch.expected == pytest.approx(1500 / 4000, rel=0.03)


def test_without_trials_of_the_target_there_is_a_ratio_and_no_score(evidence_of: Make) -> None:
    of = evidence_of({"u": CLEAR, "v": CLEAR, "w": CLEAR})
    score, to_scratch = expected(judge(of, "t", ["a", "b"]))
    assert score is None
    assert to_scratch.low < 1500 / 4000 < to_scratch.high
    assert "what FD that comes to is not known: no trial on as many images of target 't' was measured so" in said(
        of, "t"
    )


def test_one_other_target_says_less_than_three(evidence_of: Make) -> None:
    one, three = (judge(evidence_of(dict.fromkeys(targets, CLEAR)), "t", ["a", "b"]) for targets in ("u", "uvw"))
    assert one.order[0] == three.order[0]
    width = [expected(judged)[1].high / expected(judged)[1].low for judged in (one, three)]
    assert width[0] > width[1]


def test_own_trials_outweigh_what_other_targets_say(evidence_of: Make) -> None:
    swapped = {SCRATCH_ARM: CLEAR[SCRATCH_ARM], A: CLEAR[B], B: CLEAR[A]}
    judged = judge(evidence_of({"t": CLEAR, "u": swapped, "v": swapped}), "t", ["a", "b"])
    assert judged.arms[judged.order[0]] == A


def test_the_learning_rate_comes_from_the_best_trials_and_was_tried(evidence_of: Make) -> None:
    rates = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
    bowl = [1500 * np.exp(0.4 * np.log10(rate / 1e-3) ** 2) for rate in rates]
    judged = judge(evidence_of({"t": {SCRATCH_ARM: [4000] * 5, A: bowl}}, rates), "t", ["a"])
    assert judged.rates[A][0] == 1e-3


def test_a_search_gains_nothing_over_what_is_settled_and_something_where_it_is_not(evidence_of: Make) -> None:
    settled, open_ = (judge(evidence_of({"t": scores}), "t", ["a", "b"]) for scores in (CLEAR, CLOSE))
    assert search_gain(settled, 24, None).ratio.low > 0.98
    few, many = (search_gain(open_, trials, None).ratio.low for trials in (3, 300))
    assert many < 0.99
    assert many <= few


def test_hours_become_trials_by_what_a_trial_took(evidence_of: Make) -> None:
    of = evidence_of({"t": CLEAR})
    assert search_size(of, None, 2.0) == (120, 2.0)
    assert search_size(of, 30, None) == (30, 0.5)
    assert search_size(of, None, None) == (24, 0.4)


def test_trials_that_diverged_are_told(evidence_of: Make) -> None:
    of = evidence_of({"t": CLEAR})
    of.dead += [Dead("t", B, RATES, diverged=True)] * 2 + [Dead("t", A, RATES, diverged=False)]
    text = said(of, "t")
    assert (
        "diverged, which counts against it as scores twice the worst would: 2 trials from b, both transferred" in text
    )
    assert "failed, and not counted: 1 trial from a, both transferred" in text


@pytest.mark.parametrize("known", ["t", "u"])
def test_the_pick_moves_away_from_an_arm_whose_trainings_diverge(evidence_of: Make, known: str) -> None:
    """Also on a target of which nothing else is known than that they did."""
    of = evidence_of({known: CLEAR})
    for trainings, picked in ((0, A), *([(1, A)] if known == "t" else []), (3, B)):
        of.dead = [Dead("t", A, RATES, diverged=True)] * trainings
        judged = judge(of, "t", ["a", "b"])
        assert judged.arms[judged.order[0]] == picked, trainings


def test_trainings_that_failed_or_diverged_on_another_target_move_it_less(evidence_of: Make) -> None:
    of = evidence_of({"t": CLEAR})
    for dead in (Dead("t", A, RATES, diverged=False), Dead("u", A, RATES, diverged=True)):
        of.dead = [dead] * 4
        judged = judge(of, "t", ["a", "b"])
        assert judged.arms[judged.order[0]] == A


def test_of_an_arms_rates_those_that_diverged_are_left(evidence_of: Make) -> None:
    of = evidence_of({"t": {SCRATCH_ARM: [4000, 4100], A: [1500, 1520], B: [2200, 2250]}}, lr_g=(1e-3, 2e-3))
    first = judge(of, "t", ["a", "b"]).rates[A]
    of.dead = [Dead("t", A, first, diverged=True)] * 2
    after = judge(of, "t", ["a", "b"]).rates[A]
    assert first != after


def test_the_config_is_the_arms_best_trial_with_the_arm_in_place(evidence_of: Make) -> None:
    of = evidence_of({"t": CLEAR, "u": WORSE})
    like = pattern(of, "t", A)
    assert (like.target, like.arm, like.score) == ("t", A, 1480)
    config = parse_trial(trial_values(like.config.model_dump(), "t", A, (1e-4, 2e-4)), "test")
    assert (config.source, config.transfer.parts, config.optim.lr_g, config.optim.lr_d) == ("a", "both", 1e-4, 2e-4)
    scratch = parse_trial(trial_values(config.model_dump(), "t", SCRATCH_ARM, (1e-4, 2e-4)), "test")
    assert (scratch.source, scratch.transfer.parts) == ("scratch", "none")
