import json
import os

import pytest
from PIL import Image

from spaces.errors import UserError
from trainables.images.importing.folders import folder_origin


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


ONE_FOLDER = "all images lie in folder 'cat', and one alone makes no classes: those are two class folders at least"


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        (["cat/1", "cat/2"], [ONE_FOLDER]),
        (["pets/train/cat/1", "pets/val/cat/2"], [ONE_FOLDER]),
        (["cat/train/1", "cat/val/2"], []),  # a data set of that name
        (["1", "2"], []),
        (["cat/1", "dog/2"], []),
        (["cat/1", "2"], []),
        (["00000/1", "01000/1001"], []),
    ],
)
def test_a_folder_that_holds_all_images_is_no_class_and_a_note_says_so(tmp_path, names, notes):
    place(tmp_path / "pets", *names)
    assert list(folder_origin(tmp_path / "pets").notes) == notes
    assert {label for _, label, _ in listed(tmp_path / "pets")} == {-1} or not notes


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


def test_what_archives_and_disks_add_never_counts(tmp_path):
    place(tmp_path, "x/a/1.png", "x/b/2.png", "__MACOSX/x/a/1.png", "x/a/@eaDir/1.png")
    assert listed(tmp_path) == [("x/a/1.png", 0, None), ("x/b/2.png", 1, None)]
    assert folder_origin(tmp_path).class_names == ["a", "b"]


def test_lists_beside_the_images_do_not_change_the_layout(tmp_path):
    place(tmp_path, "set/train/a/1.png", "set/train/b/2.png", "set/val/a/3.png")
    (tmp_path / "labels.csv").write_text("1.png,a")
    assert [split for *_, split in listed(tmp_path)] == ["train", "train", "val"]
    assert [(s.file, s.reason) for s in folder_origin(tmp_path).skipped] == [("labels.csv", "not in train or val")]


def test_a_list_that_is_no_image_is_tried_where_there_is_no_split(tmp_path):
    place(tmp_path, "set/a/1.png", "set/b/2.png")
    (tmp_path / "labels.csv").write_text("1.png,a")
    first, *_ = folder_origin(tmp_path).items
    with pytest.raises(ValueError, match="not an image"):
        first.read()


SHARDS = ("00000/img00000000.png", "00000/img00000001.png", "00001/img00000002.png")


def with_list(root, about):
    place(root, *SHARDS)
    (root / "dataset.json").write_text(about if isinstance(about, str) else json.dumps(about))


@pytest.mark.parametrize("folder", [".", "wrapped"])
def test_labels_come_from_the_list_of_stylegan_and_never_from_its_shards(tmp_path, folder):
    with_list(tmp_path / folder, {"labels": [[SHARDS[0], 4], [SHARDS[2].replace("/", "\\"), 7], ["gone.png", 1]]})
    origin = folder_origin(tmp_path)
    assert [item.read()[1] for item in origin.items] == [4, -1, 7]
    assert (origin.skipped, origin.class_names, origin.total) == ([], [], 3)


def test_a_list_without_labels_gives_none(tmp_path):
    with_list(tmp_path, {"labels": None})
    assert [label for _, label, _ in listed(tmp_path)] == [-1, -1, -1]


def test_each_split_may_have_a_list_of_its_own(tmp_path):
    for split, label in (("train", 2), ("val", 3)):
        with_list(tmp_path / split, {"labels": [[name, label] for name in SHARDS]})
    assert [(label, split) for _, label, split in listed(tmp_path)] == [(2, "train")] * 3 + [(3, "val")] * 3


def test_a_file_of_that_name_that_is_no_such_list_is_left_alone(tmp_path):
    place(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "dataset.json").write_text('{"name": "cats"}')
    origin = folder_origin(tmp_path)
    assert (origin.class_names, origin.total) == (["a", "b"], 3)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("[" * 100_000, "nested more than 100 deep"),
        ('{"labels": [["a", ' + "9" * 5000 + "]]}", "a number of 5,000 digits"),
        ('{"labels"', "Expecting"),
        (b"\xff".decode("latin-1"), "Expecting|decode"),
        ({"labels": 3}, "'labels' is 3"),
        ({"labels": [[SHARDS[0], 0.5]]}, r"labels/0 is \['00000/img00000000.png', 0.5\]"),
        ({"labels": [[SHARDS[0], 2**31]]}, "labels/0 is"),
        ({"labels": [[SHARDS[0], True]]}, "labels/0 is"),
        ({"labels": [[SHARDS[0], [0.0, 1.0]]]}, "labels/0 is"),
        ({"labels": [["x" * 999, -1]]}, "labels/0 is"),
        ({"labels": [["a\x1b.png", 1]]}, r"labels 1 file, of which none is there, the first 'a\\x1b.png'"),
    ],
)
def test_a_list_that_can_not_be_read_is_one_line_with_the_way_out(tmp_path, about, message):
    with_list(tmp_path, about)
    with pytest.raises(UserError, match=message) as caught:
        folder_origin(tmp_path)
    assert str(caught.value).isprintable()
    assert "remove it to import without labels" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_list_of_absurd_size_is_refused_before_it_is_read(tmp_path):
    with_list(tmp_path, "")
    os.truncate(tmp_path / "dataset.json", 2**36)  # a hole: takes no room
    with pytest.raises(UserError, match=r"68,719,476,736 bytes, more than 67,108,864"):
        folder_origin(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9", b"\x1b[31mred", b"two\nlines", "\u202egnp".encode()])
def test_any_name_is_read(tmp_path, name):
    place(tmp_path, os.fsdecode(name))
    assert [label for _, label, _ in listed(tmp_path)] == [-1]
