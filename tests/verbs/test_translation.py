"""From a translation trial to samples, an export that loads in five lines, and a report."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.records.results import load
from search.records.study import StudyPaths
from trainables.images.domains import write_domain
from trainables.storage.home import Home

Run = Callable[..., tuple[int, str, str]]


def add(home: Home, name: str, shade: int) -> None:
    """40 squares at places of their own, the same ones in every shade."""
    images = np.full((40, 3, 32, 32), 255, np.uint8)
    for number, image in enumerate(images):
        image[:, number % 7 * 2 : number % 7 * 2 + 12, number // 7 * 2 : number // 7 * 2 + 12] = shade
    names = [f"square {number}" for number in range(40)]
    held_out = np.arange(40) % 4 == 0
    write_domain(home.domain(name), images, np.full(40, -1), held_out, origin="test", resizer="none", names=names)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the home with the trained translator is kept, which no test changes."""
    return tmp_path_factory.mktemp("once") / "home"


@pytest.fixture
def translated(home: Home, run: Run, tmp_path: Path, once: Path) -> str:
    if once.exists():
        shutil.copytree(once, home.root, dirs_exist_ok=True)
        return "t"
    add(home, "grey", 120)
    add(home, "black", 0)
    config = {
        "target": "black",
        "source": "grey",
        "method": "cyclegan",
        "data": {"target_images": 15},
        "translator": {"width": 2, "blocks": 1},
        "protocol": {"metrics": ["fd", "pair_error", "content_shift"], "input_size": 32, "n_fake": 16},
        "budget": {"images": 16, "eval_every_images": 8, "eval_start": True},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, _, said = run(f"train black --config {tmp_path / 'config.json'} --name t --threads 1")
    assert code == 0, said
    shutil.copytree(home.root, once)
    return "t"


@pytest.mark.slow
def test_held_out_source_images_are_translated_beside_what_they_are(translated: str, run: Run, tmp_path: Path) -> None:
    code, said, _ = run(f"sample {translated} -n 9 -o {tmp_path / 's.npz'}")
    assert code == 0 and said.startswith("9 samples of ")
    found = np.load(tmp_path / "s.npz", allow_pickle=False)
    assert found["images"].shape == found["inputs"].shape == (9, 3, 32, 32)
    assert (found["inputs"] == 120).any((1, 2, 3)).all()


@pytest.mark.slow
def test_a_users_own_images_are_translated(translated: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    for number in range(3):
        Image.new("RGB", (50, 40), (number, 90, 90)).save(tmp_path / "own" / f"{number}.png")
    assert run(f"sample {translated} --inputs {tmp_path / 'own'} -o {tmp_path / 's.npz'}")[0] == 0
    inputs = np.load(tmp_path / "s.npz", allow_pickle=False)["inputs"]
    assert inputs[:, 0, 0, 0].tolist() == [0, 1, 2] and inputs.shape == (3, 3, 32, 32)
    assert run(f"sample {translated} --inputs {tmp_path / 'own'} -n 2 -o {tmp_path / 'two'}")[0] == 0
    assert len(list((tmp_path / "two").iterdir())) == 2
    (tmp_path / "own" / "broken.png").write_bytes(b"none")
    (tmp_path / "empty").mkdir()
    for folder, reason in (("own", "broken.png can't be used"), ("empty", "has no images"), ("no", "is no folder")):
        code, _, said = run(f"sample {translated} --inputs {tmp_path / folder} -o {tmp_path / 'x'}")
        assert code == 2 and reason in said and len(said.splitlines()) == 1


@pytest.mark.slow
def test_an_export_translates_in_five_lines(translated: str, run: Run, tmp_path: Path) -> None:
    assert run(f"export {translated} -o {tmp_path / 'out'} --format hub")[0] == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "README.md",
        "about.json",
        "samples.png",
        "generator.safetensors",
        "model.json",
        "config.json",
    }
    run(f"sample {translated} -n 5 -o {tmp_path / 's.npz'}")
    found = np.load(tmp_path / "s.npz", allow_pickle=False)
    # the five lines
    import torch

    from trainables.methods.registry import open_sampler
    from trainables.using.drawing import Inputs

    images = open_sampler(tmp_path / "out")(5, 0, Inputs(torch.from_numpy(found["inputs"]))).images
    assert np.array_equal(images, found["images"])
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Source domain grey: licence **unknown**" in card and "pipeline_tag: image-to-image" in card


@pytest.mark.slow
def test_the_report_shows_source_images_and_what_became_of_them(translated: str, run: Run, tmp_path: Path) -> None:
    code, _, said = run(f"report {translated} -o {tmp_path / 'r.html'}")
    assert code == 0, said
    page = (tmp_path / "r.html").read_text()
    assert "held-out images of grey, as they are" in page
    assert "over training, 8 images; from top to bottom: the source images, then after 0, 8, 16 images seen" in page
    assert run(f"report {translated} -o {tmp_path / 'r.md'}")[0] == 0
    text = (tmp_path / "r.md").read_text()
    assert ". Translation" in text and "Every trial that translates" in text and "pair error of untranslated" in text


def test_what_is_measured_of_translations_is_in_the_table(translated: str, home: Home) -> None:
    rows = load(StudyPaths.of(home, translated).evaluations).to_pylist()
    for row in rows:
        assert row["pair_error"] > 0 and row["content_shift"] > 0
        # squares of 12 pixels a side, 120 grey levels apart
        assert row["pair_error_untranslated"] == pytest.approx(12 * 12 * 120 / (32 * 32 * 255))
        assert row["content_shift_unrelated"] > 0 and (row["pair_n"], row["content_n"]) == (10, 16)


@pytest.mark.slow
def test_a_model_of_noise_translates_nothing(
    home: Home, run: Run, tiny_config: Callable, tiny_domain: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(tiny_config().model_dump_json())
    assert run(f"train dots --config {tmp_path / 'config.json'} --name g --threads 1")[0] == 0
    code, _, said = run(f"sample g --inputs {tmp_path} -o {tmp_path / 's.png'}")
    assert code == 2 and "translates no images; leave out --inputs" in said
