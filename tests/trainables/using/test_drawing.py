import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial
from trainables.images.domains import open_domain, write_domain
from trainables.methods.registry import open_sampler, open_z_sampler
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.trial_files import TrialFiles
from trainables.using.drawing import draw
from trainables.using.onnx_files import write_onnx


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Two flat images of one grey."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in "ab":
        Image.new("RGB", (40, 32), (100, 100, 100)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def model(home: Home, tiny_domain: str, tmp_path: Path) -> Path:
    """The model of a trial of a few-shot method that learns nothing."""
    values = {
        "target": tiny_domain,
        "source": "scratch",
        "method": "augmented",
        "data": {"shots": 3},
        "protocol": {"metrics": ("kd",), "input_size": 32, "n_fake": 8},
        "budget": {"images": 16, "eval_every_images": 16},
    }
    files = TrialFiles(tmp_path / "trial", tmp_path / "samples")
    for _ in run_trial(parse_trial(values, "test"), home, files, torch.device("cpu")):
        pass
    return files.model


def test_a_few_shot_model_makes_more_of_a_folder_of_ones_own(home: Home, model: Path, shots: Path) -> None:
    of_mine = draw(home, model, 5, 0, shots_from=shots)
    assert len(of_mine.images) == 5 and of_mine.labels is None
    assert set(of_mine.images.unique().tolist()) <= {99, 100, 101}
    assert torch.equal(of_mine.images, draw(home, model, 5, 0, folder=shots).images)
    assert not torch.equal(of_mine.images, draw(home, model, 5, 0).images)
    with pytest.raises(UserError, match="are of one class, and label '1' would be another"):
        draw(home, model, 5, 0, label="1", shots_from=shots)
    with pytest.raises(UserError, match="makes more of one folder of images; leave out --inputs"):
        draw(home, model, 5, 0, folder=shots, shots_from=shots)


def test_shots_of_several_class_folders_are_not_taken_for_one_class(home: Home, model: Path, shots: Path) -> None:
    for name in ("cats", "owls"):
        shutil.copytree(shots, shots.parent / "both" / name)
    for where in ({"shots_from": shots.parent / "both"}, {"folder": shots.parent / "both"}):
        with pytest.raises(UserError, match="both has folders of 2 classes, 'cats' the first; give that of one class"):
            draw(home, model, 5, 0, **where)
    assert len(draw(home, model, 5, 0, shots_from=shots.parent / "both" / "owls").images) == 5


def test_a_few_shot_model_says_what_it_is_where_z_or_one_network_is_asked_for(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a model that makes more of few images, and has no z"):
        open_z_sampler(model)
    with pytest.raises(UserError, match="makes more of few images, which an ONNX file can't hold"):
        write_onnx(open_sampler(model), tmp_path / "x.onnx", {}, None)


def test_one_that_translates_into_a_class_takes_its_images_and_inputs(
    home: Home, tiny_domain: str, shots: Path, tmp_path: Path
) -> None:
    seen = open_domain(home, tiny_domain)
    write_domain(home.domain("seen"), seen.images, seen.labels, seen.is_val, origin="test", resizer="none")
    values = {
        "target": tiny_domain,
        "source": "seen",
        "method": "funit",
        "width": 2,
        "latent": 4,
        "data": {"shots": 2},
        "training": {"batch": 2},
        "protocol": {"metrics": ("kd",), "input_size": 32, "n_fake": 8},
        "budget": {"images": 2, "eval_every_images": 2},
    }
    files = TrialFiles(tmp_path / "funit", tmp_path / "samples")
    for _ in run_trial(parse_trial(values, "test"), home, files, torch.device("cpu")):
        pass
    of_mine = draw(home, files.model, 5, 0, shots_from=shots)
    assert len(of_mine.images) == 5 and of_mine.inputs is not None and of_mine.inputs.ndim == 4
    assert not torch.equal(of_mine.images, draw(home, files.model, 5, 0).images)
    assert len(draw(home, files.model, None, 0, folder=shots, shots_from=shots).images) == 2
    with pytest.raises(UserError, match="which is asked for no class; leave out --label"):
        draw(home, files.model, 5, 0, label="1", shots_from=shots)


def test_a_model_of_noise_alone_takes_no_shots(
    home: Home, tiny_config: Callable[..., TrialConfig], shots: Path, tmp_path: Path
) -> None:
    config = tiny_config(budget={"images": 16, "eval_every_images": 16}, data={})
    files = TrialFiles(tmp_path / "noise", tmp_path / "samples")
    for _ in run_trial(config, home, files, torch.device("cpu")):
        pass
    with pytest.raises(UserError, match="makes no more of images; leave out --shots-from"):
        draw(home, files.model, 5, 0, shots_from=shots)
