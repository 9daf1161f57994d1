"""A home on a real S3 API server, seen from two machines: two cache folders."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import torch

from spaces.errors import UserError
from spaces.networks import Resnet
from trainables.images.domains import open_domain, remove_domain, write_domain
from trainables.networks.families import build_generator
from trainables.networks.models import Model, read_model, write_model
from trainables.sources.shelf import SourceModel, open_source
from trainables.storage import lease, store
from trainables.storage.home import (
    Home,
    bytes_below,
    claim,
    content,
    fetch,
    has_process,
    only_process,
    push,
    remove,
    writing,
    writing_folder,
)
from trainables.storage.mirror import mirror_of
from trainables.storage.store import ObjectStore, StoreError, UnreachableError

pytestmark = pytest.mark.s3

BUCKET = "understock-test"

Machine = Callable[[str], Home]


@pytest.fixture
def home(machine: Machine) -> Home:
    return machine("a")


def objects(home: Home) -> dict[str, int]:
    return {name: item.size for name, item in ObjectStore.at(str(home)).objects("").items()}


def write(path: Path, text: str) -> None:
    with writing(path) as beside:
        beside.write_text(text)


def test_a_file_that_one_machine_writes_replaces_and_removes_is_so_for_another(machine: Machine) -> None:
    here, there = machine("a"), machine("b")
    folder = Path("studies", "s", "evaluations")
    for text in ("1", "2"):
        write(here.root / folder / "0.parquet", text)
        fetch(there.root / folder)
        assert (there.root / folder / "0.parquet").read_text() == text
    assert bytes_below(there.root / "studies") == 1
    remove(here.root / folder)
    fetch(there.root / folder)
    assert not (there.root / folder).exists()


def test_a_file_whose_writing_fails_is_neither_here_nor_in_the_store(home: Home) -> None:
    with pytest.raises(ZeroDivisionError), writing(home.root / "studies" / "s" / "x"):
        raise ZeroDivisionError
    assert objects(home) == {}


def test_what_was_never_in_the_store_is_left_alone(home: Home) -> None:
    path = home.study("s") / "ray" / "log"
    path.parent.mkdir(parents=True)
    path.write_text("of this machine")
    fetch(home.study("s"))
    assert path.read_text() == "of this machine"


def test_a_domain_is_whole_on_another_machine_and_lies_there_once(
    machine: Machine, home: Home, tiny_domain: str
) -> None:
    images = open_domain(home, tiny_domain).images
    write_domain(home.domain("again"), images, np.arange(48) % 2, np.arange(48) % 6 == 0, origin="test", resizer="none")
    there = machine("b")
    assert there.names("domains") == ["again", "dots"]
    assert np.array_equal(open_domain(there, "again").images, images)
    open_domain(there, "dots").verify()
    inodes = {(there.domain(name) / "domain.arrow").stat().st_ino for name in ("again", "dots")}
    assert len(inodes) == 1


def test_a_domain_that_was_not_uploaded_to_the_end_is_not_there(
    machine: Machine, home: Home, tiny_domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.zeros((4, 3, 32, 32), np.uint8)

    def cut_off(*_: object, **__: object) -> str:
        raise KeyboardInterrupt

    for name in ("new", tiny_domain):
        with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
            patch.setattr(ObjectStore, "put", cut_off)
            write_domain(home.domain(name), images, np.zeros(4, int), np.arange(4) > 2, origin="test", resizer="none")
    there = machine("b")
    assert there.names("domains") == [tiny_domain]
    assert open_domain(there, tiny_domain).facts.train == 40
    with pytest.raises(UserError, match="unknown domain 'new'"):
        open_domain(there, "new")


def test_a_replaced_domain_is_replaced_everywhere_and_leaves_nothing(
    machine: Machine, home: Home, tiny_domain: str
) -> None:
    there = machine("b")
    write(there.domain(tiny_domain) / "moments" / "old.npz", "of the old images")
    open_domain(there, tiny_domain)
    write_domain(
        home.domain(tiny_domain),
        np.zeros((4, 3, 32, 32), np.uint8),
        np.zeros(4, int),
        np.arange(4) > 2,
        origin="test",
        resizer="none",
    )
    assert open_domain(there, tiny_domain).facts.train == 3
    assert not (there.domain(tiny_domain) / "moments").exists()
    assert len({name.split("/")[1] for name in objects(home)}) == 2  # the manifest, and one version
    remove_domain(there, tiny_domain)
    assert objects(home) == {}
    with pytest.raises(UserError, match="known: none yet"):
        open_domain(home, tiny_domain)


def test_a_source_model_is_had_on_another_machine(machine: Machine, tiny_source: SourceModel) -> None:
    there = open_source(machine("b"), "seed-7")
    ours, theirs = tiny_source.weights()["generator"], there.weights()["generator"]
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_trials_model_is_had_on_another_machine_and_replaced_there(machine: Machine) -> None:
    for seed in (0, 1):
        there, here = machine("b"), machine("a")
        model = Path("studies/s/trials/00000/model")
        write_model(here.root / model, tiny_model(seed), method="finetune", config={})
        fetch(there.root / model)
        found, _ = read_model(there.root / model)
        expected = tiny_model(seed).weights["generator"]
        assert all(torch.equal(found.weights["generator"][name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("folder", ["sources/.training-one/model", "sources/.hidden", "domains/dots/moments"])
def test_only_a_domain_and_a_source_model_themselves_change_under_a_version(machine: Machine, folder: str) -> None:
    here, there = machine("a"), machine("b")
    for text in "12":
        with writing_folder(here.root / folder) as beside:
            (beside / "a").write_text(text)
        assert objects(here) == {f"{folder}/a": 1}
        fetch(there.root / folder)
        assert (there.root / folder / "a").read_text() == text
    remove(here.root / folder)
    assert objects(here) == {}


def tiny_model(seed: int) -> Model:
    network = Resnet(resolution=32, width=2, z_dim=8)
    return Model({"generator": network}, {"generator": build_generator(network, seed).state_dict()})


def test_processes_that_start_at_once_download_a_domain_once(
    machine: Machine, home: Home, tiny_domain: str, s3_server: dict[str, str]
) -> None:
    there = machine("b")
    code = (
        "import sys; from trainables.storage.home import *; from trainables.storage.mirror import *; "
        "home = Home.make(sys.argv[1]); "
        "fetch(home.domain('dots')); print((home.domain('dots') / 'domain.arrow').stat().st_ino)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(there)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert len({process.communicate(timeout=120)[0] for process in processes}) == 1
    prefix = str(there).rpartition("/")[2]
    asked = [line for line in Path(s3_server["S3_LOG"]).read_text().splitlines() if f'"GET /{BUCKET}/{prefix}/' in line]
    assert sum("domain.arrow" in line for line in asked) == 1


def test_content_that_is_not_what_its_manifest_says_is_refused(machine: Machine, home: Home, tiny_domain: str) -> None:
    key = next(name for name in objects(home) if name.endswith("domain.arrow"))
    ObjectStore.at(str(home)).put(key, b"something else")
    with pytest.raises(StoreError, match=r"domain\.arrow has sha256 .*changed or damaged"):
        open_domain(machine("b"), tiny_domain)


def test_names_in_a_bucket_can_not_lead_out_of_the_mirror(machine: Machine, home: Home) -> None:
    evil = {"version": "v", "files": {"../../../evil": "0" * 64}}
    ObjectStore.at(str(home)).put("domains/cats.manifest", json.dumps(evil).encode())
    ObjectStore.at(str(home)).put("studies/s/../../../evil", b"")
    fetch(home.domain("cats"))
    fetch(home.study("s"))
    assert not list(home.root.parent.parent.rglob("evil"))


def test_of_two_machines_that_append_to_one_file_the_later_one_is_refused(machine: Machine) -> None:
    ours, theirs = (machine(name).study("s") / "optuna.journal" for name in ("a", "b"))
    ours.parent.mkdir(parents=True)
    ours.write_text("1\n")
    push(ours)
    fetch(theirs)
    theirs.write_text("1\n2\n")
    push(theirs)
    ours.write_text("1\n3\n")
    with pytest.raises(StoreError, match="was changed by another process"):
        push(ours)
    fetch(ours)
    assert ours.read_text() == "1\n2\n"


HOLD = (
    "import sys, time; from trainables.storage.home import *; from trainables.storage import lease; lease.BEAT_SECONDS = 0.2\n"
    "with only_process(Home.make(sys.argv[1]).study('s'), 'busy'): print('held', flush=True); time.sleep(100)"
)


@contextmanager
def held_by_another(home: Home) -> Iterator[subprocess.Popen[str]]:
    """A process that holds study s of a home in the block, until it is killed there."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(home)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


def test_a_folder_that_another_machine_works_on_is_refused_and_had_once_that_is_dead(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lease, "DEAD_SECONDS", 2.0)
    there = machine("b")
    with held_by_another(there) as holder:
        here = machine("a")
        with pytest.raises(UserError, match="busy"), only_process(here.study("s"), "busy"):
            raise AssertionError("two hold it")
        assert "waiting 2 s" in capsys.readouterr().err
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        asked = time.monotonic()
        with only_process(here.study("s"), "busy"):
            assert time.monotonic() - asked > 1.5
        assert objects(here) == {}


def test_whether_a_process_of_another_machine_is_there_is_told_by_its_signs_of_life(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "DEAD_SECONDS", 3.0)
    there = machine("b")
    with held_by_another(there) as holder:
        here = machine("a")
        assert has_process(there.study("s")) and has_process(here.study("s"))
        holder.kill()
        holder.wait()
        assert not has_process(there.study("s"))  # whose lock went with it
        time.sleep(4.5)  # the store tells whole seconds
        assert not has_process(here.study("s"))
    assert not has_process(here.study("never"))


def test_the_content_of_a_file_is_told_without_touching_it_here(machine: Machine) -> None:
    here, there = machine("a"), machine("b")
    for home, text in ((here, "1"), (there, "2")):
        with writing(home.study("s") / "journal") as beside:
            beside.write_text(text)
    assert content(here.study("s") / "journal") == b"2"
    assert (here.study("s") / "journal").read_text() == "1"
    with pytest.raises(FileNotFoundError):
        content(here.study("s") / "nothing")


def test_a_name_claimed_on_one_machine_is_refused_on_another(machine: Machine) -> None:
    here, there = machine("a"), machine("b")
    with claim(here, "domains", "cats"):
        with (
            pytest.raises(UserError, match="domain 'cats' is being made by another process"),
            claim(there, "domains", "cats"),
        ):
            pass
        with writing_folder(here.domain("cats")) as folder:
            (folder / "a").write_text("a")
    with pytest.raises(UserError, match="domain 'cats' is there already"), claim(there, "domains", "cats"):
        pass
    with claim(there, "domains", "cats", replace=True):
        assert there.names("domains") == ["cats"]


def test_a_process_of_this_machine_that_died_is_not_waited_for(machine: Machine) -> None:
    home = machine("a")
    with held_by_another(home) as holder:
        holder.kill()
        holder.wait()
    asked = time.monotonic()
    with only_process(home.study("s"), "busy"):
        assert time.monotonic() - asked < lease.DEAD_SECONDS / 3


@pytest.mark.parametrize("differs", ["host", "boot", "both, by an earlier version that named neither"])
def test_a_holder_on_a_machine_with_a_copy_of_this_ones_cache_is_watched(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, differs: str
) -> None:
    folder = machine("a").study("s")
    mirror = mirror_of(folder)
    assert mirror is not None
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.2)
    with only_process(folder, "busy"):
        held = json.loads(mirror.content(folder / ".lease"))
    clone = {name: said for name, said in held.items() if name not in ("host", "boot")}
    clone |= {} if "both" in differs else {"host": held["host"], "boot": held["boot"], differs: "another"}
    name = mirror.name(folder / ".lease")
    mirror.store.put(name, json.dumps(clone | {"beats": 1}).encode())
    Timer(1, mirror.store.put, (name, json.dumps(clone | {"beats": 2}).encode())).start()
    with pytest.raises(UserError, match="busy"), only_process(folder, "busy"):
        pytest.fail("it is taken for this machine's, whose process is dead")


def test_a_holder_whose_lease_was_taken_is_interrupted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.1)
    folder = machine("a").study("s")
    mirror = mirror_of(folder)
    assert mirror is not None
    interrupted = False
    with pytest.raises(UserError, match=r"lost its hold.*busy"), only_process(folder, "busy"):
        mirror.store.put("studies/s/.lease", json.dumps({"holder": "somebody else"}).encode())
        try:
            time.sleep(20)
        except KeyboardInterrupt:
            interrupted = True
    assert interrupted


def test_a_holder_that_slept_through_the_loss_of_its_lease_leaves_it_to_who_has_it(machine: Machine) -> None:
    folder = machine("a").study("s")
    store = ObjectStore.at(str(machine("a")))
    with pytest.raises(UserError, match=r"lost its hold.*busy"), only_process(folder, "busy"):
        store.put("studies/s/.lease", json.dumps({"holder": "somebody else"}).encode())  # before the next sign of life
    kept = store.read("studies/s/.lease") or pytest.fail("its lease was removed")
    assert json.loads(kept[0])["holder"] == "somebody else"


def test_a_home_without_anything_in_the_store_is_none_to_read(machine: Machine) -> None:
    home = machine("a")
    with pytest.raises(UserError, match=r"no home at s3://understock-test/.* name another with --home"):
        Home.find(str(home))
    with writing_folder(home.domain("cats")) as folder:
        (folder / "a").write_text("a")
    assert Home.find(str(home)) == home


def test_a_store_that_can_not_be_had_is_one_line(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine("a")
    with pytest.raises(StoreError, match=r"home s3://no-such-bucket/x: .*NoSuchBucket"):
        Home.make("s3://no-such-bucket/x")
    with pytest.raises(StoreError, match="expected a folder, or s3://BUCKET/PREFIX"):
        Home.make("gs://bucket/x")
    monkeypatch.setattr(store, "_PATIENCE_SECONDS", 1.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store._client.cache_clear()
    with pytest.raises(UnreachableError, match="out of reach"):
        Home.make("s3://understock-test/x")
