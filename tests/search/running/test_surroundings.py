"""A user's surroundings: files and folders with our packages' everyday names, no home directory, a long TMPDIR."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import ray
from ray.tune.execution import class_cache

from search.records.results import load
from search.records.study import StudyPaths, StudySpec
from search.running.tune import run_study
from spaces.errors import UserError
from trainables.storage.home import Home

ROOT = Path(__file__).parents[3]
NAMES = ("spaces", "trainables", "search", "analysis", "verbs")
STUMBLE = "raise ImportError('the wrong one')\n"
MAIN = "import sys; sys.path.append(sys.argv.pop(1)); from understock import main; main()"
"""Ours last on the path, as an editable install has it."""


def project(folder: Path, kind: str) -> Path:
    """A folder where all five names are taken, and that of a library which is imported late."""
    folder.mkdir()
    for name in (*NAMES, "scipy"):
        if kind == "files":
            (folder / f"{name}.py").write_text(STUMBLE)
        else:
            (folder / name).mkdir()
        if kind == "packages":
            (folder / name / "__init__.py").write_text(STUMBLE)
    return folder


def understock(*words: str, cwd: Path, path: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """A command line of a process whose path begins with `cwd`, and goes on with `path`."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"PYTHONPATH": str(path)} if path else {}
    command = [sys.executable, "-c", MAIN, str(ROOT), *words]
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["files", "folders", "packages"])
@pytest.mark.slow
def test_a_verb_imports_ours_whatever_lies_in_the_working_directory(home: Home, tmp_path: Path, kind: str) -> None:
    folder = project(tmp_path / "proj", kind)
    ended = understock("sources", "list", "--home", str(home.root), cwd=folder)
    assert (ended.returncode, "mdi" in ended.stdout) == (0, True), ended.stderr


@pytest.mark.slow
def test_a_verb_imports_ours_whatever_lies_on_pythonpath(home: Home, tmp_path: Path) -> None:
    folder = project(tmp_path / "proj", "packages")
    shutil.rmtree(folder / "scipy")  # a library's name is the user's own to give there
    ended = understock("sources", "list", "--home", str(home.root), cwd=tmp_path, path=folder)
    assert (ended.returncode, "mdi" in ended.stdout) == (0, True), ended.stderr


def test_the_keys_of_a_bucket_are_in_no_runtime_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    for name in keys:
        monkeypatch.setenv(name, "a secret")
    actor = class_cache._ActorClassCache().get(type("Trainable", (), {}))
    given = actor._default_options["runtime_env"]["env_vars"]
    assert "PL_DISABLE_FORK" in given  # the place is the right one
    assert "a secret" not in given.values()


@pytest.fixture
def space_file(tmp_path: Path) -> Callable[[str], str]:
    """A space in a file `spaces.py`, among folders and files of our packages' names."""

    def write(code: str) -> str:
        folder = project(tmp_path / "proj", "packages")
        shutil.rmtree(folder / "spaces")
        (folder / "spaces.py").write_text(code)
        return f"{folder / 'spaces.py'}:space"

    return write


@pytest.mark.ray
def test_trials_run_where_space_and_folders_have_the_names_of_our_packages(
    new_study: Callable[..., tuple[StudyPaths, StudySpec]], home: Home, tmp_path: Path
) -> None:
    paths, _ = new_study(trials=2)
    on_path = project(tmp_path / "on-path", "packages")
    shutil.rmtree(on_path / "scipy")
    ended = understock("resume", "s", "--home", str(home.root), cwd=tmp_path / "proj", path=on_path)
    assert ended.returncode == 0, ended.stderr
    last = {row["trial"]: row["status"] for row in load(paths.evaluations).to_pylist()}
    assert set(last.values()) <= {"completed", "stopped"}, ended.stderr


@pytest.mark.ray
def test_a_study_runs_without_a_home_directory_and_with_a_long_tmpdir(
    new_study: Callable[..., tuple[StudyPaths, StudySpec]], home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, _ = new_study(trials=1)
    (tmp_path / ("long" * 20)).mkdir()
    surroundings = {"HOME": "/proc/nowhere", "RAY_AUTH_MODE": "token", "TMPDIR": str(tmp_path / ("long" * 20))}
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    ended = understock("resume", "s", "--home", str(home.root), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert [row["status"] for row in load(paths.evaluations).to_pylist()][-1] == "completed"


def test_a_search_on_a_machine_too_busy_for_ray_says_how_to_resume_it(
    home: Home, new_study: Callable[..., tuple[StudyPaths, StudySpec]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", late)
    study = new_study()
    with pytest.raises(UserError, match=r"did not start in the 30 s .*, then go on with: understock resume s$"):
        run_study(home, *study)
