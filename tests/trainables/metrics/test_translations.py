"""How near translations are to true pairs, and how much of their inputs they keep."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trainables.images.domains import Domain, write_domain
from trainables.images.samples import Samples
from trainables.metrics.features import content_maps
from trainables.metrics.translations import content_shift, pair_error, shift

CPU = torch.device("cpu")


def images(*shades: int) -> torch.Tensor:
    return torch.tensor(shades, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).clone()


@pytest.fixture
def target(tmp_path: Path) -> Domain:
    """Pictures a, b and c in shades 100, 150 and 200; a is trained on."""
    write_domain(
        tmp_path / "target",
        images(100, 150, 200).numpy(),
        np.full(3, -1),
        np.array([False, True, True]),
        origin="test",
        resizer="none",
        names=["a", "b", "c"],
    )
    return Domain.open(tmp_path / "target")


def test_the_pair_error_is_over_held_out_pictures_that_the_target_has(target: Domain) -> None:
    samples = Samples(images(0, 160, 220, 0), inputs=images(0, 0, 0, 0), pictures=("a", "b", "c", "x"))
    found = pair_error(samples, target)
    assert found.value == pytest.approx((10 + 20) / 2 / 255)
    assert found.untranslated == pytest.approx((150 + 200) / 2 / 255)
    assert found.n == 2


def test_a_picture_that_comes_twice_counts_once_and_true_pairs_have_no_error(target: Domain) -> None:
    found = pair_error(Samples(images(150, 150), inputs=images(0, 0), pictures=("b", "b")), target)
    assert (found.value, found.n) == (0, 1)


def test_without_pairs_or_inputs_there_is_no_pair_error(target: Domain) -> None:
    for samples in (Samples(images(1)), Samples(images(1), inputs=images(1)), Samples(images(1), pictures=("b",))):
        found = pair_error(samples, target)
        assert np.isnan([found.value, found.untranslated]).all() and found.n == 0


def test_a_shift_of_maps_is_0_of_equal_ones_whatever_their_scale_and_2_of_unrelated_ones() -> None:
    one, other = torch.randn(2, 6, 40, 32, 32, generator=torch.Generator().manual_seed(0))
    assert shift(one, one) == 0
    assert shift(one, 3 * one + 5) == pytest.approx(0, abs=1e-6)
    assert shift(one, other) == pytest.approx(2, rel=0.02)


def squares(places: NDArray[np.int64], shade: int) -> NDArray[np.uint8]:
    found = np.full((len(places), 3, 32, 32), 255, np.uint8)
    for image, (x, y) in zip(found, places, strict=True):
        image[:, y : y + 10, x : x + 10] = shade
    return found


def test_a_change_of_style_shifts_content_less_than_a_change_of_place() -> None:
    places = np.random.default_rng(0).integers(0, 22, (12, 2))
    inputs, elsewhere = squares(places, 0), squares(places[::-1], 0)

    def shifted(translations: NDArray[np.uint8]) -> float:
        samples = Samples(torch.from_numpy(translations), inputs=torch.from_numpy(inputs))
        return content_shift(samples, elsewhere, lambda these: content_maps(these, CPU)).value

    assert shifted(inputs) == 0
    assert 0 < shifted(squares(places, 90)) < shifted(elsewhere) / 2


@pytest.mark.parametrize("shots", [None, 3])
def test_images_of_noise_or_of_several_have_no_content_to_keep(shots: int | None) -> None:
    inputs = shots and torch.stack([images(1, 2)] * shots, 1)
    found = content_shift(Samples(images(1, 2), inputs=inputs), images(1, 2).numpy(), lambda x: content_maps(x, CPU))
    assert np.isnan([found.value, found.unrelated]).all() and found.n == 0


def test_content_is_looked_at_in_8_by_8_places_and_no_batch_changes_it() -> None:
    some = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    maps = content_maps(some, CPU)
    assert maps.shape == (3, 112, 8, 8)
    torch.testing.assert_close(content_maps(some, CPU, batch=1), maps, rtol=1e-3, atol=1e-3)
