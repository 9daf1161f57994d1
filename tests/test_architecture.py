"""The folders are the architecture: imports go one way, and heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["spaces", "trainables", "search", "analysis", "verbs", "understock"]
MODULES = [*(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")), ROOT / "understock.py"]
ROOMS = {
    "ray": {
        f"trainables/{name}.py"
        for name in ("cluster", "workers", "source_workers", "distributed", "loopback", "meeting")
    }
    | {f"search/{name}.py" for name in ("tune", "tracking", "jobs")}
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    above = set(LAYERS[LAYERS.index(own) + 1 :]) | {"tests", "benchmarks"}
    assert not imported(path) & above


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    name, found = str(path.relative_to(ROOT)), imported(path)
    if name not in ROOMS["ray"]:
        assert "ray" not in found
    if name.startswith(("spaces/", "analysis/", "verbs/", "understock")):
        assert "torch" not in found
    assert not found & {"joblib", "dill", "cloudpickle"}
    assert "pickle.load" not in path.read_text()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_function_outgrows_its_room(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    assert path.stem not in {"utils", "common", "helpers", "base", "core", "misc"}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            assert (node.end_lineno or 0) - body[0].lineno < 60, f"{node.name} in {path}"


def test_the_front_door_opens_without_heavy_libraries() -> None:
    code = "import sys, understock; print(*{'torch', 'ray', 'optuna', 'pandas', 'pyarrow', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
