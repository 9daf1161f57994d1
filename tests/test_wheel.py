"""Whoever installs the wheel, as the nodes of a cluster do, has all that a checkout has."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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


def test_the_wheel_has_every_tracked_file_of_the_packages(unpacked: Path) -> None:
    inside = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    assert {name for name in inside if ".dist-info/" not in name} == set(tracked(*OURS))


def test_a_report_is_written_from_the_wheel_alone(unpacked: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "golden" / "home", tmp_path / "home")
    words = ["report", "five", "--home", str(tmp_path / "home"), "-o", str(tmp_path / "five.html")]
    command = [sys.executable, "-I", "-c", RUN, str(unpacked), *words]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [str(unpacked / "understock.py"), str(tmp_path / "five.html")]
    assert (tmp_path / "five.html").stat().st_size > 100_000
