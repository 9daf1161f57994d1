"""Whoever installs the wheel, as the nodes of a cluster do, has all that a checkout has."""

import shutil
import signal
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("wheel")  # one process builds it

SPACE = """
def tiny(trial, *, sources, train_images):
    trial.suggest_categorical("source", ["seed-7"])
    trial.suggest_categorical("loss/n_critic", [1])
    trial.suggest_categorical("optim/batch", [4])
    trial.suggest_int("seed", 0, 1)
"""

ROOT = Path(__file__).parent.parent
OURS = ("spaces", "trainables", "search", "analysis", "verbs", "understock.py")
RUN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import understock; print(understock.__file__); understock.main()"
)


def tracked(*below: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *below], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of what is tracked, unpacked: built from a copy, so that nothing ignored or left by a build gets in."""
    source, wheels, folder = (tmp_path_factory.mktemp(name) for name in ("source", "wheels", "site"))
    for name in tracked("pyproject.toml", "README.md", *OURS):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(wheels),
        ".",
    ]
    subprocess.run(command, cwd=source, check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.slow
def test_the_wheel_has_every_tracked_file_of_the_packages(unpacked: Path) -> None:
    inside = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert {name for name in inside if ".dist-info/" not in name} == set(tracked(*OURS))


@pytest.mark.slow
def test_a_report_is_written_from_the_wheel_alone(unpacked: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "golden" / "home", tmp_path / "home")
    words = ["report", "five", "--home", str(tmp_path / "home"), "-o", str(tmp_path / "five.html")]
    command = [sys.executable, "-I", "-c", RUN, str(unpacked), *words]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [str(unpacked / "understock.py"), str(tmp_path / "five.html")]
    assert (tmp_path / "five.html").stat().st_size > 100_000


@pytest.mark.ray
def test_a_study_is_searched_and_watched_from_the_wheel_alone(unpacked: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "golden" / "home", tmp_path / "home")
    (tmp_path / "mine.py").write_text(SPACE)

    def understock(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-c", RUN, str(unpacked), *words, "--home", str(tmp_path / "home")]
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    planned = understock(*["search", "dots", "--sources", "seed-7", "--space", "mine.py:tiny", "--dry-run"])
    out, err = planned.communicate(timeout=300)
    assert (planned.returncode, '"space": "' in out) == (0, True), err
    with understock("resume", "begun") as process:  # small, with a training that was cut off
        try:
            out, err = process.communicate(timeout=500)
        finally:
            process.terminate()
    assert process.returncode == 0, err
    assert out.splitlines()[0] == str(unpacked / "understock.py")
    assert (tmp_path / "home" / "studies" / "begun" / "report.html").is_file()
    with understock("watch", "begun", "--port", "0") as server:
        assert server.stdout is not None
        server.stdout.readline()
        address = server.stdout.readline().split(" at ")[1].split()[0]
        page = urllib.request.urlopen(address, timeout=60).read().decode()
        server.send_signal(signal.SIGINT)
        _, err = server.communicate(timeout=30)
    assert '<progress max="1" value="1"' in page
    assert (server.returncode, "Traceback" in err) == (0, False), err
