"""What is no domain: files that hold no set of images, and sets with too few of them. Each is refused in a line."""

from pathlib import Path

import pytest
from numbered_images import save

from spaces.errors import UserError
from trainables.images.domains import open_domain
from trainables.images.importing.classes_apart import Apart
from trainables.images.importing.importers import add_domain
from trainables.storage.home import Home


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


def test_strict_refuses_what_would_be_skipped(home, folder):
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"1 skipped, the first 'notes.txt': not an image; .*without --strict"):
        add_domain(home, "pets", str(folder), 32, strict=True)
    assert home.names("domains") == []


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz", "SET.7Z"])
def test_an_archive_is_called_one_with_the_cure(home, tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"is an archive; unpack it, and give the folder"):
        add_domain(home, "pets", str(tmp_path / name), 32)


def test_an_existing_name_is_refused_unless_replaced(home, folder):
    add_domain(home, "pets", str(folder), 32)
    with pytest.raises(UserError, match=r"domain 'pets' is there already.*--replace"):
        add_domain(home, "pets", str(folder), 64)
    assert add_domain(home, "pets", str(folder), 64, replace=True).resolution == 64
    assert open_domain(home, "pets").images.shape[-1] == 64


def test_a_failed_replacement_keeps_the_old_domain(home, folder, tmp_path):
    before = add_domain(home, "pets", str(folder), 32)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no usable image"):
        add_domain(home, "pets", str(tmp_path / "empty"), 32, replace=True)
    assert open_domain(home, "pets").facts == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resolution": 48}, "resolution 48 will not do; known: 32, 64, 128, 256, 512, 1024"),
        ({"name": "../pets"}, "domain name '../pets' will not do"),
        ({"val_fraction": 1.0}, "validation fraction 1.0 will not do; give 0 or more, and less than 1"),
        ({"workers": 0}, "0 workers will not do; give 1 or more"),
        ({"image_column": "image"}, "image column 'image' needs a Parquet file"),
        ({"what": "/nowhere"}, "no file or folder '/nowhere'; expected a folder of images, a Parquet file"),
        ({"what": ""}, "no file or folder ''"),
        ({"what": "builtin:cats"}, "unknown builtin domain 'cats'; known: glyphs, mdi, mnist, phosphor, phosphor-bold"),
        ({"what": "torchvision:Faces"}, "unknown torchvision data set 'Faces'; known: CIFAR10, .*CelebA"),
    ],
)
def test_bad_arguments_get_one_clear_line(home, folder, arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        add_domain(home, **{"name": "pets", "what": str(folder), "resolution": 32, **arguments})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "no usable image in .*: it is empty"),
        (["a.txt", "b.md"], "no usable image in .*: 2 skipped, the first 'a.txt': not an image"),
    ],
)
def test_a_folder_without_images_is_refused(home, tmp_path, files, message):
    (tmp_path / "texts").mkdir()
    for name in files:
        (tmp_path / "texts" / name).write_text("hello")
    with pytest.raises(UserError, match=message):
        add_domain(home, "texts", str(tmp_path / "texts"), 32)
