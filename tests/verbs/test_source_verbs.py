"""`understock sources ...`: the names of the builtin source models, which a home's own may hide on purpose alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from trainables.sources.shelf import SourceModel, shelf
from trainables.storage.home import Home, claim

Run = Callable[..., tuple[int, str, str]]

SMALL = "--max-images 16 --threads 1"


@pytest.mark.parametrize(
    "line", ["sources train dots --name mdi", "sources add mdi {model}", "sources cut x --resolution 32"]
)
def test_the_name_of_a_builtin_source_is_taken(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, line: str
) -> None:
    line = line.replace("{model}", str(tiny_source.path / "generator.safetensors"))
    code, said, complaint = run(line if "cut" not in line else f"{line} --name mdi")
    assert (code, said, complaint.count("\n")) == (2, "", 1)
    assert (
        "source model 'mdi' comes with the package; take another name, or hide it in this home with --replace"
        in complaint
    )
    assert home.names("sources") == ["seed-7"]


def test_a_builtin_source_is_hidden_with_replace_and_comes_back(run: Run, home: Home, tiny_source: SourceModel) -> None:
    code, _, noted = run(f"sources add mdi {tiny_source.path / 'generator.safetensors'} --replace")
    assert code == 0, noted
    assert "note: it hides the builtin source model 'mdi' in this home; understock sources rm mdi brings" in noted
    assert shelf(home)["mdi"] == home.source("mdi")
    assert run("sources rm mdi")[:2] == (0, "source model mdi removed; the builtin one of that name is back\n")
    assert shelf(home)["mdi"] != home.source("mdi")
    assert run("sources rm seed-7")[1] == "source model seed-7 removed\n"


def test_a_domain_of_a_builtin_source_s_name_is_trained_under_it_with_a_note(
    run: Run, home: Home, tiny_domain: str
) -> None:
    home.domain(tiny_domain).rename(home.domain("mnist"))
    facts = home.domain("mnist") / "domain.json"
    facts.write_text(facts.read_text().replace('"dots"', '"mnist"'))
    code, _, noted = run(f"sources train mnist {SMALL}")
    assert code == 0, noted
    assert "note: it hides the builtin source model 'mnist' in this home" in noted
    assert home.names("sources") == ["mnist"]


@pytest.mark.slow
def test_a_source_model_is_trained_exported_and_added_again(run: Run, tiny_domain: str, tmp_path: Path) -> None:
    code, said, _ = run("sources train dots --max-images 160 --threads 1")
    assert (code, "160 images seen" in said) == (0, True)
    assert run(f"sources export dots -o {tmp_path / 'out'}")[0] == 0
    files = " ".join(str(tmp_path / "out" / f"{part}.safetensors") for part in ("generator", "discriminator"))
    added = run(f"sources add again {files} --domain dots --images 40")
    assert "resnet of 32 pixels, width 16, z 128" in added[1], added
    assert {"again", "dots"} <= {item["name"] for item in json.loads(run("sources list --json")[1])}


def test_a_training_that_another_process_runs_is_refused(run: Run, home: Home, tiny_domain: str) -> None:
    with claim(home, "sources", "dots"):
        code, _, complaint = run("sources train dots --max-images 160 --threads 1")
    assert code == 2
    assert complaint.startswith("understock: source model 'dots' is being made by another process")
