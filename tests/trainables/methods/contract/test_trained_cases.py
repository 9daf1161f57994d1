"""What every method's trial leaves: it resumes, is exported and reports its losses, whatever it does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from case_trials import CPU, Trained, files_in, learner_of, numbers
from method_cases import CASES, EVERY_CASE, config_of

from analysis.using.model_exports import copy_model
from search.records.results import LOSSES, load, read_rows, write_trial
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.checkpoints import last_state, recorded, restore
from trainables.training.loop import evaluations
from trainables.using.drawing import draw


@EVERY_CASE
@pytest.mark.slow
def test_a_resumed_trial_equals_an_unbroken_one_bit_for_bit(
    case: str, home: Home, trained: Callable[[str], Trained]
) -> None:
    found = trained(case)
    assert len(found.unbroken) == (2 if CASES[case].moves else 1)
    assert numbers(found.unbroken) == numbers(found.resumed)
    one, other = (last_state(files) for files in found.files)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    samples = [draw(home, files.model, 8, seed=1).images for files in found.files]
    assert torch.equal(*samples)


@EVERY_CASE
@pytest.mark.slow
def test_what_is_written_read_and_exported_gives_the_samples_of_the_learner(
    case: str, home: Home, tmp_path: Path, trained: Callable[[str], Trained]
) -> None:
    files, learner = trained(case).files[0], learner_of(case, home)
    restore(learner, files, config_of(case))
    expected = learner.sample(8, seed=3).images
    assert expected.shape == (8, 3, 32, 32) and expected.dtype == torch.uint8
    copy_model(files.model, tmp_path / "exported")
    for path in (files.model, tmp_path / "exported"):
        assert torch.equal(draw(home, path, 8, seed=3).images, expected), path
        assert not torch.equal(draw(home, path, 8, seed=4).images, expected), path


@EVERY_CASE
@pytest.mark.parametrize("way", ["unbroken", "resumed"])
@pytest.mark.slow
def test_losses_arrive_in_the_table_under_their_own_names(
    case: str, tmp_path: Path, way: str, trained: Callable[[str], Trained]
) -> None:
    known = trained(case)
    found, files = (known.unbroken, known.files[0]) if way == "unbroken" else (known.resumed, known.files[1])
    assert [row.losses for row in found] == [row.losses for row in recorded(files)]
    config, table = config_of(case), tmp_path / "table"
    table.mkdir()
    rows = [evaluation.row() for evaluation in found]
    write_trial(table / "0.parquet", config, study="s", trial=0, status="completed", evaluations=rows)
    names = [set(evaluation.losses) for evaluation in found]
    assert all(bool(each) == bool(CASES[case].moves) for each in names)
    assert [row.get(LOSSES, {}) for row in read_rows(table / "0.parquet")] == [dict(each.losses) for each in found]
    for name in names[0]:
        assert load(table).column(name).to_pylist() == [evaluation.losses[name] for evaluation in found]


@pytest.mark.slow
def test_adas_strength_and_lecams_averages_are_state(home: Home, tmp_path: Path) -> None:
    """Broken off in the middle of the batches that the strength is judged by, and not at 0."""
    next(evaluations(run_trial(config_of("finetune, ada"), home, files_in(tmp_path / "ada"), CPU)))
    state = last_state(files_in(tmp_path / "ada"))
    assert state["ada.p"] > 0 and 0 < state["ada.batches"] < 4 and state["ada.signs"] != 0
    next(evaluations(run_trial(config_of("finetune, lecam, hinge"), home, files_in(tmp_path / "lecam"), CPU)))
    assert last_state(files_in(tmp_path / "lecam"))["lecam.averages"].all()
