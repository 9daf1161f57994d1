import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from spaces.config import TrialConfig
from trainables.running import trial
from trainables.storage.home import Home
from trainables.training.checkpoints import forget_fallback, last_state, recorded
from trainables.training.loop import Evaluation, evaluations
from trainables.training.trial_files import TrialFiles

CPU = torch.device("cpu")
Make = Callable[..., TrialConfig]
LONG = {"images": 80, "eval_every_images": 16}


def run_trial(*given: Any) -> Iterator[Evaluation]:
    """The evaluations of a trial, without the progress between them."""
    return evaluations(trial.run_trial(*given))


def first(n: int, config: TrialConfig, home: Home, files: TrialFiles) -> list[Evaluation]:
    """Train to the n-th evaluation, and stop there as a kill does."""
    begun = run_trial(config, home, files, CPU)
    found = [next(begun) for _ in range(n)]
    begun.close()
    return found


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)


def overwrite(path: Path) -> None:
    path.write_bytes(b"\0" * 1000)


def scores(evaluations: list[Evaluation]) -> list[tuple[int, object, object]]:
    return [(item.images_seen, item.losses, item.metrics) for item in evaluations]


def slot_of(evaluation: int, files: TrialFiles) -> Path:
    return files.slots[evaluation % 2]


@pytest.mark.slow
def test_two_checkpoints_are_kept_however_long_a_trial_is(home: Home, tiny_config: Make, files: TrialFiles) -> None:
    sizes = []
    for n in (2, 5):
        first(n, tiny_config(budget={"images": 160, "eval_every_images": 16}), home, files)
        sizes.append(sum(path.stat().st_size for path in files.folder.rglob("*.*")))
    assert {path.name for path in files.folder.iterdir()} == {
        "checkpoint-0.safetensors",
        "checkpoint-1.safetensors",
        "model",
        ".training",
    }
    assert sizes[1] - sizes[0] < 9_000  # the histories, some 1 kB an evaluation in each; tensors are over 100 kB


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, overwrite])
@pytest.mark.slow
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(
    home: Home, tiny_config: Make, files: TrialFiles, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    config = tiny_config(budget=LONG)
    first(3, config, home, files)
    damage(slot_of(3, files))
    assert [item.images_seen for item in recorded(files)] == [16, 32]
    resumed = list(run_trial(config, home, files, CPU))
    unbroken = list(run_trial(config, home, TrialFiles(tmp_path / "b", tmp_path / "c"), CPU))
    assert scores(resumed) == scores(unbroken)
    notes = [item.record.get("note") for item in resumed]
    assert notes == [None, None, "checkpoint-1.safetensors damaged: went on from 32 images", None, None]


@pytest.mark.slow
def test_without_a_whole_checkpoint_a_trial_starts_anew_and_says_so(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    config = tiny_config(budget=LONG)
    before = first(3, config, home, files)
    for path in files.slots:
        truncate(path)
    assert recorded(files) == []
    again = list(run_trial(config, home, files, CPU))
    assert scores(again)[:3] == scores(before)
    assert again[0].record["note"] == "checkpoint-0.safetensors and checkpoint-1.safetensors damaged: started anew"
    assert len(again) == 5


def test_a_checkpoint_of_other_tensors_under_the_same_header_is_no_checkpoint(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    from safetensors import safe_open

    first(2, tiny_config(budget=LONG), home, files)
    newest = slot_of(2, files)
    with safe_open(newest, framework="pt") as file:
        about = file.metadata()
    save_file({name: tensor + 1 for name, tensor in load_file(newest).items()}, newest, about)
    assert [item.images_seen for item in recorded(files)] == [16]


@pytest.mark.slow
def test_the_fallback_goes_when_the_trial_is_through(home: Home, tiny_config: Make, files: TrialFiles) -> None:
    found = list(run_trial(tiny_config(budget=LONG), home, files, CPU))
    forget_fallback(files)
    assert [path.is_file() for path in files.slots] == [False, True]
    assert recorded(files) == found
    assert last_state(files).keys()
    forget_fallback(files)
    assert recorded(files) == found


def test_a_model_that_a_kill_left_without_its_place_is_written_again(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    list(run_trial(tiny_config(), home, files, CPU))
    before = load_file(files.model / "generator.safetensors")
    shutil.rmtree(files.model)
    list(run_trial(tiny_config(), home, files, CPU))
    after = load_file(files.model / "generator.safetensors")
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_what_a_kill_left_half_written_goes_with_the_next_training(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    (files.folder / ".model.0123abcd").mkdir(parents=True)
    (files.folder / ".checkpoint-0.safetensors.0123abcd").write_bytes(b"half")
    list(run_trial(tiny_config(), home, files, CPU))
    assert not [path for path in files.folder.iterdir() if path.name.endswith("0123abcd")]
