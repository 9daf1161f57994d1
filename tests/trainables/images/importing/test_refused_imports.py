"""What is no domain: files that hold no set of images, and sets with too few of them. Each is refused in a line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spaces.errors import UserError
from trainables.images.importing.classes_apart import Apart
from trainables.images.importing.importers import add_domain
from trainables.storage.home import Home


def save(seed: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("{tmp}/pets.PNG", "pets.PNG' is one image, and a domain is made of many; give the folder that holds them"),
        ("{tmp}/notes.txt", "notes.txt' is a file of another kind; expected a folder of images, a Parquet file"),
        ("{tmp}/nothing", "nothing' is a file of another kind; expected a folder of images, a Parquet file"),
        ("{tmp}/cut.parquet", "cut.parquet isn't a Parquet file, or it is damaged"),
        ("{tmp}/cut-table", "cut-table isn't a Parquet file, or it is damaged"),
        ("mdi", "no file or folder 'mdi'; for the builtin images give builtin:mdi"),
    ],
)
def test_a_file_that_is_no_set_of_images_is_called_what_it_is(home: Home, tmp_path: Path, what: str, said: str) -> None:
    save(0, tmp_path / "pets.PNG")
    for name, content in (("notes.txt", "hi"), ("nothing", ""), ("cut.parquet", "PAR"), ("cut-table", "PAR1 and")):
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        add_domain(home, "pets", what.format(tmp=tmp_path), 32)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["", "train/"])
def test_one_image_to_train_on_is_too_few_for_a_domain(home: Home, tmp_path: Path, split: str) -> None:
    save(0, tmp_path / "few" / f"{split}0.png")
    save(0, tmp_path / "few" / f"{split}again.png")
    for i in range(1, 4 if split else 1):
        save(i, tmp_path / "few" / "val" / f"{i}.png")
    with pytest.raises(UserError) as caught:
        add_domain(home, "few", str(tmp_path / "few"), 32)
    assert "few' gives domain 'few' 1 distinct image to train on (1 duplicates dropped, 0 files skipped)" in str(
        caught.value
    )
    assert home.names("domains") == []


def test_a_class_set_apart_with_one_image_to_train_on_leaves_no_domain_of_the_others(
    home: Home, tmp_path: Path
) -> None:
    for i in range(20):
        save(i, tmp_path / "pets" / ("train", "val")[i % 2] / ("cat", "dog")[i // 10] / f"{i}.png")
    save(20, tmp_path / "pets" / "train" / "owl" / "20.png")
    save(21, tmp_path / "pets" / "val" / "owl" / "21.png")
    with pytest.raises(UserError, match="gives domain 'pets-unseen' 1 distinct image to train on"):
        add_domain(home, "pets", str(tmp_path / "pets"), 32, unseen=Apart("owl,", 0))
    assert home.names("domains") == []
