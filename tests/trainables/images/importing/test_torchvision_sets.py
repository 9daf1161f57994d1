import json
import struct

import numpy as np
import pytest
from PIL import Image

from spaces.errors import UserError
from trainables.images.importing.importers import add_domain
from trainables.images.importing.torchvision_sets import torchvision_origin
from trainables.storage.home import Home

pytest.importorskip("torchvision")


def picture(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, value, value)).save(path)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def mnist(root):
    for part, values in (("train", [1, 2]), ("t10k", [3])):
        raw = root / "MNIST" / "raw"
        raw.mkdir(parents=True, exist_ok=True)
        images = np.repeat(np.array(values, np.uint8), 28 * 28).tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, len(values), 28, 28) + images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, len(values)) + bytes(values))


def cityscapes(root):
    for value, place in ((1, "train/aachen"), (2, "train/bochum"), (3, "val/lindau")):
        picture(root / "leftImg8bit" / place / "000_leftImg8bit.png", value)
        picture(root / "gtFine" / place / "000_gtFine_instanceIds.png", 0)


def imagenet(root):
    import torch

    torch.save(({"n01": ("cat",), "n02": ("dog",)}, ["n01"]), root / "meta.bin")
    for value, name in ((1, "train/n01/1.png"), (2, "train/n02/2.png"), (3, "val/n02/3.png"), (4, "val/n01/4.png")):
        picture(root / name, value)


def eurosat(root):
    for value, name in ((1, "Forest"), (2, "River")):
        picture(root / "eurosat" / "2750" / name / "1.png", value)


def country211(root):
    for value, part in ((1, "train"), (2, "valid"), (3, "test")):
        picture(root / "country211" / part / "AD" / "1.png", value)


def flowers102(root):
    from scipy.io import savemat

    for value in (1, 2, 3, 4):
        picture(root / "flowers-102" / "jpg" / f"image_{value:05}.jpg", value)
    savemat(root / "flowers-102" / "imagelabels.mat", {"labels": [7, 8, 9, 7]})
    savemat(root / "flowers-102" / "setid.mat", {"trnid": [2, 1], "valid": [3, 3], "tstid": [4, 4]})


def celeba(root):
    base = root / "celeba"
    for value in range(1, 7):
        picture(base / "img_align_celeba" / f"{value}.png", value)
    rows = {"list_eval_partition": "{i}.png {p}\n", "identity_CelebA": "{i}.png 9\n"}
    rows |= dict.fromkeys(("list_attr_celeba", "list_bbox_celeba", "list_landmarks_align_celeba"), "{i}.png 1 1\n")
    for name, row in rows.items():
        header = "" if "1 1" not in row else "6\nx y\n"
        text(base / f"{name}.txt", header + "".join(row.format(i=i, p=(i - 1) // 2) for i in range(1, 7)))


def lfw(root):
    base = root / "lfw-py"
    text(base / "people.txt", "2\n1\nAnn\t2\n1\nBob\t1\n")
    text(base / "lfw-names.txt", "Ann\t2\nBob\t1\n")
    for value, name in ((1, "Ann/Ann_0001.jpg"), (2, "Ann/Ann_0002.jpg"), (3, "Bob/Bob_0001.jpg")):
        picture(base / "lfw_funneled" / name, value)


def places365(root):
    text(root / "categories_places365.txt", "/a/abbey 0\n/b/barn 1\n")
    text(root / "places365_train_standard.txt", "/a/abbey/1.png 0\n/b/barn/2.png 1\n")
    text(root / "places365_val.txt", "3.png 1\n")
    for value, name in ((1, "data_256_standard/a/abbey/1"), (2, "data_256_standard/b/barn/2"), (3, "val_256/3")):
        picture(root / f"{name}.png", value)


def read(name, root):
    """(pixel, label, split) of every item."""
    origin = torchvision_origin(name, root)
    items = list(origin.items)
    assert len(items) == origin.total
    samples = [(*item.read(), item.split) for item in items]
    return [(int(np.asarray(image.convert("L"))[0, 0]), label, split) for image, label, split in samples]


TRAIN_VAL = [(1, 0, "train"), (2, 1, "train"), (3, 1, "val")]


@pytest.mark.parametrize(
    ("name", "lay_out", "rows"),
    [
        ("MNIST", mnist, [(1, 1, "train"), (2, 2, "train"), (3, 3, "val")]),
        ("cityscapes", cityscapes, [(1, -1, "train"), (2, -1, "train"), (3, -1, "val")]),
        ("ImageNet", imagenet, [(1, 0, "train"), (2, 1, "train"), (4, 0, "val"), (3, 1, "val")]),
        ("EuroSAT", eurosat, [(1, 0, None), (2, 1, None)]),
        ("Country211", country211, [(1, 0, "train"), (2, 0, "val")]),
    ],
)
def test_a_set_on_disk_gives_images_labels_and_its_split(tmp_path, name, lay_out, rows):
    lay_out(tmp_path)
    assert read(name, tmp_path) == rows


@pytest.mark.parametrize(
    ("name", "module", "lay_out", "rows"),
    [
        (
            "Flowers102",
            "flowers102",
            flowers102,
            [(2, 7, None), (1, 6, None), *[(3, 8, None)] * 2, *[(4, 6, None)] * 2],
        ),
        ("CelebA", "celeba", celeba, [(1, -1, "train"), (2, -1, "train"), (3, -1, "val"), (4, -1, "val")]),
        ("LFWPeople", "lfw", lfw, [(1, 0, None), (2, 0, None), (3, 1, None)]),
        ("Places365", "places365", places365, TRAIN_VAL),
    ],
)
def test_a_set_whose_checksums_only_the_real_files_have(tmp_path, monkeypatch, name, module, lay_out, rows):
    monkeypatch.setattr(f"torchvision.datasets.{module}.check_integrity", lambda *_, **__: True)
    lay_out(tmp_path)
    assert read(name, tmp_path) == rows


@pytest.mark.parametrize(
    "name", ["CelebA", "Flowers102", "LFWPeople", "Places365", "ImageNet", "Cityscapes", "CIFAR10"]
)
def test_a_set_that_is_not_there_says_where_it_was_looked_for(tmp_path, name):
    with pytest.raises(UserError, match=f"torchvision:{name} isn't in {tmp_path} .*torchvision:{name}:ROOT") as caught:
        torchvision_origin(name, tmp_path)
    assert "\n" not in str(caught.value)
    assert "download=True" not in str(caught.value)


def test_the_default_root_is_in_the_environment(tmp_path, monkeypatch):
    eurosat(tmp_path)
    monkeypatch.setenv("UNDERSTOCK_DATA", str(tmp_path))
    assert torchvision_origin("EuroSAT", None).total == 2


def test_a_training_part_alone_is_split_by_content_and_the_other_recorded(tmp_path):
    for value in range(20):
        picture(tmp_path / "root" / "country211" / "train" / "AD" / f"{value:02}.png", value)
    facts = add_domain(Home(tmp_path), "places", f"torchvision:Country211:{tmp_path / 'root'}", 32, val_fraction=0.5)
    assert facts.train + facts.val == 20
    assert "'split': 'val'" in facts.skipped_files[0].file
    assert 0 < facts.val < 20
    saved = json.loads((tmp_path / "domains" / "places" / "domain.json").read_text())
    assert saved["origin"] == f"torchvision:Country211:{tmp_path / 'root'}"


def test_lsun_reads_every_category_below_the_root(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    for value, name in ((1, "bridge_train"), (2, "tower_train"), (3, "tower_val")):
        picture(tmp_path / "image.png", value)
        with lmdb.open(str(tmp_path / f"{name}_lmdb")) as environment, environment.begin(write=True) as transaction:
            transaction.put(b"key", (tmp_path / "image.png").read_bytes())
    assert read("LSUN", tmp_path) == TRAIN_VAL


def test_sets_that_name_their_classes_keep_the_names(tmp_path):
    country211(tmp_path)
    assert torchvision_origin("Country211", tmp_path).class_names == ["AD"]
    imagenet(tmp_path)
    assert torchvision_origin("ImageNet", tmp_path).class_names == ["cat", "dog"]


def test_lsun_without_its_folders_is_refused(tmp_path):
    pytest.importorskip("lmdb")
    with pytest.raises(UserError, match=r"torchvision:LSUN isn't in .*: no \*_train_lmdb"):
        torchvision_origin("lsun", tmp_path)


@pytest.mark.parametrize("what", ["torchvision:CIFAR10:~nobody-there/x", "~nobody-there/x"])
def test_a_home_directory_that_is_not_there_is_a_line(home: Home, what: str) -> None:
    with pytest.raises(UserError, match="there is no such home directory") as refused:
        add_domain(home, "a", what, 32)
    assert "\n" not in str(refused.value)
