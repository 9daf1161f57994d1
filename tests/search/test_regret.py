import json
import math
from collections.abc import Callable
from pathlib import Path
from runpy import run_path

import pytest

from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.curves import Curve
from search.picking.elsewhere import truth
from search.picking.evidence import Evidence, Pool
from search.regret import Way, leave_one_out, of_home
from spaces.errors import UserError
from trainables.sources.likeness import Part
from trainables.storage.home import Home

JUDGING = Path(__file__).parents[2] / "benchmarks" / "judging"
A, B = Arm.finetuned("a", "both"), Arm.finetuned("b", "both")
Make = Callable[..., Evidence]


@pytest.fixture(scope="module")
def paper_ways() -> dict[str, Way]:
    """Ways of choosing on the paper's tables, recalled and unverified, as the benchmark has them."""
    return {way.name: way for way in leave_one_out(run_path(str(JUDGING / "paper_regret.py"))["evidence"]())}


@pytest.fixture
def paper(paper_ways: dict[str, Way]) -> dict[str, float]:
    """Sums of regrets."""
    return {name: way.total for name, way in paper_ways.items()}


@pytest.mark.slow
def test_the_papers_selector_loses_to_always_bedrooms_on_its_own_tables(paper: dict[str, float]) -> None:
    assert paper["the paper's selector"] == pytest.approx(28.88)
    assert paper["always bedrooms"] == pytest.approx(3.12)
    assert paper["always imagenet"] == pytest.approx(8.30)
    assert paper["oracle"] == 0


@pytest.mark.slow
def test_pick_does_no_worse_there_than_the_best_constant_source(paper: dict[str, float]) -> None:
    assert paper["pick, from the other targets"] <= paper["always bedrooms"] + 1e-9


def test_the_tables_say_that_they_are_unverified() -> None:
    assert "UNVERIFIED" in json.loads((JUDGING / "paper_tables.json").read_text())["provenance"]


def test_a_random_source_regrets_the_mean_of_the_sources(paper_ways: dict[str, Way]) -> None:
    flowers = (54.04 + 66.25 + 56.12 + 67.96) / 4 - 54.04
    by_target = {choice.target: choice.regret for choice in paper_ways["random source"].choices}
    assert by_target["flowers"] == pytest.approx(flowers)


def likeness(**distances: float) -> dict[str, dict[str, Part]]:
    return {source: {"fd": Part(value=distance)} for source, distance in distances.items()}


@pytest.fixture
def two_targets(evidence_of: Make) -> Evidence:
    """Targets t and u, sources a and b, ranked alike for both by distance."""
    a_generator = Arm.finetuned("a", "generator")
    of = evidence_of(
        {
            "t": {SCRATCH_ARM: [400, 400], A: [100, 121], a_generator: [90, 90], B: [200, 200]},
            "u": {SCRATCH_ARM: [400, 400], A: [300, 300], B: [150, 150]},
        }
    )
    of.rankings = {"t": {"a": 1.0, "b": 2.0}, "u": {"a": 1.0, "b": 2.0}}
    of.likeness = {"t": likeness(a=100, b=110), "u": likeness(a=100, b=110)}
    return of


def test_the_truth_of_an_arm_is_the_geometric_mean_over_seeds(two_targets: Evidence) -> None:
    assert truth(two_targets.of("t"))[A] == pytest.approx(110)


def test_each_way_of_choosing_is_what_one_works_out_by_hand(two_targets: Evidence) -> None:
    ways = {way.name: {choice.target: choice.regret for choice in way.choices} for way in leave_one_out(two_targets)}
    assert ways["oracle"] == {"t": 0, "u": 0}
    assert ways["always a"] == {"t": pytest.approx(20), "u": pytest.approx(150)}  # with both: the paper's parts
    # a is the nearer one, and b did better on u, a on t: each outweighs likeness where it is the other target
    assert ways["rank"] == {"t": pytest.approx(110), "u": pytest.approx(150)}
    assert ways["the paper's selector"] == {"t": pytest.approx(20), "u": pytest.approx(150)}
    assert ways["best source of the other targets"] == {"t": pytest.approx(110), "u": pytest.approx(150)}
    assert ways["random source"]["t"] == pytest.approx(65)
    assert ways["always scratch"] == {"t": pytest.approx(310), "u": pytest.approx(250)}


def test_pick_knows_nothing_of_the_target_that_is_left_out(two_targets: Evidence) -> None:
    of = two_targets
    before = {way.name: way for way in leave_one_out(of)}["pick, from the other targets"].choices[0].took
    without = of.without("t")
    assert not without.of("t") and without.of("u") == of.of("u")
    assert before == "b (both)"  # all that target u shows


def test_a_target_that_is_left_out_does_not_say_how_far_stopped_trials_of_others_would_have_come(
    evidence_of: Make,
) -> None:
    """On t trials halve their score from 6,000 to 12,000 images; on u, where one was stopped half-way, they stay as they are."""
    of = evidence_of({"t": {A: [100], B: [100]}, "u": {A: [200], B: [300]}})
    pool = Pool(of.bench)
    for one in of.tried:
        last = math.log(one.score)
        scores = {6_000: last + (math.log(2) if one.target == "t" else 0), 12_000: last}
        if stopped := (one.target, one.arm) == ("u", B):
            del scores[12_000]
        where = one.study, one.trial, one.target, one.level, one.arm
        pool.curves.append(Curve(*where, scores, stopped, 60.0, one.config))
    with_t, known = pool.at(12_000), pool.without("t").at(12_000)
    assert truth(with_t.of("u"))[B] < 250
    assert truth(known.of("u")) == {A: pytest.approx(200), B: pytest.approx(300)}
    assert known.targets == ["u"]


def test_rank_knows_nothing_of_what_came_of_sources_on_the_target_that_is_left_out(evidence_of: Make) -> None:
    scores = {"t": {A: [100], B: [200]}, "u": {A: [300], B: [300]}}
    of = evidence_of(scores)
    of.likeness = {"t": likeness(a=110, b=100), "u": likeness(a=100, b=100)}
    took = {choice.target: choice.took for choice in next(w for w in leave_one_out(of) if w.name == "rank").choices}
    assert took == {"t": "b (both)", "u": "a (both)"}  # on u a is chosen for what it did on t, on t nearness decides


def test_a_home_without_two_targets_is_a_users_mistake(home: Home) -> None:
    with pytest.raises(UserError, match="studies of two targets at least, measured alike"):
        of_home(home, None)


@pytest.mark.filterwarnings("error")
def test_no_source_is_drawn_at_random_where_none_was_tried(evidence_of: Make) -> None:
    mixture = Arm("mixture", None, "none")
    of = evidence_of({"t": {SCRATCH_ARM: [100], mixture: [90]}, "u": {SCRATCH_ARM: [100], A: [90], B: [120]}})
    ways = {way.name: way for way in leave_one_out(of)}
    assert {"oracle", "always scratch"} <= ways.keys()
    assert not {"random source", "always a", "the paper's selector"} & ways.keys()
    assert all(math.isfinite(way.mean_ratio) for way in ways.values())
