import pytest

from spaces.errors import UserError, lookup
from spaces.natural_order import natural


@pytest.mark.parametrize(
    "ordered",
    [
        ["0", "1", "2", "10", "11", "100", "cat", "dog"],
        ["trial", "trial-2", "trial-2b", "trial-10", "trials"],
        ["a1b2", "a1b10", "a2b1"],
        ["", "007", "8", "9" * 5_000],
    ],
)
def test_numbers_in_names_are_ordered_by_their_size(ordered: list[str]) -> None:
    assert sorted({*ordered}, key=natural) == ordered


def test_an_unknown_class_is_told_the_known_ones_in_their_order() -> None:
    with pytest.raises(UserError, match=r"unknown class '12'; known: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, cat$"):
        lookup({**{str(number): number for number in range(12)}, "cat": 3}, "class", "12")
