"""Ray's workers get the function that puts our packages first by value: nothing of ours is imported to read it."""

import subprocess
import sys
from pathlib import Path

import pytest
from ray import cloudpickle

import understock
from trainables.machine.imports import ours_first

ROOT = Path(understock.__file__).parent
WORKER = """
import pickle, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
pickle.loads(bytes.fromhex(sys.argv[3]))()
import spaces, sched
print(spaces.__file__, sched.__file__, "trainables" in sys.modules)
"""


@pytest.mark.parametrize("root", [ROOT, Path("/not/on/this/machine")])
@pytest.mark.slow
def test_a_worker_imports_ours_first_and_the_working_directory_last(tmp_path: Path, root: Path) -> None:
    late, on_path = tmp_path / "late", tmp_path / "on-path"
    for folder, name in ((late, "sched"), (on_path, "spaces")):
        folder.mkdir()
        (folder / f"{name}.py").write_text("raise ImportError('the wrong one')")
    sent = cloudpickle.dumps(ours_first(str(root), str(late))).hex()
    command = [sys.executable, "-c", WORKER, str(late), str(on_path), sent]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    ours, library, imported = ended.stdout.split()
    assert Path(ours).name == "__init__.py"
    assert Path(ours).is_relative_to(ROOT) or root != ROOT  # elsewhere it is where understock is installed
    assert not Path(library).is_relative_to(tmp_path)
    assert imported == "False"
