from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spaces.errors import UserError
from trainables.images.samples import Samples, write_samples

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)


def test_an_array_comes_back_as_it_was(tmp_path: Path) -> None:
    write_samples(Samples(torch.from_numpy(IMAGES)), tmp_path / "s.npz")
    assert np.array_equal(np.load(tmp_path / "s.npz", allow_pickle=False)["images"], IMAGES)


def test_a_folder_holds_one_png_an_image(tmp_path: Path) -> None:
    write_samples(Samples(torch.from_numpy(IMAGES)), tmp_path / "s")
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [f"{n:05d}.png" for n in range(5)]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "s" / "00004.png")).transpose(2, 0, 1), IMAGES[4])


def test_a_grid_holds_them_all(tmp_path: Path) -> None:
    write_samples(Samples(torch.from_numpy(IMAGES)), tmp_path / "s.png")
    assert Image.open(tmp_path / "s.png").width > 2 * 32


@pytest.mark.parametrize(
    ("name", "said"),
    [("s.jpg", "suffix '.jpg'"), ("s.gif", "would be a film"), ("there", "new or empty")],
)
def test_an_output_that_can_not_be_written_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "there" / "photos").mkdir(parents=True)
    with pytest.raises(UserError, match=said):
        write_samples(Samples(torch.from_numpy(IMAGES)), tmp_path / name)


def test_translations_stand_beside_what_they_are_of(tmp_path: Path) -> None:
    inputs, images = (torch.full((2, 3, 32, 32), value, dtype=torch.uint8) for value in (10, 200))
    write_samples(Samples(images, inputs=inputs), tmp_path / "s.png")
    grid = np.asarray(Image.open(tmp_path / "s.png"))
    assert grid.shape == (66, 66, 3)
    assert (grid[:32, :32] == 10).all() and (grid[:32, 34:] == 200).all() and (grid[34:, :32] == 10).all()
    write_samples(Samples(images, inputs=inputs), tmp_path / "s.npz")
    assert np.array_equal(np.load(tmp_path / "s.npz", allow_pickle=False)["inputs"], inputs)
