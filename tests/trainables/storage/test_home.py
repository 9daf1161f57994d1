import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spaces.errors import UserError
from trainables.storage.home import LOCK, Home, StorageError, claim, has_process, only_process, writing, writing_folder


@pytest.mark.parametrize("name", ["../cats", "a/b", "", ".hidden", "Cats", "a" * 101, "a b", "a\n"])
def test_names_that_a_path_could_read_otherwise_are_refused(home: Home, name: str) -> None:
    with pytest.raises(UserError, match="domain name"):
        home.domain(name)


def test_home_is_found_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNDERSTOCK_HOME", str(tmp_path / "there"))
    assert Home.make().root == Home.find().root == tmp_path / "there"
    assert Home.make(tmp_path / "here").root == Home.find(tmp_path / "here").root == tmp_path / "here"


@pytest.mark.parametrize("named_by", ["argument", "variable"])
def test_a_home_that_is_named_and_not_there_is_refused_and_not_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named_by: str
) -> None:
    typed = str(tmp_path / "a home")
    if named_by == "variable":
        monkeypatch.setenv("UNDERSTOCK_HOME", typed)
    with pytest.raises(
        UserError, match=r"no home at .*a home; name another .* domains add NAME WHAT --home '.*a home'$"
    ):
        Home.find(typed if named_by == "argument" else None)
    assert os.listdir(tmp_path) == []


def test_the_default_home_may_be_missing_and_is_as_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("UNDERSTOCK_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    home = Home.find()
    home.check_writable()
    assert (home.root, home.is_there(), home.names("domains")) == (tmp_path / ".understock", False, [])
    assert os.listdir(tmp_path) == []
    assert Home.make().is_there()


def test_a_home_that_can_not_be_made_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"can't be written.*--home PATH"):
        Home.make(tmp_path / "file" / "home")
    with pytest.raises(UserError, match=r"can't be read \(Not a directory\).*--home PATH"):
        Home.find(tmp_path / "file" / "home")


def test_writing_leaves_the_old_file_when_the_block_raises(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), writing(tmp_path / "a") as beside:
        beside.write_text("half")
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("write", [Path.write_bytes, lambda path, data: pq.write_table(pa.table({"a": [data]}), path)])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, write: Callable[[Path, bytes], object]
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        (tmp_path / "a").write_text("old")
        with pytest.raises(StorageError, match=r"a can't be written \(No space left on device\); make space"):  # noqa: SIM117
            with writing(tmp_path / "a") as beside:
                write(beside, os.urandom(200_000))
        assert (tmp_path / "a").read_text() == "old"
        assert os.listdir(tmp_path) == ["a"]
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_writing_a_folder_replaces_it_whole(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("")
    with writing_folder(tmp_path / "d") as beside:
        (beside / "new").write_text("")
    assert os.listdir(tmp_path / "d") == ["new"]
    assert os.listdir(tmp_path) == ["d"]


@pytest.fixture
def between_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Has something done each time when the folder "d" has been renamed away, before anything takes its place."""
    replace = Path.replace

    def have(do: Callable[[], None]) -> None:
        def renamed(path: Path, target: Path) -> Path:
            moved = replace(path, target)
            if path == tmp_path / "d":
                do()
            return moved

        monkeypatch.setattr(Path, "replace", renamed)

    return have


def test_an_interrupt_while_a_folder_is_replaced_waits_until_the_new_one_is_in_place(
    tmp_path: Path, between_renames: Callable[[Callable[[], None]], None]
) -> None:
    (tmp_path / "d").mkdir()
    between_renames(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), writing_folder(tmp_path / "d") as beside:
        (beside / "new").write_text("")
    assert os.listdir(tmp_path / "d") == ["new"]
    assert os.listdir(tmp_path) == ["d"]


def test_a_second_interrupt_while_a_folder_is_replaced_leaves_the_old_one(
    tmp_path: Path, between_renames: Callable[[Callable[[], None]], None]
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("")
    between_renames(lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)] and None)
    with pytest.raises(KeyboardInterrupt), writing_folder(tmp_path / "d") as beside:
        (beside / "new").write_text("")
    assert os.listdir(tmp_path / "d") == ["old"]
    assert os.listdir(tmp_path) == ["d"]


def test_a_folder_is_replaced_while_others_keep_something_in_it(
    tmp_path: Path, between_renames: Callable[[Callable[[], None]], None]
) -> None:
    came = iter(range(3))

    def keep() -> None:
        for number in itertools.islice(came, 1):
            write_text(tmp_path / "d" / "moments" / str(number))

    write_text(tmp_path / "d" / "old")
    between_renames(keep)
    with writing_folder(tmp_path / "d") as beside:
        (beside / "new").write_text("")
    assert next(came, None) is None, "something was kept there three times"
    assert os.listdir(tmp_path / "d") == ["new"]
    assert os.listdir(tmp_path) == ["d"]


def test_a_folder_whose_replacement_fails_is_there_again_with_what_others_kept_in_it(
    tmp_path: Path, between_renames: Callable[[Callable[[], None]], None]
) -> None:
    write_text(tmp_path / "d" / "old")

    def keep() -> None:
        if fresh.exists():
            write_text(tmp_path / "d" / "moments" / "kept")
            shutil.rmtree(fresh)

    between_renames(keep)
    with pytest.raises(FileNotFoundError), writing_folder(tmp_path / "d") as fresh:
        pass
    assert {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()} == {
        "d/old",
        "d/moments/kept",
    }
    assert os.listdir(tmp_path) == ["d"]


def write_text(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.name)


def test_a_name_is_claimed_by_one_alone_and_free_again_afterwards(home: Home) -> None:
    with claim(home, "sources", "cats"):
        with (
            pytest.raises(UserError, match="source model 'cats' is being made by another process"),
            claim(home, "sources", "cats", replace=True),
        ):
            pass
        with claim(home, "sources", "dogs"), claim(home, "domains", "cats"):
            pass
        assert home.names("sources") == []
    with claim(home, "sources", "cats"), writing_folder(home.source("cats")):
        pass
    with (
        pytest.raises(UserError, match=r"source model 'cats' is there already, in .*--replace"),
        claim(home, "sources", "cats"),
    ):
        pass
    with claim(home, "sources", "cats", replace=True):
        pass


def test_a_claim_goes_with_the_process_that_holds_it(home: Home) -> None:
    code = f"""
from pathlib import Path
from threading import Timer
from trainables.storage.home import Home, claim
with claim(Home(Path({str(home.root)!r})), "studies", "s"):
    print("on", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"on\n"
        with pytest.raises(UserError, match="study 's' is being made"), claim(home, "studies", "s"):
            pass
        process.kill()
        process.wait()
        with claim(home, "studies", "s"):
            pass


def test_who_looks_whether_a_process_is_there_does_not_keep_one_off(home: Home) -> None:
    with only_process(home.study("s"), "busy"):
        assert has_process(home.study("s"))
    with (home.study("s") / LOCK).open() as look:
        fcntl.flock(look, fcntl.LOCK_SH)  # as `has_process` does for a moment
        Timer(0.3, look.close).start()
        with only_process(home.study("s"), "busy"):
            pass


def test_half_written_folders_are_not_listed(home: Home) -> None:
    (home.root / "domains" / ".cats.x1").mkdir(parents=True)
    home.domain("dogs").mkdir()
    assert home.names("domains") == ["dogs"]


def test_what_else_lies_in_a_home_is_not_listed(home: Home) -> None:
    for kind in ("domains", "sources", "studies"):
        for stray in ("lost+found", "@eaDir", "Cats", ".Trash"):
            (home.root / kind / stray).mkdir(parents=True)
        (home.root / kind / "a-file").write_text("")
    home.study("begun").mkdir()
    home.study("real").mkdir()
    (home.study("real") / "study.json").write_text("{}")
    assert [home.names(kind) for kind in ("domains", "sources", "studies")] == [[], [], ["real"]]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A home's folder on a disk that is mounted to be read alone."""
    (tmp_path / "ro" / "domains").mkdir(parents=True)
    folder = str(tmp_path / "ro")
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    yield tmp_path / "ro"
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_home_that_can_only_be_read_is_found_and_refuses_each_way_to_write_in_a_line(read_only: Path) -> None:
    home = Home.find(read_only)
    assert home.names("domains") == []
    with pytest.raises(UserError, match=r"ro can't be written \(Read-only file system\); give another with --home"):
        home.check_writable()
    with pytest.raises(StorageError, match="can't be written"), writing(home.root / "a") as beside:
        beside.write_text("")
    with pytest.raises(StorageError, match="can't be written"), writing_folder(home.domain("a")):
        pytest.fail("nothing can be written there")
    with pytest.raises(StorageError, match="can't be written"), only_process(home.study("a"), "busy"):
        pytest.fail("nothing can be locked there")
