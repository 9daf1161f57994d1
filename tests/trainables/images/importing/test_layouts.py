from pathlib import Path

import pytest

from spaces.errors import UserError
from trainables.images.importing.layouts import layout, split_folders, split_of


def arranged(*names):
    """What the places of these images mean: {name: (split, class)}, without those that are outside."""
    paths = [Path(name) for name in names]
    found = layout(paths, paths)
    return {str(p): (found.splits.get(p), found.classes.get(p)) for p in paths if p not in found.outside}


@pytest.mark.parametrize(
    ("names", "meaning"),
    [
        pytest.param(
            ["xray/train/ill/1", "xray/train/well/2", "xray/test/ill/3"],
            [("train", "ill"), ("train", "well"), ("val", "ill")],
            id="a wrapper around the splits",
        ),
        pytest.param(["a/b/cats/1", "a/b/dogs/2"], [(None, "cats"), (None, "dogs")], id="wrappers around the classes"),
        pytest.param(["data/1", "data/2"], [(None, None)] * 2, id="a wrapper around nothing else"),
        pytest.param(["train/a/1", "train/b/2"], [(None, "a"), (None, "b")], id="train alone"),
        pytest.param(["train/a/1", "train/b/2", "x"], [("train", "a"), ("train", "b")], id="train and loose images"),
        pytest.param(["test/a/1", "val/b/2"], [("val", None), ("val", None)], id="no training split"),
        pytest.param(
            ["seg_train/seg_train/sea/1", "seg_train/seg_train/ice/2", "seg_test/seg_test/sea/3", "seg_pred/4"],
            [("train", "sea"), ("train", "ice"), ("val", "sea")],
            id="Intel's",
        ),
        pytest.param(
            ["train/n01/images/1", "train/n02/images/2", "val/images/3"],
            [("train", "n01"), ("train", "n02"), ("val", None)],
            id="tiny ImageNet",
        ),
        pytest.param(["train/images/1", "valid/images/2"], [("train", None), ("val", None)], id="Roboflow's"),
        pytest.param(["images/train/1", "images/val/2"], [("train", None), ("val", None)], id="YOLO's"),
        pytest.param(
            ["train/a/1", "train/b/2", "val/a/3"],
            [("train", "a"), ("train", "b"), ("val", "a")],
            id="a class not in val",
        ),
        pytest.param(
            ["train/1", "bus/2", "aeroplane/3"],
            [(None, "train"), (None, "bus"), (None, "aeroplane")],
            id="train the vehicle",
        ),
        pytest.param(
            ["train_station/1", "test_tube/2"],
            [(None, "train_station"), (None, "test_tube")],
            id="classes with the words",
        ),
        pytest.param(["00000/00000", "01000/01000", "01000/01999"], [(None, None)] * 3, id="FFHQ's shards"),
        pytest.param(["0000/1", "0001/1"], [(None, "0000"), (None, "0001")], id="classes called by numbers"),
        pytest.param(["0000/1", "0001/2", "0001/b"], [(None, "0000"), (None, "0001"), (None, "0001")], id="no shards"),
    ],
)
def test_common_layouts(names, meaning):
    assert list(arranged(*names).values()) == meaning


def test_only_where_images_lie_counts():
    paths = [Path(name) for name in ("LICENSE.txt", "labels/train/1.txt", "images/train/1.png", "images/val/2.png")]
    found = layout(paths, paths[2:])
    assert found.splits == {paths[2]: "train", paths[3]: "val"}
    assert (found.outside, found.split_folders) == (paths[:2], ["train", "val"])


def test_several_data_sets_side_by_side_are_refused():
    with pytest.raises(UserError, match=r"side by side: 'testA', 'trainA' and 'testB', 'trainB'; put") as caught:
        split_folders(["trainA", "trainB", "testA", "testB"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00002.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "val"),
        ("default/test/0000.parquet", "val"),
        ("cats_train.parquet", "train"),
        ("train/test-0.parquet", "val"),
        ("contest.parquet", None),
    ],
)
def test_the_split_of_a_file_is_in_its_name_or_its_folder(name, split):
    assert split_of(Path(name)) == split
