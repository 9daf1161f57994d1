"""Imports that are stopped, crowded out or run into each other: each makes a whole domain or none."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from trainables.images.domains import open_domain
from trainables.images.importing.importers import add_domain
from trainables.storage.home import Home, StorageError

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
