"""The pool of generated images."""

import torch
from torch import Tensor

from trainables.training.draws import Draws
from trainables.training.pool import ImagePool

CPU = torch.device("cpu")


def images(*values: float) -> Tensor:
    return torch.tensor(values)[:, None, None, None].expand(-1, 3, 2, 2).clone()


def values_of(batch: Tensor) -> list[float]:
    return batch[:, 0, 0, 0].tolist()


def test_until_it_is_full_each_image_is_kept_and_given_back() -> None:
    pool = ImagePool(3, 2, CPU)
    assert values_of(pool.exchange(images(1, 2), Draws(0, 0))) == [1, 2]
    assert int(pool.filled) == 2
    assert values_of(pool.images) == [1, 2, 0]


def test_then_half_of_the_images_are_earlier_ones_whose_places_they_take() -> None:
    pool = ImagePool(50, 2, CPU)
    pool.exchange(images(*range(50)), Draws(0, 0))
    fresh = images(*range(1_000, 2_000))
    given = values_of(pool.exchange(fresh, Draws(0, 1)))
    earlier = sum(new != old for new, old in zip(given, values_of(fresh), strict=True))
    assert 430 < earlier < 570
    assert sorted([*given, *values_of(pool.images)]) == [
        *range(50),
        *range(1_000, 2_000),
    ]  # none is lost, none is copied


def test_what_it_gives_is_a_function_of_its_state_and_the_draws() -> None:
    found = []
    for _ in range(2):
        pool = ImagePool(2, 2, CPU)
        pool.exchange(images(1, 2), Draws(0, 0))
        found.append(values_of(pool.exchange(images(3, 4, 5), Draws(0, 1))))
    assert found[0] == found[1]


def test_a_pool_of_no_size_gives_back_what_it_gets() -> None:
    fresh = images(1, 2)
    assert torch.equal(ImagePool(0, 2, CPU).exchange(fresh, Draws(0, 0)), fresh)
