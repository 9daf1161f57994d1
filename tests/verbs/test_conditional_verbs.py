"""`--conditional` and `--label`, as a user types them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.exhibits import class_grid
from search.records.study import StudyPaths
from spaces.config import TrialConfig
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

Run = Callable[[str], tuple[int, str, str]]


@pytest.mark.slow
def test_a_conditional_training_is_sampled_by_class_and_reported_by_class(
    run: Run,
    home: Home,
    tiny_config: Callable[..., TrialConfig],
    new_source: Callable[..., SourceModel],
    tmp_path: Path,
) -> None:
    new_source("by-class", classes=5)
    protocol = {"metrics": ("fd", "class_accuracy", "mkd"), "input_size": 32, "n_fake": 24}
    network = {"resolution": 32, "width": 2, "z_dim": 8, "classes": 2}
    config = tiny_config(source="by-class", network=network, protocol=protocol)
    (tmp_path / "c.json").write_text(config.model_dump_json())
    code, out, err = run(f"train dots --config {tmp_path / 'c.json'} --name dots-c --threads 1")
    assert code == 0, err
    for label in ("1", "0"):
        assert run(f"sample dots-c -n 4 -o {tmp_path / label}.npz --label {label}")[0] == 0
    images = [np.load(tmp_path / f"{label}.npz")["images"] for label in "10"]
    assert images[0].shape == (4, 3, 32, 32) and not np.array_equal(*images)
    code, _, err = run(f"sample dots-c -n 4 -o {tmp_path / 'x'}.npz --label cat")
    assert code == 2 and "unknown class 'cat'; known: 0, 1" in err
    assert class_grid(StudyPaths.of(home, "dots-c"), 0) is not None
    assert run("report dots-c")[0] == 0
    page = StudyPaths.of(home, "dots-c").report.read_text()
    assert "a row a class in the order of labels" in page and "are of their class (real images" in page
    code, out, _ = run("sources list")
    assert code == 0 and "5 classes by norm" in out


def test_a_class_of_a_model_without_classes_is_refused(run: Run, tmp_path: Path, tiny_config, home: Home) -> None:
    (tmp_path / "c.json").write_text(tiny_config().model_dump_json())
    assert run(f"train dots --config {tmp_path / 'c.json'} --name plain --threads 1")[0] == 0
    code, _, err = run(f"sample plain -n 4 -o {tmp_path / 'x'}.npz --label 1")
    assert code == 2 and "the model knows no classes, so none is called '1'" in err
