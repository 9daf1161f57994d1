import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spaces.errors import UserError
from trainables.images.importing.files import folder_origin, parquet_origin


def place(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(root / name, format="PNG")


def listed(root):
    """(name, label, split) of every item."""
    return [(item.name, item.read()[1], item.split) for item in folder_origin(root).items]


def test_class_folders_are_labels_in_alphabetical_order(tmp_path):
    place(tmp_path, "dog/1", "cat/deep/2", "ant/3", "loose")
    assert listed(tmp_path) == [("ant/3", 0, None), ("cat/deep/2", 1, None), ("dog/1", 2, None), ("loose", -1, None)]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Test"])
def test_train_and_val_folders_are_the_split(tmp_path, validation):
    place(tmp_path, "train/b/1", "train/a/2", f"{validation}/b/3", f"{validation}/4")
    assert sorted(listed(tmp_path), key=lambda item: item[0][-1]) == [
        ("train/b/1", 1, "train"),
        ("train/a/2", 0, "train"),
        (f"{validation}/b/3", 1, "val"),
        (f"{validation}/4", -1, "val"),
    ]


def test_files_outside_the_split_folders_are_skipped(tmp_path):
    place(tmp_path, "train/1", "val/2", "extra/3", "4")
    origin = folder_origin(tmp_path)
    assert origin.total == len(list(origin.items)) == 2
    assert [(s.file, s.reason) for s in origin.skipped] == [
        ("4", "not in train or val"),
        ("extra/3", "not in train or val"),
    ]


def test_a_train_folder_alone_is_a_class(tmp_path):
    place(tmp_path, "train/1", "cats/2")
    assert listed(tmp_path) == [("cats/2", 0, None), ("train/1", 1, None)]


def test_hidden_files_and_folders_are_ignored(tmp_path):
    place(tmp_path, "a", ".b", ".thumbnails/c", "d/.e")
    assert listed(tmp_path) == [("a", -1, None)]
    assert folder_origin(tmp_path).skipped == []


def test_links_are_followed_once(tmp_path):
    place(tmp_path, "elsewhere/1", "root/2")
    (tmp_path / "root" / "cats").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root")
    assert [name for name, *_ in listed(tmp_path / "root")] == ["2", "cats/1"]


def test_a_pipe_in_the_folder_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (item,) = folder_origin(tmp_path).items
    with pytest.raises(ValueError, match="not a regular file"):
        item.read()


def test_names_that_are_not_utf_8_are_made_printable(tmp_path):
    place(tmp_path, os.fsdecode(b"caf\xe9"))
    assert listed(tmp_path) == [("caf\ufffd", -1, None)]


def png(value):
    buffer = io.BytesIO()
    Image.new("L", (4, 4), value).save(buffer, format="PNG")
    return buffer.getvalue()


def written(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def rows(path, column=None):
    """(pixel, label, split) of every item."""
    samples = ((item.read(), item.split) for item in parquet_origin(path, column).items)
    return [(int(np.asarray(image)[0, 0]), label, split) for (image, label), split in samples]


def test_parquet_gives_bytes_label_and_split(tmp_path):
    path = written(
        tmp_path / "a.parquet",
        label=[3, None, -1, 0],
        picture=[png(i) for i in range(4)],
        split=["train", "Validation", None, "test"],
    )
    assert rows(path) == [(0, 3, "train"), (1, -1, "val"), (2, -1, None), (3, 0, "val")]
    assert parquet_origin(path, None).total == 4


def test_parquet_in_hugging_face_style(tmp_path):
    images = [{"bytes": png(9), "path": "a.png"}, {"bytes": None, "path": "b.png"}]
    first, second = parquet_origin(written(tmp_path / "a.parquet", image=images, label=[1, 2]), None).items
    assert first.read()[1] == 1
    with pytest.raises(ValueError, match="no bytes"):
        second.read()


def test_a_label_column_of_text_is_left_out(tmp_path):
    assert rows(written(tmp_path / "a.parquet", image=[png(5)], label=["cat"])) == [(5, -1, None)]


def test_of_several_columns_the_one_called_image_is_taken_or_the_one_asked_for(tmp_path):
    path = written(tmp_path / "a.parquet", mask=[png(1)], image=[png(2)])
    assert rows(path) == [(2, -1, None)]
    assert rows(path, "mask") == [(1, -1, None)]


@pytest.mark.parametrize(
    ("columns", "asked", "message"),
    [
        ({"a": [b"1"], "b": [b"2"]}, None, "several columns hold bytes: a, b; say which with --image-column"),
        ({"a": [b"1"], "n": [2]}, "n", "no column 'n' of bytes; columns of bytes: a"),
        ({"n": [2]}, None, r"no column of image bytes, only n \(int64\)"),
    ],
)
def test_parquet_without_one_clear_image_column_is_refused(tmp_path, columns, asked, message):
    with pytest.raises(UserError, match=message):
        parquet_origin(written(tmp_path / "a.parquet", **columns), asked)


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(UserError, match="column 'split' holds 'holdout'; expected train, val"):
        rows(written(tmp_path / "a.parquet", image=[png(0)], split=["holdout"]))


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: b"PK\3\4" + data[4:-4], lambda data: b""])
def test_a_damaged_parquet_file_is_refused(tmp_path, damage):
    path = written(tmp_path / "a.parquet", image=[png(0)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="isn't a Parquet file, or it is damaged"):
        parquet_origin(path, None)


def test_damage_inside_a_parquet_file_is_found_on_the_way(tmp_path):
    path = written(tmp_path / "a.parquet", image=[png(i) for i in range(200)])
    data = bytearray(path.read_bytes())
    data[4:600] = bytes(596)
    path.write_bytes(data)
    with pytest.raises(UserError, match="it is damaged"):
        rows(path)
