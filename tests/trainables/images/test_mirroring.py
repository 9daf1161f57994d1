from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.launch import resolve_study
from trainables.images.domains import read_facts, write_domain
from trainables.images.importing.importers import add_domain
from trainables.images.mirroring import may_mirror
from trainables.storage.home import Home


def smooth(n: int = 20) -> np.ndarray:
    """Images in which neighbours differ a little, as in photos."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 200, 32)[None, None, None] + rng.uniform(0, 50, (n, 3, 32, 1))
    return (ramp + rng.normal(0, 3, (n, 3, 32, 32))).clip(0, 255).astype(np.uint8)


def flat(n: int = 20) -> np.ndarray:
    """Black shapes on white."""
    images = np.full((n, 3, 32, 32), 255, np.uint8)
    images[:, :, 8:24, 10:20] = 0
    return images


@pytest.mark.parametrize(
    ("origin", "images", "mirrored"),
    [
        ("photos/cats", smooth(), True),
        ("scans", flat(), False),
        ("torchvision:Flowers102:/data", smooth(), True),
        ("torchvision:SVHN:/data", smooth(), False),
        ("builtin:twemoji", smooth(), False),
    ],
)
def test_photos_are_mirrored_and_what_is_drawn_or_written_is_not(
    origin: str, images: np.ndarray, mirrored: bool
) -> None:
    assert may_mirror(origin, images) is mirrored


def folder_of(images: np.ndarray, path: Path) -> str:
    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(path / f"{i}.png")
    return str(path)


@pytest.mark.parametrize(("asked", "found"), [(None, True), (False, False), (True, True)])
def test_an_import_measures_it_unless_it_is_told(home: Home, tmp_path: Path, asked: bool | None, found: bool) -> None:
    facts = add_domain(home, "x", folder_of(smooth(), tmp_path / "photos"), 32, flip=asked)
    assert facts.flip is found
    assert read_facts(home.domain("x")).flip is found


@pytest.mark.parametrize(("fact", "flip"), [(None, False), (False, False), (True, True)])
def test_searches_go_by_it_where_their_space_does_not_say(
    home: Home, tmp_path: Path, fact: bool | None, flip: bool
) -> None:
    images, labels = smooth(40), np.full(40, -1)
    write_domain(home.domain("x"), images, labels, np.arange(40) < 4, origin="t", resizer="none", flip=fact)
    space = tmp_path / "space.py"
    space.write_text(
        "def plain(trial, *, sources, train_images):\n    trial.suggest_categorical('source', ['scratch'])\n"
    )
    base = resolve_study(home, "x", f"{space}:plain", sources="mdi", trials=1).spec.base
    assert base.model_dump()["augment"]["flip"] is flip
    space.write_text(space.read_text() + "    trial.suggest_categorical('augment/flip', [False])\n")
    assert (
        resolve_study(home, "x", f"{space}:plain", sources="mdi", trials=1).example.model_dump()["augment"]["flip"]
        is False
    )


def test_facts_of_earlier_versions_say_nothing_of_it(home: Home) -> None:
    write_domain(home.domain("x"), smooth(), np.full(20, -1), np.arange(20) < 2, origin="t", resizer="none")
    path = home.domain("x") / "domain.json"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '"flip"' not in line))
    assert read_facts(home.domain("x")).flip is None


def test_domains_add_says_what_it_took_them_for(run, home: Home, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    photos = folder_of(smooth(), tmp_path / "photos")
    assert "taken for photos" in run(f"domains add x {photos} --resolution 32")[1]
    assert "taken for photos" not in run(f"domains add y {photos} --resolution 32 --no-flip")[1]
    assert read_facts(home.domain("y")).flip is False
