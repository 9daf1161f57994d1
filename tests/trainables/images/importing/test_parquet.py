import io
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spaces.errors import UserError
from trainables.images.importing.folders import folder_origin
from trainables.images.importing.parquet import MAX_IMAGE_BYTES, Shard, _by_its_pages, parquet_origin


def png(value):
    buffer = io.BytesIO()
    Image.new("L", (4, 4), value).save(buffer, format="PNG")
    return buffer.getvalue()


def written(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def rows(path, column=None):
    """(pixel, label, split) of every item."""
    samples = ((item.read(), item.split) for item in parquet_origin([Shard(path)], column).items)
    return [(int(np.asarray(image)[0, 0]), label, split) for (image, label), split in samples]


def test_parquet_gives_bytes_label_and_split(tmp_path):
    path = written(
        tmp_path / "a.parquet",
        label=[3, None, -1, 0],
        picture=[png(i) for i in range(4)],
        split=["train", "Validation", None, "test"],
    )
    assert rows(path) == [(0, 3, "train"), (1, -1, "val"), (2, -1, None), (3, 0, "val")]
    assert parquet_origin([Shard(path)], None).total == 4


def test_parquet_in_hugging_face_style(tmp_path):
    images = [{"bytes": png(9), "path": "a.png"}, {"bytes": None, "path": "b.png"}]
    first, second = parquet_origin([Shard(written(tmp_path / "a.parquet", image=images, label=[1, 2]))], None).items
    assert first.read()[1] == 1
    with pytest.raises(ValueError, match="no bytes"):
        second.read()


def labels(path):
    """Labels, class names and notes of a file."""
    origin = parquet_origin([Shard(path)], None)
    return [item.read()[1] for item in origin.items], list(origin.class_names), list(origin.notes)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_labels_of_text_are_named_and_numbered_by_the_alphabet(tmp_path, kind):
    column = pa.array(["dog", None, "cat", "dog"]).cast(kind)
    path = written(tmp_path / "a.parquet", image=[png(i) for i in range(4)], label=column)
    assert labels(path) == ([1, -1, 0, 1], ["cat", "dog"], [])


def test_whole_numbers_that_became_floating_beside_missing_ones_are_labels(tmp_path):
    path = written(tmp_path / "a.parquet", image=[png(i) for i in range(4)], label=[2.0, None, float("nan"), 0.0])
    assert labels(path) == ([2, -1, -1, 0], [], [])


@pytest.mark.parametrize(
    ("column", "found"), [([0.25], "holds 0.25"), ([[1, 2]], r"is of type list<"), ([{"a": 1}], "is of type struct<")]
)
def test_labels_that_are_no_classes_are_left_out_with_a_note(tmp_path, column, found):
    given, names, (note,) = labels(written(tmp_path / "a.parquet", image=[png(1)], label=column))
    assert (given, names) == ([-1], [])
    assert f"labels are left out: their column {found}" in note


def test_names_of_numbered_classes_are_in_hugging_faces_schema(tmp_path):
    about = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": [png(1)], "label": [1]}).replace_schema_metadata({"huggingface": json.dumps(about)})
    pq.write_table(table, tmp_path / "a.parquet")
    assert labels(tmp_path / "a.parquet") == ([1], ["cat", "dog"], [])


@pytest.mark.parametrize(
    "about", ["{", "[" * 99_999, '{"info": 3}', '{"info": {"features": {"label": {"names": [1]}}}}']
)
def test_a_schema_that_says_something_else_gives_no_names(tmp_path, about):
    table = pa.table({"image": [png(1)], "label": [1]}).replace_schema_metadata({"huggingface": about})
    pq.write_table(table, tmp_path / "a.parquet")
    assert labels(tmp_path / "a.parquet") == ([1], [], [])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pa.array([2**64 - 1], pa.uint64()),
            "label 18446744073709551615 is no class number; expected 0 to 2,147,483,647",
        ),
        (["x" * 500], r"a label of 500 characters, 'xxxxxxxxxxxxxxxxxxxx'...; expected class names"),
    ],
)
def test_absurd_labels_are_refused(tmp_path, column, message):
    with pytest.raises(UserError, match=message):
        labels(written(tmp_path / "a.parquet", image=[png(1)], label=column))


def shards(root, column=None):
    """(name, pixel, label, split) of every item of a folder."""
    samples = ((item.name, item.read(), item.split) for item in folder_origin(root, column).items)
    return [(name, int(np.asarray(image)[0, 0]), label, split) for name, (image, label), split in samples]


def test_all_shards_of_a_folder_are_read_and_their_names_tell_the_split(tmp_path):
    (tmp_path / "data").mkdir()
    for number, (name, label) in enumerate(
        [("test-00000-of-00001", "cat"), ("train-00000-of-00002", "dog"), ("train-00001-of-00002", "ant")]
    ):
        written(tmp_path / "data" / f"{name}.parquet", image=[png(number)], label=[label])
    (tmp_path / "README.md").write_text("# a data set")
    assert shards(tmp_path) == [
        ("data/test-00000-of-00001.parquet, row 0", 0, 1, "val"),
        ("data/train-00000-of-00002.parquet, row 0", 1, 2, "train"),
        ("data/train-00001-of-00002.parquet, row 0", 2, 0, "train"),
    ]
    origin = folder_origin(tmp_path)
    assert (origin.total, origin.class_names) == (3, ["ant", "cat", "dog"])
    assert [(s.file, s.reason) for s in origin.skipped] == [("README.md", "no Parquet file")]


def test_shards_may_have_an_image_column_that_is_named(tmp_path):
    written(tmp_path / "a.parquet", left=[png(1)], right=[png(2)])
    assert shards(tmp_path, "right") == [("a.parquet, row 0", 2, -1, None)]


def test_a_damaged_shard_is_named(tmp_path):
    written(tmp_path / "train-0.parquet", image=[png(1)])
    (tmp_path / "train-1.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"train-1.parquet isn't a Parquet file"):
        folder_origin(tmp_path)


def test_a_parquet_file_may_have_any_name(tmp_path):
    folder = tmp_path / os.fsdecode(b"photos\xe9")
    folder.mkdir()
    pq.write_table(pa.table({"image": [png(3)]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").rename(folder / "\x1b[1m.parquet")
    assert rows(folder / "\x1b[1m.parquet") == [(3, -1, None)]
    (folder / "\x1b[1m.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"photos\\xe9/\\x1b\[1m.parquet isn't a Parquet file") as caught:
        rows(folder / "\x1b[1m.parquet")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("column", ["image", "label", "split"])
@pytest.mark.slow
def test_a_file_that_unpacks_to_a_multiple_of_itself_is_refused_before_it_is(tmp_path, column):
    table = {
        "image": [png(1)] * 300,
        column: pa.array([bytes(2**20)] * 300, pa.binary() if column == "image" else None),
    }
    table = pa.table(table) if column == "image" else pa.table({**table, column: ["x" * 2**20] * 300})
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    before = pa.total_allocated_bytes()
    with pytest.raises(UserError, match=rf"column '{column}' of row group 0 unpacks from [0-9,]+ to 314,[0-9,]+ bytes"):
        rows(tmp_path / "bomb.parquet")
    assert pa.total_allocated_bytes() - before < 2**20


@pytest.mark.slow
def test_a_value_that_is_stored_once_and_repeated_is_held_a_few_times_only(tmp_path):
    table = pa.table({"image": [bytes(16 * 2**20)] * 50})
    pq.write_table(table, tmp_path / "bomb.parquet", compression="zstd", dictionary_pagesize_limit=2**30)
    del table
    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    before, most = pa.total_allocated_bytes(), 0
    for item in parquet_origin([Shard(tmp_path / "bomb.parquet")], None).items:
        most = max(most, pa.total_allocated_bytes() - before)
        assert item.held_bytes == 16 * 2**20
    assert most < 150 * 2**20


@pytest.mark.slow
def test_an_image_of_absurd_bytes_is_skipped(tmp_path):
    path = written(tmp_path / "a.parquet", image=[bytes(MAX_IMAGE_BYTES + 1)])
    (item,) = parquet_origin([Shard(path)], None).items
    with pytest.raises(ValueError, match="a file of 268,435,457 bytes, more than 268,435,456"):
        item.read()


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
        parquet_origin([Shard(written(tmp_path / "a.parquet", **columns))], asked)


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(UserError, match="column 'split' holds 'holdout'; expected train, val"):
        rows(written(tmp_path / "a.parquet", image=[png(0)], split=["holdout"]))


@pytest.mark.parametrize("damage", [lambda data: data[:-30], lambda data: b"PK\3\4" + data[4:-4], lambda data: b""])
def test_a_damaged_parquet_file_is_refused(tmp_path, damage):
    path = written(tmp_path / "a.parquet", image=[png(0)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="isn't a Parquet file, or it is damaged"):
        parquet_origin([Shard(path)], None)


def test_damage_inside_a_parquet_file_is_found_on_the_way(tmp_path):
    path = written(tmp_path / "a.parquet", image=[png(i) for i in range(200)])
    data = bytearray(path.read_bytes())
    data[4:600] = bytes(596)
    path.write_bytes(data)
    with pytest.raises(UserError, match="it is damaged"):
        rows(path)


def varint(value, length):
    """A whole number in zigzag, as Thrift has it, in so many bytes."""
    value *= 2
    return bytes((value >> 7 * place & 127) | (128 if place < length - 1 else 0) for place in range(length))


def test_a_footer_that_lies_about_sizes_is_found_out_by_the_pages(tmp_path):
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"image": [bytes(2**20)] * 300}), path, compression="zstd", use_dictionary=False)
    size = pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size
    told = varint(size, 5)
    data = path.read_bytes()
    assert told in data
    path.write_bytes(data.replace(told, varint(1000, 5)))
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size == 1000
    before = pa.total_allocated_bytes()
    with pytest.raises(UserError, match=r"column 'image' of row group 0 unpacks from [0-9,]+ to 314,[0-9,]+ bytes"):
        rows(path)
    assert pa.total_allocated_bytes() - before < 2**20


@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pages_say_what_the_footer_of_a_true_file_says(tmp_path, dictionary, version):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"image": [png(n % 7) for n in range(500)]}),
        path,
        use_dictionary=dictionary,
        data_page_version=version,
        data_page_size=1000,
    )
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    headers = 200 * 40
    assert chunk.total_uncompressed_size - headers < _by_its_pages(path, chunk) <= chunk.total_uncompressed_size
