"""The replay's arithmetic on a made-up table: what trainings cost, what is in hand, what each way may know."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow.parquet as pq
import pytest
from optuna.trial import TrialState

from benchmarks.recorded_transfer.export import TABLE
from benchmarks.search_efficiency import calibration, stops, ways
from benchmarks.search_efficiency.made_up import made_up
from benchmarks.search_efficiency.outcomes import outcome, worse_than
from benchmarks.search_efficiency.replay import Replay, by_optuna
from benchmarks.search_efficiency.table import Cell, Run, Target, targets_of
from benchmarks.search_efficiency.ways import WAYS, conditional, flat, grid, papers_selector
from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.recorded import told
from search.picking.transfer_model import Case, Posterior
from search.prediction import shipped
from search.running.suggested import NEAREST
from spaces.presets import small

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def targets() -> list[Target]:
    return targets_of(study for study, _ in told(made_up(seeds=2), None))


@pytest.fixture(scope="module")
def recorded() -> list[Target]:
    return targets_of(study for study, _ in told(pq.read_table(TABLE), None))


def cell(scores: list[list[float]], arm: Arm = SCRATCH_ARM, rates: tuple[float, float] = (1e-3, 1e-3)) -> Cell:
    runs = [Run((10, 20, 30), tuple(own), (1.0, 3.0, 6.0), alive=True) for own in scores]
    return Cell(arm, rates, tuple(runs), small("t", 32))


class Sampled(optuna.samplers.RandomSampler):
    """Notes what it is told of each trial: its state, its last score and its status."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.told: list[tuple[TrialState, float, str | None]] = []

    def after_trial(self, study: Any, trial: Any, state: TrialState, values: Sequence[float] | None) -> None:
        self.told.append((state, trial.intermediate_values[trial.last_step], trial.user_attrs.get("status")))


class Strict(optuna.pruners.BasePruner):
    """Stops all or nothing, and notes where it was asked."""

    def __init__(self, stops: bool) -> None:
        self.stops, self.images = stops, list[int]()

    def prune(self, study: Any, trial: Any) -> bool:
        self.images.append(trial.last_step)
        return self.stops


def target_of(*cells: Cell) -> Target:
    return Target("t", cells, 30, {}, {}, ())


@pytest.mark.slow
def test_a_targets_grid_has_every_arm_at_every_pair_of_rates_and_each_source_as_it_is(targets: list[Target]) -> None:
    assert [target.name for target in targets] == ["cats", "insects", "nature_scenes", "structures"]
    for target in targets:
        assert len(target.sources) == 6 and len(target.cells) == (6 * 3 + 1) * 9 + 6
        assert {len(cell.runs) for cell in target.cells if cell.rates} == {2}
        assert target.grid_seconds == pytest.approx(19 * 9 * 72 + 6 * 4) and target.ranking_seconds == 24


def test_a_cells_true_score_is_the_geometric_mean_over_its_seeds() -> None:
    assert cell([[9.0, 9.0, 4.0], [9.0, 9.0, 1.0]]).true == pytest.approx(2)


def test_one_stopped_early_pays_to_its_rung_and_is_nothing_in_hand() -> None:
    replay = Replay(target_of(cell([[3.0, 2.0, 1.0]])), 0, 100.0)
    _, trial = replay.train(replay.target.cells[0])
    assert next(trial) == (10, 3.0) and next(trial) == (20, 2.0)
    trial.close()
    assert (replay.clock, replay.trace) == (3.0, [])
    replay.to_the_end(replay.target.cells[0])
    assert replay.trace == [(9.0, pytest.approx(1))]


def test_what_looks_best_is_in_hand_and_is_judged_by_its_true_score() -> None:
    lucky, better = cell([[9.0, 9.0, 1.0], [9.0, 9.0, 9.0]]), cell([[9.0, 9.0, 2.0]])
    replay = Replay(target_of(lucky, better), 0, 100.0)
    for one in (better, lucky, lucky):
        replay.to_the_end(one)
    assert [true for _, true in replay.trace] == [pytest.approx(2), pytest.approx(3)]


def test_a_search_is_told_what_it_was_shown_and_not_that_another_seed_of_the_cell_died() -> None:
    through, died = Run((10, 20, 30), (9.0, 9.0, 1.0), (1.0, 3.0, 6.0), True), Run((10,), (5.0,), (1.0,), False)
    both = Cell(SCRATCH_ARM, (1e-3, 1e-3), (died, through), small("t", 32))
    replay, sampler = Replay(target_of(both), 0, 14.0), Sampled()
    by_optuna(replay, sampler, lambda trial: both)
    assert sorted(sampler.told) == [(TrialState.COMPLETE, 1.0, None)] * 2 + [(TrialState.PRUNED, 5.0, "diverged")] * 2
    assert all(math.isinf(true) for _, true in replay.trace) and replay.trace


def test_a_rule_is_asked_at_each_rung_of_the_run_that_is_shown_but_its_end() -> None:
    short = Run((10, 20), (9.0, 8.0), (1.0, 3.0), False)
    whole = Run((10, 20, 30), (9.0, 8.0, 1.0), (1.0, 3.0, 6.0), True)
    both = Cell(SCRATCH_ARM, (1e-3, 1e-3), (short, whole), small("t", 32))
    asked = Strict(stops=False)
    by_optuna(Replay(target_of(both), 0, 8.0), Sampled(), lambda trial: both, asked)
    assert asked.images == [10, 20, 10, 20]


@pytest.mark.parametrize(("spares", "images"), [(True, [10, 20, 10, 10]), (False, [10] * 8)])
def test_ours_trains_the_first_trial_from_scratch_to_its_end_and_no_later_one(spares: bool, images: list[int]) -> None:
    scratch, asked = cell([[9.0, 8.0, 7.0]]), Strict(stops=True)
    by_optuna(Replay(target_of(scratch), 0, 7.5), Sampled(), lambda trial: scratch, asked, spares_scratch=spares)
    assert asked.images == images


class Noted(Replay):
    """Notes the cells that it trains, in their order."""

    def train(self, cell: Cell) -> Any:
        self.__dict__.setdefault("cells", []).append(cell)
        return super().train(cell)


@pytest.mark.parametrize("way", ["transfer", "transfer + ASHA", "transfer + curves"])
def test_a_search_by_what_is_known_begins_with_the_three_nearest_sources(targets: list[Target], way: str) -> None:
    replay = Noted(targets[0], 0, 0.2 * targets[0].grid_seconds)
    WAYS[way](replay, targets[1:])
    begun = replay.__dict__["cells"][:NEAREST]
    assert [cell.arm for cell in begun] == [Arm.finetuned(name, "both") for name in targets[0].sources[:NEAREST]]
    assert {cell.rates for cell in begun} == {(1e-3, 1e-3)}


def test_sources_rank_by_what_came_of_them_on_the_targets_that_are_not_left_out(recorded: list[Target]) -> None:
    target, *others = recorded
    order = ways.ranked(target, tuple(others))
    assert sorted(order) == sorted(target.sources)
    weights = ways.weights_of(tuple(others))
    assert weights is not None and weights != shipped()
    assert ways.prior_of(target, tuple(others), tuple(others))[0].weights == weights
    assert ways.ranked(target, ()) == target.sources


def test_what_is_ours_spares_the_first_trial_from_scratch_and_peers_do_not(
    targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    spared = {}
    for name in WAYS:
        monkeypatch.setattr(ways, "by_optuna", lambda *_, name=name, **said: spared.update({name: said}))
        WAYS[name](Replay(targets[0], 0, 0.0), targets[1:])
    ours = {name for name, said in spared.items() if said.get("spares_scratch")}
    assert ours == {name for name in WAYS if name.startswith(("transfer", "understock", "curves"))}


def test_no_rule_stops_the_first_trial_from_scratch() -> None:
    scratch, again = (cell([[9.0, 8.0, 7.0]], rates=(rate, rate)) for rate in (1e-3, 3e-3))
    tally = stops.Tally()
    stops._run(target_of(scratch, again), [0, 1], tally, lambda *_: True)
    assert (tally.trials, tally.stopped, tally.shares) == (2, 1, [pytest.approx(7 / 12)])


def test_an_interval_is_of_one_training_and_each_of_an_untold_cell_has_its_own() -> None:
    drawn = Posterior(np.zeros((2_000, 2)), np.full(2_000, 0.1), np.zeros(2_000))
    twice = cell([[9.0, 9.0, math.exp(0.5)], [9.0, 9.0, math.exp(-0.5)]])  # their mean would be held
    once, rng = cell([[9.0, 9.0, 1.0]], Arm.finetuned("a", "both")), np.random.default_rng(0)
    assert list(calibration._held(drawn, [twice, once], True, rng)) == [False, False, True]
    assert list(calibration._held(drawn, [once, twice], False, rng)) == [False, False]


def test_a_cell_is_told_by_each_of_its_trainings(monkeypatch: pytest.MonkeyPatch, targets: list[Target]) -> None:
    asked = []

    def told_of(cases: Sequence[Case], logs: Sequence[float], rest: Sequence[Case], draws: int, seed: int) -> Posterior:
        asked.append((len(cases), logs[-2:].tolist()))
        return Posterior(np.zeros((draws, len(rest))), np.ones(draws), np.ones(draws))

    monkeypatch.setattr(calibration, "posterior", told_of)
    twice, other = (
        cell([[9.0, 9.0, 4.0], [9.0, 9.0, 1.0]]),
        cell([[9.0, 9.0, 4.0], [9.0, 9.0, 1.0]], rates=(3e-3, 3e-3)),
    )
    prior, counted = ways.prior_of(targets[0], tuple(targets[1:]), ())[0], calibration.Counted()
    calibration._count(counted, target_of(twice, other), prior, 1, 0)
    assert asked == [(len(prior.cases) + 2, [math.log(4), 0.0])] and counted.intervals == 2


@pytest.mark.slow
def test_the_same_seed_replays_the_same_and_every_way_spends_no_more_than_it_may(targets: list[Target]) -> None:
    for name in ("TPE", "ASHA + random", "best constant source", "understock before"):
        found = [Replay(targets[0], 3, 900.0) for _ in range(2)]
        for replay in found:
            WAYS[name](replay, targets[1:])
            assert replay.trace and replay.clock < 900 + 72 + 20
        assert [true for _, true in found[0].trace] == [true for _, true in found[1].trace]


@pytest.mark.slow
def test_the_whole_grid_holds_the_best_that_was_seen(targets: list[Target]) -> None:
    replay = Replay(targets[0], 0, math.inf)
    grid(replay, [])
    assert replay.clock == pytest.approx(targets[0].grid_seconds)
    assert replay.trace[-1][1] <= 1.1 * targets[0].best


def test_the_papers_selector_pays_for_ranking_and_begins_with_the_nearest_source(targets: list[Target]) -> None:
    replay = Replay(targets[0], 0, 30.0)
    papers_selector(replay, [])
    nearest = min(targets[0].distances, key=lambda source: targets[0].distances[source])
    expected = targets[0].nearest(Arm.finetuned(nearest, "both"), (1e-3, 1e-3))
    assert replay.trace == [(24 + 72, expected.true)]


@pytest.mark.parametrize("layout", [conditional, flat])
@pytest.mark.slow
def test_every_cell_of_a_grid_can_be_suggested(targets: list[Target], layout: type) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    suggest = layout(targets[0])
    found = {id(suggest(study.ask())) for _ in range(3_000)}
    assert len(found) == len(targets[0].cells)


def test_a_pair_of_rates_that_was_not_recorded_is_the_nearest_one() -> None:
    low, high = cell([[1.0, 1.0, 1.0]], rates=(1e-3, 1e-3)), cell([[1.0, 1.0, 1.0]], rates=(3e-3, 3e-3))
    assert target_of(low, high).nearest(SCRATCH_ARM, (1.2e-3, 2e-3)) is low


def test_outcomes_are_read_at_the_same_times_for_all() -> None:
    target = target_of(cell([[3.0, 2.0, 1.0]]), cell([[3.0, 2.0, 1.5]]))
    fast, slow = Replay(target, 0, 100.0), Replay(target, 1, 100.0)
    fast.trace, fast.first = [(2.0, 1.5), (4.0, 1.0)], 2.0
    slow.trace, slow.first = [(8.0, 1.01)], 8.0
    both = outcome("both", target, [fast, slow], 100.0)
    assert list(both.near) == [4.0, 8.0] and both.first == 8.0
    assert math.isinf(both.mean_ratio[0]) and both.mean_ratio[-1] == pytest.approx(math.sqrt(1.01))
    quick, slower = outcome("quick", target, [fast, fast], 100.0), outcome("slower", target, [slow, slow], 100.0)
    assert (worse_than(slower, quick), worse_than(quick, slower)) == (1.0, 0.0)
    assert json.loads(json.dumps(both.as_dict()))["near_seconds"] == [4.0, 8.0]
    assert np.isfinite(both.at(1.0))


@pytest.mark.slow
def test_the_command_writes_what_it_found_and_says_where_there_is_no_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.search_efficiency", "--out", str(tmp_path), "--seeds", "2"]
    ways = ["--ways", "grid in random order;random search"]
    done = subprocess.run([*command, "--made-up", *ways], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "random search" in done.stdout
    found = json.loads((tmp_path / "results.json").read_text())["outcomes"]
    assert len(found) == 8 and found[0]["seconds"][-1] == pytest.approx(0.3 * found[0]["grid_seconds"])
    page = (tmp_path / "results.html").read_text()
    assert "cdn.plot.ly" in page
    assert len(page) < 1_000_000, "brings plotly along, which a page of docs must not"
    missing = subprocess.run([*command, "--table", str(tmp_path / "none")], cwd=ROOT, capture_output=True, text=True)
    assert missing.returncode == 2 and "there is no such table" in missing.stderr
    strange = subprocess.run([*command, "--made-up", "--ways", "luck"], cwd=ROOT, capture_output=True, text=True)
    assert strange.returncode == 2 and "unknown way 'luck'; known: grid in random order" in strange.stderr
