import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

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
from trainables.storage.home import Home, StorageError

PHOTOS = Path(__file__).parents[5] / "shared" / "domains"


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def folder(tmp_path):
    """30 different 32-pixel images in two classes."""
    root = tmp_path / "images"
    for i in range(30):
        path = root / ("cat", "dog")[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(i, path)
    return root


def save(seed, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels(seed).save(path)


def pixels(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8))


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


def test_strict_refuses_what_would_be_skipped(home, folder):
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"1 skipped, the first 'notes.txt': not an image; .*without --strict"):
        add_domain(home, "pets", str(folder), 32, strict=True)
    assert home.names("domains") == []


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


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz", "SET.7Z"])
def test_an_archive_is_called_one_with_the_cure(home, tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"is an archive; unpack it, and give the folder"):
        add_domain(home, "pets", str(tmp_path / name), 32)


BEGIN = """
import sys
from pathlib import Path
from spaces.errors import UserError
from trainables.storage.home import Home
from trainables.images.importing.importers import add_domain
print("ready", flush=True)
sys.stdin.readline()
try:
    print("made", add_domain(Home(Path(sys.argv[1])), "pets", sys.argv[2], 32).origin)
except UserError as error:
    print("refused", error)
"""


@pytest.mark.slow
def test_of_several_imports_of_one_name_at_a_time_one_is_made(home, folder, tmp_path):
    origins = [folder, *(tmp_path / f"other{i}" for i in range(3))]
    for other in origins[1:]:
        shutil.copytree(folder, other)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, home.root, origin], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for origin in origins
    ]
    for process in started:
        assert process.stdout.readline() == b"ready\n"
    for process in started:
        process.stdin.write(b"\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].decode().split(" ", 1) for process in started]
    (made,) = [rest.strip() for word, rest in said if word == "made"]
    assert made == open_domain(home, "pets").facts.origin
    refused = [rest for word, rest in said if word == "refused"]
    assert len(refused) == 3
    assert all("is being made by another process" in rest or "is there already" in rest for rest in refused)


@pytest.mark.parametrize("kibibytes", [16, 110, 130])
def test_a_full_disk_is_one_line_and_nothing_is_half_written(tmp_path, folder, kibibytes):
    (tmp_path / "disk").mkdir()
    mount = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={kibibytes}k",
        "tmpfs",
        tmp_path / "disk",
    ]  # images take 90 KiB, twice
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        home = Home.make(tmp_path / "disk")
        with pytest.raises(
            StorageError, match=r"pets can't be written \(No space left on device\); make space"
        ) as caught:
            add_domain(home, "pets", str(folder), 32)
        assert "\n" not in str(caught.value)
        assert home.names("domains") == []
        assert list((tmp_path / "disk" / "domains").glob("*")) + list((tmp_path / "disk" / "domains").glob(".*")) == []
    finally:
        subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)


def test_a_split_of_the_origin_stays_and_shares_no_image(home, tmp_path):
    for i in range(6):
        save(i, tmp_path / "split" / "train" / f"{i}.png")
    for i in (4, 5, 6, 7, 8):
        save(i, tmp_path / "split" / "val" / f"{i}.png")
    facts = add_domain(home, "split", str(tmp_path / "split"), 32)
    assert (facts.train, facts.val, facts.duplicates) == (6, 3, 2)
    assert open_domain(home, "split").is_val.tolist() == [False] * 6 + [True] * 3


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


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_import_leaves_nothing_behind(home, stop):
    code = f"""
from pathlib import Path
from trainables.storage.home import Home
from trainables.images.importing.importers import add_domain
add_domain(Home(Path({str(home.root)!r})), "mdi", "builtin:mdi", 64, progress=lambda *_: print("on", flush=True))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"on\n"
        os.kill(process.pid, stop)
        process.communicate(timeout=30)
        assert process.returncode == -stop
    assert list((home.root / "domains").iterdir()) == []


@pytest.mark.photos
@pytest.mark.skipif(not PHOTOS.exists(), reason=f"{PHOTOS} is missing")
def test_cats_keep_their_split_and_classes(home):
    facts = add_domain(home, "cats", str(PHOTOS / "cats.parquet"), 64)
    assert (facts.train, facts.val, facts.classes) == (2466, 249, 5)
    assert (facts.duplicates, facts.skipped, facts.images_per_class) == (0, 0, 543.0)
    assert json.loads((home.domain("cats") / "domain.json").read_text())["digest"] == facts.digest
    assert (home.domain("cats") / IMAGES_FILE).stat().st_size > 2715 * 3 * 64 * 64
