"""`understock sources ...`: the names of the builtin source models, which a home's own may hide on purpose alone."""

from collections.abc import Callable

import pytest

from trainables.sources.shelf import SourceModel, shelf
from trainables.storage.home import Home

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
