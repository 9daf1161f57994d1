import json
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numbered_images import pixels, save

from spaces.errors import UserError
from trainables.images.domains import IMAGES_FILE, MAX_SKIPPED_FILES, SKIPPED_FILE, open_domain
from trainables.images.importing.decoding import Item
from trainables.images.importing.importers import (
    CHUNK,
    ENOUGH_TRAIN,
    ENOUGH_VAL,
    FEWEST_TRAIN,
    _chunks,
    _Gate,
    add_domain,
)
from trainables.metrics.iw import MIN_IMAGES
from trainables.metrics.manifolds import NEIGHBOURS
from trainables.metrics.reference import FEWEST
from trainables.storage.home import Home

PHOTOS = Path(__file__).parents[5] / "shared" / "domains"


def test_rows_follow_the_paths(home, folder):
    facts = add_domain(home, "pets", str(folder), 32)
    domain = open_domain(home, "pets")
    order = [*range(0, 30, 2), *range(1, 30, 2)]  # cat/00, cat/02, ... dog/01, ...
    assert np.array_equal(domain.images, [np.asarray(pixels(i)).transpose(2, 0, 1) for i in order])
    assert domain.labels.tolist() == [0] * 15 + [1] * 15
    assert (facts.train + facts.val, facts.classes, facts.images_per_class) == (30, 2, 15)
    assert (facts.origin, facts.duplicates, facts.skipped) == (str(folder), 0, 0)


def test_the_number_of_workers_changes_nothing(home, folder):
    digests = {add_domain(home, f"w{n}", str(folder), 64, workers=n).digest for n in (1, 2, 7)}
    assert len(digests) == 1


def test_progress_counts_every_file(home, folder):
    (folder / "notes.txt").write_text("hello")
    seen = []
    add_domain(home, "pets", str(folder), 32, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(16, 31), (31, 31)]


def test_what_can_not_be_read_is_skipped_and_recorded(home, folder):
    (folder / "notes.txt").write_text("hello")
    (folder / "cat" / "empty.jpg").touch()
    (folder / ".DS_Store").write_text("hidden")
    facts = add_domain(home, "pets", str(folder), 32)
    assert [(s.file, s.reason) for s in facts.skipped_files] == [
        ("cat/empty.jpg", "empty file"),
        ("notes.txt", "not an image"),
    ]
    assert (facts.skipped, facts.train + facts.val) == (2, 30)
    assert not (home.domain("pets") / SKIPPED_FILE).exists()


def test_the_facts_name_the_first_skipped_files_and_a_list_beside_them_all(home, folder):
    for i in range(MAX_SKIPPED_FILES + 5):
        (folder / f"{i}.txt").write_text("hello")
    facts = add_domain(home, "pets", str(folder), 32)
    assert (facts.skipped, len(facts.skipped_files)) == (MAX_SKIPPED_FILES + 5, MAX_SKIPPED_FILES)
    listed = (home.domain("pets") / SKIPPED_FILE).read_text().splitlines()
    assert len(listed) == MAX_SKIPPED_FILES + 5
    assert "104.txt: not an image" in listed


def test_duplicates_are_dropped_by_their_pixels(home, folder):
    pixels(4).save(folder / "dog" / "zz.bmp")
    facts = add_domain(home, "pets", str(folder), 32)
    assert (facts.duplicates, facts.train + facts.val) == (1, 30)


def test_the_split_goes_by_content(home, folder, tmp_path):
    add_domain(home, "pets", str(folder), 32, val_fraction=0.4)
    flat = tmp_path / "flat"
    flat.mkdir()
    for i in range(30):
        pixels(i).save(flat / f"{29 - i:02}.bmp")
    add_domain(home, "flat", str(flat), 32, val_fraction=0.4)
    held_out = [
        {image.tobytes() for image in d.images[d.is_val]} for d in map(open_domain, [home] * 2, ("pets", "flat"))
    ]
    assert held_out[0] == held_out[1]
    assert 5 <= len(held_out[0]) <= 19


@pytest.mark.parametrize(
    ("n", "val_fraction", "val"),
    [
        (2, 0.001, 0),
        (2, 0.999, 0),
        (3, 0.001, 1),
        (3, 0.999, 1),
        (5, 0, 0),
        (7, 0.001, 1),
        (8, 0.001, 4),
        (10, 0.1, 4),
        (60, 0.001, 4),
        (10, 0, 0),
    ],
)
def test_few_images_leave_enough_on_either_side(home, tmp_path, n, val_fraction, val):
    for i in range(n):
        save(i, tmp_path / "few" / f"{i}.png")
    facts = add_domain(home, "few", str(tmp_path / "few"), 32, val_fraction=val_fraction)
    assert (facts.train, facts.val) == (n - val, val)


@pytest.mark.parametrize(
    ("n", "notes"), [(5, ["few val images (1)", "few train images (4)"]), (10, ["few train images (6)"]), (20, [])]
)
def test_what_few_images_will_not_do_for_is_said_at_once(home, tmp_path, n, notes):
    for i in range(n):
        save(i, tmp_path / "few" / f"{i}.png")
    facts = add_domain(home, "few", str(tmp_path / "few"), 32)
    assert [note.split(":")[0] for note in facts.notes] == notes
    assert ENOUGH_VAL == MIN_IMAGES
    assert ENOUGH_TRAIN == 2 * (NEIGHBOURS + 1)
    assert FEWEST_TRAIN == FEWEST


@pytest.mark.parametrize("kind", ["folders", "parquet"])
def test_the_facts_name_the_classes(home, folder, tmp_path, kind):
    what = folder
    if kind == "parquet":
        what = tmp_path / "pets.parquet"
        paths = sorted(folder.rglob("*.png"))
        columns = {"image": [path.read_bytes() for path in paths], "label": [path.parent.name for path in paths]}
        pq.write_table(pa.table(columns), what)
    facts = add_domain(home, "pets", str(what), 32)
    assert (facts.class_names, facts.classes) == (("cat", "dog"), 2)
    assert sorted(open_domain(home, "pets").labels) == [0] * 15 + [1] * 15


def test_names_with_escapes_and_without_utf_8_are_imported_and_shown_escaped(home, folder, tmp_path):
    (folder / "cat").rename(folder / "\x1b[31mcat")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("no image")
    (folder / "a\nb\u202e.txt").write_text("no image")
    what = tmp_path / os.fsdecode(b"photos\xe9")
    folder.rename(what)
    facts = add_domain(home, "pets", str(what), 32)
    assert facts.class_names == (r"\x1b[31mcat", "dog")
    assert facts.origin == f"{tmp_path}/photos\\xe9"
    assert [item.file for item in facts.skipped_files] == [r"a\nb\u202e.txt", r"caf\xe9.txt"]
    assert open_domain(home, "pets").facts == facts
    for number in range(MAX_SKIPPED_FILES):
        (what / f"\x1b{number}.txt").write_text("no image")
    add_domain(home, "pets", str(what), 32, replace=True)
    assert all(line.isprintable() for line in (home.domain("pets") / SKIPPED_FILE).read_text().splitlines())
    with pytest.raises(UserError) as caught:
        add_domain(home, "strict", str(what), 32, strict=True)
    assert str(caught.value).isprintable()


def test_a_home_may_have_any_name(folder, tmp_path):
    home = Home.make(tmp_path / os.fsdecode(b"home\xe9"))
    facts = add_domain(home, "pets", str(folder), 32)
    assert open_domain(home, "pets").facts == facts


def png_of_size(width, height):
    """A PNG's first bytes: all that is read of it before its size is judged."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b""), b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def test_a_nested_image_of_too_many_pixels_is_skipped(home, folder):
    bomb = png_of_size(9_500, 9_500)  # inside an icon that says 16 x 16
    icon = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(bomb), 22) + bomb
    (folder / "a.ico").write_bytes(icon)
    facts = add_domain(home, "pets", str(folder), 32)
    assert [item.file for item in facts.skipped_files] == ["a.ico"]
    assert "exceeds limit" in facts.skipped_files[0].reason


def test_bytes_held_for_decoding_are_bounded(tmp_path):
    items = [Item(str(i), lambda: None, held_bytes=size) for i, size in enumerate([1, 1, 90, 1, 200, 1, *[0] * CHUNK])]
    assert [len(chunk) for chunk in _chunks(iter(items), 90)] == [3, 2, CHUNK, 1]


def test_large_images_wait_for_each_other_and_one_of_any_size_goes_through():
    gate, inside = _Gate(100), []

    def bring(size):
        with gate.room(size):
            inside.append(size)

    with ThreadPoolExecutor(3) as pool:
        with gate.room(60):
            waiting = [pool.submit(bring, size) for size in (50, 10**9)]
            pool.submit(bring, 40).result(timeout=10)
            assert inside == [40]
        for future in waiting:
            future.result(timeout=10)
    assert sorted(inside) == [40, 50, 10**9]


def test_a_split_of_the_origin_stays_and_shares_no_image(home, tmp_path):
    for i in range(6):
        save(i, tmp_path / "split" / "train" / f"{i}.png")
    for i in (4, 5, 6, 7, 8):
        save(i, tmp_path / "split" / "val" / f"{i}.png")
    facts = add_domain(home, "split", str(tmp_path / "split"), 32)
    assert (facts.train, facts.val, facts.duplicates) == (6, 3, 2)
    assert open_domain(home, "split").is_val.tolist() == [False] * 6 + [True] * 3


@pytest.mark.photos
@pytest.mark.skipif(not PHOTOS.exists(), reason=f"{PHOTOS} is missing")
def test_cats_keep_their_split_and_classes(home):
    facts = add_domain(home, "cats", str(PHOTOS / "cats.parquet"), 64)
    assert (facts.train, facts.val, facts.classes) == (2466, 249, 5)
    assert (facts.duplicates, facts.skipped, facts.images_per_class) == (0, 0, 543.0)
    assert json.loads((home.domain("cats") / "domain.json").read_text())["digest"] == facts.digest
    assert (home.domain("cats") / IMAGES_FILE).stat().st_size > 2715 * 3 * 64 * 64
