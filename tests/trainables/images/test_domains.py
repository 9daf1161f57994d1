import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spaces.config import Data
from spaces.errors import UserError
from trainables.images.batches import BatchOrder
from trainables.images.domains import (
    FACTS_FILE,
    IMAGES_FILE,
    NAMES_FILE,
    STALE_SECONDS,
    Domain,
    open_domain,
    remove_domain,
    write_contact_sheet,
    write_domain,
)
from trainables.storage.home import Home


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)


@pytest.fixture
def domain(tmp_path, images):
    path = tmp_path / "domains" / "noise"
    write_domain(path, images, np.arange(40) % 4, np.arange(40) % 5 == 0, origin="noise", resizer="none")
    return Domain.open(path)


def test_domain_gives_back_what_was_written(domain, images):
    assert np.array_equal(domain.images, images)
    assert np.array_equal(domain.labels, np.arange(40) % 4)
    assert np.array_equal(domain.is_val, np.arange(40) % 5 == 0)
    assert (domain.facts.name, domain.facts.resolution, domain.facts.train, domain.facts.val) == ("noise", 8, 32, 8)
    assert (domain.facts.classes, domain.facts.images_per_class) == (4, 10.0)


def test_images_may_lie_in_memory_in_any_order(tmp_path, images, domain):
    turned = np.ascontiguousarray(images.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert not turned.flags.c_contiguous
    facts = write_domain(tmp_path / "d", turned, domain.labels, domain.is_val, origin="", resizer="")
    assert facts.digest == domain.facts.digest


def test_facts_of_an_older_home_have_no_class_names_and_no_notes(domain):
    file = domain.path / FACTS_FILE
    facts = json.loads(file.read_text())
    del facts["class_names"], facts["notes"]
    file.write_text(json.dumps(facts))
    assert (Domain.open(domain.path).facts.class_names, Domain.open(domain.path).facts.notes) == ((), ())


def test_without_labels_there_is_one_class(tmp_path, images):
    facts = write_domain(tmp_path / "d", images, np.full(40, -1), np.zeros(40, bool), origin="", resizer="")
    assert (facts.classes, facts.images_per_class, facts.val) == (1, 40.0, 0)


def test_writing_the_same_images_again_gives_the_same_digest(tmp_path, images, domain):
    facts = write_domain(tmp_path / "again", images, domain.labels, domain.is_val, origin="", resizer="")
    assert facts.digest == domain.facts.digest


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc/self/maps")
def test_images_are_a_read_only_view_of_the_mapped_file(domain):
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if IMAGES_FILE in line]
    spans = [[int(end, 16) for end in line[0].split("-")] for line in lines if line[-1].startswith(str(domain.path))]
    for array in (domain.images, domain.labels):
        address = array.ctypes.data
        assert any(start <= address and address + array.nbytes <= stop for start, stop in spans), f"{spans=}"
        assert not array.flags.writeable
        assert not array.flags.owndata


def test_pickling_a_domain_sends_its_path_and_not_its_images(domain):
    data = pickle.dumps(domain)
    assert len(data) < 1_000
    assert np.array_equal(pickle.loads(data).images, domain.images)


def test_another_process_sees_the_same_rows(domain):
    code = f"""
from pathlib import Path
from trainables.images.domains import Domain
d = Domain.open(Path({str(domain.path)!r}))
print(d.subset(5, 3).tolist(), int(d.images.sum()))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == f"{domain.subset(5, 3).tolist()} {int(domain.images.sum())}".split()


def test_splits_are_disjoint_and_whole(domain):
    assert sorted([*domain.indices("train"), *domain.indices("val")]) == list(range(40))
    assert domain.indices("val").tolist() == list(range(0, 40, 5))


def test_subsets_are_nested_and_drawn_by_seed(domain):
    small, large, whole = (domain.subset(n, seed=1) for n in (5, 20, None))
    assert np.array_equal(small, large[:5])
    assert np.array_equal(large, whole[:20])
    assert set(whole) == set(domain.indices("train"))
    assert not np.array_equal(whole, domain.subset(None, seed=2))


@pytest.mark.parametrize("n", [0, 33])
def test_subset_refuses_more_images_than_there_are(domain, n):
    with pytest.raises(UserError, match=f"'noise' has 32 train images, {n} asked for; ask for 1 to 32"):
        domain.subset(n, seed=0)


def labelled(home: Home, labels: list[int]) -> Domain:
    count = len(labels)
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    is_val = np.arange(count) % 5 == 4
    write_domain(home.domain("many"), images, np.array(labels), is_val, origin="test", resizer="none")
    return open_domain(home, "many")


def test_shots_are_so_many_of_each_class_nested_and_drawn_by_seed(home: Home) -> None:
    many = labelled(home, [number % 3 for number in range(60)])
    found = {k: many.chosen(Data(shots=k, seed=4)) for k in (1, 3, 5)}
    for k, rows in found.items():
        assert np.bincount(many.labels[rows]).tolist() == [k, k, k] and not many.is_val[rows].any()
    assert set(found[1]) < set(found[3]) < set(found[5])
    assert np.array_equal([row for row in many.subset(None, 4) if row in found[3]], found[3])  # in the seed's order
    assert set(found[3]) != set(many.chosen(Data(shots=3, seed=5)))
    assert np.array_equal(many.chosen(Data(target_images=7, seed=4)), many.subset(7, 4))


def test_shots_that_are_not_there_are_a_line(home: Home) -> None:
    scarce = labelled(home, [0] * 20 + [1] * 4)
    with pytest.raises(UserError, match="'many' has 4 training images of its smallest class, --shots 5 asks for more"):
        scarce.chosen(Data(shots=5))
    for labels, lack in (([0] * 5 + [-1] * 5, "5 images without a class"), ([-1] * 10, "no classes")):
        with pytest.raises(UserError, match=f"'many' has {lack}, and --shots counts the images of each class"):
            labelled(home, labels).chosen(Data(shots=1))
    with pytest.raises(UserError, match="are two counts; give one"):
        Data.parse({"shots": 3, "target_images": 5}, "here")


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (10, 10), (7, 1), (3, 8), (64, 16)])
def test_every_row_comes_once_an_epoch(n, batch):
    rows = np.arange(100, 100 + n)
    order = BatchOrder(rows, batch, seed=0)
    stream = np.concatenate([order(i) for i in range(3 * n)])  # 3 * batch epochs
    epochs = stream.reshape(-1, n)
    assert all(np.array_equal(np.sort(epoch), rows) for epoch in epochs)
    assert n == 1 or any(not np.array_equal(epochs[0], epoch) for epoch in epochs[1:]), "epochs are shuffled anew"


def test_a_batch_depends_on_its_number_and_seed_alone():
    rows = np.arange(50)
    forward, resumed = BatchOrder(rows, 8, seed=5), BatchOrder(rows, 8, seed=5)
    batches = [forward(i) for i in range(20)]
    assert np.array_equal(resumed(17), batches[17])
    assert np.array_equal(resumed(2), batches[2])
    assert not np.array_equal(BatchOrder(rows, 8, seed=6)(0), batches[0])


def test_unknown_domain_lists_the_known_ones(tmp_path, domain):
    with pytest.raises(
        UserError, match=r"unknown domain 'mdi' .*; add it with: understock domains add mdi builtin:mdi"
    ):
        open_domain(Home(tmp_path), "mdi")
    with pytest.raises(UserError, match=r"unknown domain 'cats' .*; known: noise; add it with: .* add cats WHAT"):
        open_domain(Home(tmp_path), "cats")


def test_a_domain_is_removed_whole(tmp_path, domain):
    home = Home(tmp_path)
    shutil.copytree(domain.path, tmp_path / "domains" / ".noise.abcdefgh")
    assert home.names("domains") == ["noise"]
    remove_domain(home, "noise")
    assert home.names("domains") == []
    with pytest.raises(UserError, match="unknown domain 'noise'"):
        remove_domain(home, "noise")


@pytest.mark.parametrize("kept", [0, 100, 0.5, -1])
def test_truncated_images_are_refused(domain, kept):
    file = domain.path / IMAGES_FILE
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(UserError, match=r"domain 'noise' .* is damaged: domain.arrow.*understock domains rm noise"):
        Domain.open(domain.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": 31}, "holds 40 images, 8 of them val; domain.json says 31 train and 8 val"),
        ({"val": 9, "train": 31}, "holds 40 images, 8 of them val; domain.json says 31 train and 9 val"),
        ({"resolution": 16}, "domain.arrow isn't one batch of"),
        ({"colour": "red"}, "domain.json: colour: Extra inputs are not permitted"),
    ],
)
def test_facts_that_do_not_fit_the_images_are_refused(domain, change, message):
    file = domain.path / FACTS_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        Domain.open(domain.path)


@pytest.mark.parametrize("file", [FACTS_FILE, IMAGES_FILE])
def test_a_missing_file_is_damage(domain, file):
    (domain.path / file).unlink()
    with pytest.raises(UserError, match="is damaged"):
        Domain.open(domain.path)


def test_verify_finds_one_changed_bit(domain):
    domain.verify()
    file = domain.path / IMAGES_FILE
    data = bytearray(file.read_bytes())
    data[data.index(domain.images[7].tobytes())] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"is damaged: domain[.]arrow has sha256"):
        Domain.open(domain.path).verify()


def test_writing_clears_what_a_killed_import_left_of_the_same_name(domain):
    folder = domain.path.parent
    old, young, other = (folder / name for name in (".noise.abcdefgh", ".noise.12345678", ".noise.b.abcdefgh"))
    for leftover in (old, young, other):
        leftover.mkdir()
    for leftover in (old, other):
        os.utime(leftover, (0, STALE_SECONDS))
    write_domain(domain.path, domain.images, domain.labels, domain.is_val, origin="", resizer="")
    assert (old.exists(), young.exists(), other.exists()) == (False, True, True)


def test_contact_sheet_shows_training_images(domain):
    with Image.open(write_contact_sheet(domain, images=9)) as sheet:
        corner = np.asarray(sheet)[:8, :8].transpose(2, 0, 1)
        assert sheet.size == (28, 28)
    assert np.array_equal(corner, domain.images[domain.subset(9, seed=0)[0]])


def test_names_come_back_in_the_order_of_the_images_and_a_domain_may_have_none(tmp_path, images, domain):
    assert domain.names == ()
    names = [f"picture {number}" for number in range(40)]
    write_domain(tmp_path / "d", images, domain.labels, domain.is_val, origin="", resizer="", names=names)
    assert Domain.open(tmp_path / "d").names == tuple(names)


@pytest.mark.parametrize("text", ["[", '["one"]', "7"])
def test_damaged_names_are_told_in_a_line(tmp_path, images, domain, text):
    names = [str(number) for number in range(40)]
    write_domain(tmp_path / "d", images, domain.labels, domain.is_val, origin="", resizer="", names=names)
    (tmp_path / "d" / NAMES_FILE).write_text(text)
    with pytest.raises(UserError, match=r"domain 'd' in .* is damaged: names\.json") as refused:
        assert Domain.open(tmp_path / "d").names
    assert len(str(refused.value).splitlines()) == 1
