"""The Python that is documented: every name of docs/python.md exists, its code runs, and so does the notebook."""

import importlib
import inspect
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "python.md").read_text()
NOTEBOOK = ROOT / "docs" / "understock.ipynb"
NAMES = dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)` \|", PAGE, flags=re.MULTILINE))
OURS = {"cats-quickstart": "five", '"cats"': '"dots"', '"dogs"': '"seed-7"'}
"""Names of the examples, and what the golden home has in their places."""


def code_of_the_page() -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))


def with_our_names(code: str) -> str:
    for theirs, ours in OURS.items():
        code = code.replace(theirs, ours)
    return code


def imported(code: str) -> dict[str, str]:
    """The names that code takes from our packages, with the modules that they are in."""
    lines = re.findall(r"^from ((?:spaces|trainables|search|analysis)[\w.]*) import (.+)$", code, flags=re.MULTILINE)
    return {name: module for module, names in lines for name in names.split(", ")}


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with study "five" of domain "dots", and a folder to write into; the home is the default one."""
    home = Path(shutil.copytree(ROOT / "tests" / "golden" / "home", tmp_path / "home"))
    monkeypatch.setenv("UNDERSTOCK_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_page_is_where_it_says_and_explains_itself(name: str) -> None:
    found = getattr(importlib.import_module(NAMES[name]), name)
    assert found.__module__ == NAMES[name]
    assert inspect.getdoc(found)


def test_the_page_and_the_notebook_use_names_of_the_page_alone() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells  # type: ignore[no-untyped-call]
    notebook = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    page = imported(code_of_the_page())
    assert page.items() <= NAMES.items()
    assert imported(notebook).items() <= NAMES.items()
    assert NAMES.keys() == page.keys() | imported(notebook).keys()


@pytest.mark.slow
def test_the_code_of_the_page_runs(golden: Path) -> None:
    names: dict[str, object] = {}
    exec(with_our_names(code_of_the_page()), names)
    assert names["ranking"].order == ("seed-7",)  # type: ignore[attr-defined]
    assert names["samples"].images.shape == (16, 3, 32, 32)  # type: ignore[attr-defined]
    assert {path.name for path in golden.parent.iterdir()} >= {"grid.png", "walk.gif", "cats-generator"}
    assert "config" in type(names["picked"]).model_fields  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(golden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells), "a notebook is committed without what it printed"
    for cell in notebook.cells:
        cell.source = with_our_names(cell.source)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(golden.parent))
    kinds = [set(output.get("data", {})) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in kind for kind in kinds) == 2
    assert any("application/vnd.plotly.v1+json" in kind for kind in kinds)
    assert any("seed-7" in str(cell.get("outputs")) for cell in notebook.cells[-1:])
