"""The folders are the architecture: imports go one way, and heavy libraries stay in their rooms."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ["spaces", "trainables", "search", "analysis", "verbs", "understock"]
FLOORS = {
    "trainables": [
        "machine",
        "storage",
        "images",
        "networks",
        "training",
        "cluster",
        "metrics",
        "sources",
        "methods",
        "running",
        "using",
    ],
    "search": [
        "records",
        "prediction",
        "picking",
        "fronts",
        "goals",
        "ranking",
        "proposals",
        "sampling",
        "source_domains",
        "source_models",
        "resources",
        "prior",
        "launch",
        "curve_stopping",
        "transfer_sampler",
        "recommendation",
        "regret",
        "running",
    ],
}
"""From the ground up: what stands in one imports from it and from those before it alone."""
MODULES = [*(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py")), ROOT / "understock.py"]
RAY = (
    "trainables/cluster/",
    "trainables/running/tune_trial.py",
    "trainables/running/tune_entry.py",
    "trainables/running/source_workers.py",
    "search/running/tune.py",
    "search/running/stopping.py",
    "search/running/tracking.py",
    "search/running/jobs.py",
)
EVERY_MODULE = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """The modules that a file imports, as the parts of their names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (tuple(f"{node.module}.{alias.name}".split(".")) for alias in node.names)


def libraries(path: Path) -> set[str]:
    return {parts[0] for parts in imported(path)}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@EVERY_MODULE
def test_imports_go_one_way_among_the_packages(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    above = set(LAYERS[LAYERS.index(own) + 1 :]) | {"tests", "benchmarks"}
    assert not libraries(path) & above


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_is_on_a_floor(package: str) -> None:
    rooms = {
        path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == set(FLOORS[package])


@EVERY_MODULE
def test_imports_go_one_way_inside_a_package(path: Path) -> None:
    package, *inside = path.relative_to(ROOT).with_suffix("").parts
    floors = FLOORS.get(package)
    if floors is None or inside == ["__init__"]:
        return
    above = floors[floors.index(inside[0]) + 1 :]
    upward = [".".join(parts) for parts in imported(path) if parts[0] == package and parts[1] in above]
    assert not upward


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    needs = {
        one: {".".join(parts[:k]) for parts in imported(path) for k in range(1, len(parts) + 1)}
        & modules.keys() - {one}
        for one, path in modules.items()
    }
    while free := [one for one, needed in needs.items() if not needed & needs.keys()]:
        for one in free:
            del needs[one]
    assert not needs


@EVERY_MODULE
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    found = libraries(path)
    if not name(path).startswith(RAY):
        assert "ray" not in found
    if name(path).startswith(("spaces/", "analysis/", "verbs/", "understock")):
        assert "torch" not in found
    assert not found & {"joblib", "dill", "cloudpickle"}
    assert "pickle.load" not in path.read_text()


@EVERY_MODULE
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


def test_no_two_files_of_tests_have_one_name() -> None:
    files = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert not {name for name in files if files.count(name) > 1}, "pytest imports the first of them for both"
