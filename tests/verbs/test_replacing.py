"""What an unfinished study needs is replaced, hidden and removed by `--force` alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from search.launch import resolve_study
from search.records.study import StudyPaths, write_spec
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.storage.weights import write_tensors

Run = Callable[..., tuple[int, str, str]]


NEEDED = {
    "domains add dots {tmp}/images --resolution 32 --replace": "domain 'dots'",
    "domains rm dots": "domain 'dots'",
    "sources add seed-7 {tmp}/both --domain x --images 1 --replace": "source model 'seed-7'",
    "sources train dots --name seed-7 --max-images 16 --replace": "source model 'seed-7'",
    "sources rm seed-7": "source model 'seed-7'",
}


@pytest.mark.parametrize("line", NEEDED)
@pytest.mark.slow
def test_what_an_unfinished_study_needs_is_replaced_and_removed_by_force_alone(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path, line: str
) -> None:
    write_spec(StudyPaths.of(home, "begun"), resolve_study(home, "dots", "quickstart", sources="seed-7").spec)
    (tmp_path / "images").mkdir()
    for shade in range(8):
        Image.new("RGB", (32, 32), (shade, 0, 0)).save(tmp_path / "images" / f"{shade}.png")
    tensors = {f"{part}.{name}": t for part, own in tiny_source.weights().items() for name, t in own.items()}
    write_tensors(tensors, tmp_path / "both")
    line = line.replace("{tmp}", str(tmp_path)) + (" --resolution 32 --width 2 --z-dim 8" if "both" in line else "")
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    code, said, complaint = run(line)
    assert (code, said, complaint.count("\n")) == (2, "", 1)
    assert (
        f"{NEEDED[next(key for key in NEEDED if key.split()[:3] == line.split()[:3])]} is what an unfinished"
        in complaint
    )
    assert {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()} == before
    code, _, complaint = run(f"{line} --force")
    assert code == 0, complaint
    assert "this ends: dots-quickstart (0 of 24 trials are through)\n" in complaint


def test_a_new_source_does_not_hide_a_builtin_one_that_an_unfinished_study_needs(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path
) -> None:
    write_spec(StudyPaths.of(home, "begun"), resolve_study(home, "dots", "quickstart", sources="mnist").spec)
    code, _, complaint = run(f"sources add mnist {tmp_path / 'nowhere'} --domain x --images 1")
    assert (code, complaint.count("\n")) == (2, 1)
    assert "source model 'mnist' is what an unfinished study was planned with: dots-quickstart" in complaint
