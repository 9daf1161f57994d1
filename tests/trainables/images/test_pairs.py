from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from trainables.images.domains import Domain, open_domain, write_domain
from trainables.images.importing.importers import add_domain
from trainables.images.pairs import pairs, without_pictures_of
from trainables.storage.home import Home


def domain_of(path: Path, names: Sequence[str], held_out: Sequence[str] = ()) -> Domain:
    count = max(1, len(names))
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 3, 8, 8), np.uint8)
    is_val = np.array([name in held_out for name in names] or [False])
    write_domain(path, images, np.full(count, -1), is_val, origin="test", resizer="none", names=names)
    return Domain.open(path)


def test_pairs_are_the_rows_of_equal_names_that_both_hold_out(tmp_path: Path) -> None:
    one = domain_of(tmp_path / "one", ["a", "b", "c", "d"], held_out=["b", "c", "d"])
    other = domain_of(tmp_path / "other", ["d", "c", "b", "x"], held_out=["d", "b", "x"])
    assert [rows.tolist() for rows in pairs(one, other)] == [[1, 3], [2, 0]]


def test_domains_without_names_have_no_pairs(tmp_path: Path) -> None:
    named, bare = domain_of(tmp_path / "one", ["a", "b"], held_out=["a"]), domain_of(tmp_path / "other", [])
    for pair in (pairs(named, bare), pairs(bare, named), pairs(bare, bare)):
        assert [rows.tolist() for rows in pair] == [[], []]


def test_pictures_that_one_domain_trains_on_are_kept_from_the_other(tmp_path: Path) -> None:
    one, other = domain_of(tmp_path / "one", ["a", "b", "c"]), domain_of(tmp_path / "other", ["c", "b", "a"])
    rows, bare = np.arange(3), domain_of(tmp_path / "bare", [])
    assert without_pictures_of(one, rows, other, np.array([0, 1])).tolist() == [0]
    assert without_pictures_of(one, rows, bare, np.array([0])).tolist() == [0, 1, 2]


@pytest.fixture
def weights(home: Home) -> tuple[Domain, Domain]:
    for weight in ("thin", "fill"):
        add_domain(home, weight, f"builtin:phosphor-{weight}", 32)
    return open_domain(home, "thin"), open_domain(home, "fill")


@pytest.mark.slow
def test_the_weights_of_an_icon_are_true_pairs(weights: tuple[Domain, Domain]) -> None:
    thin, fill = weights
    of_thin, of_fill = pairs(thin, fill)
    assert len(of_thin) > 150
    ink = [255.0 - domain.images[rows].mean((1, 2, 3)) for domain, rows in ((thin, of_thin), (fill, of_fill))]
    assert (ink[1] > ink[0]).mean() > 0.9  # a few icons have no inside to fill
    difference = np.abs(thin.images[of_thin].astype(float) - fill.images[of_fill]).mean()
    assert difference < np.abs(thin.images[of_thin].astype(float) - np.roll(fill.images[of_fill], 1, axis=0)).mean()
