import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spaces.errors import UserError
from trainables.images.domains import IMAGES_FILE, MAX_SKIPPED_FILES, SKIPPED_FILE, open_domain
from trainables.images.importing.importers import add_domain
from trainables.storage.home import Home

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
    ("n", "val_fraction", "val"), [(1, 0.5, 0), (2, 0.001, 1), (2, 0.999, 1), (3, 0.001, 1), (3, 0.999, 2), (5, 0, 0)]
)
def test_few_images_leave_one_on_either_side(home, tmp_path, n, val_fraction, val):
    for i in range(n):
        save(i, tmp_path / "few" / f"{i}.png")
    facts = add_domain(home, "few", str(tmp_path / "few"), 32, val_fraction=val_fraction)
    assert (facts.train, facts.val) == (n - val, val)


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
        ({"resolution": 48}, "resolution 48 will not do; known: 32, 64, 128"),
        ({"name": "../pets"}, "domain name '../pets' will not do"),
        ({"val_fraction": 1.0}, "validation fraction 1.0 will not do; give 0 or more, and less than 1"),
        ({"workers": 0}, "0 workers will not do; give 1 or more"),
        ({"image_column": "image"}, "image column 'image' needs a Parquet file"),
        ({"what": "/nowhere"}, "no file or folder '/nowhere'; expected a folder of images, a Parquet file"),
        ({"what": ""}, "no file or folder ''"),
        ({"what": "builtin:cats"}, "unknown builtin domain 'cats'; known: mdi, mnist, phosphor, remix, twemoji"),
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
