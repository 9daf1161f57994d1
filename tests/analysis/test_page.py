"""How values stand on the page."""

import pytest

from analysis.page import duration, text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (1234567, "1,234,567"),
        (400.0, "400"),
        (0.00012344, "0.0001234"),
        (4023.4, "4,023"),
        (123456.7, "123,457"),
        (-2.51234, "-2.512"),
        (True, "True"),
        ("mdi", "mdi"),
    ],
)
def test_values_read_with_four_digits_and_thousands_apart(value, shown):
    assert text(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(40, "40 s"), (600, "10 min"), (9000, "2.5 h"), (float("nan"), "–")])
def test_durations_have_the_unit_that_suits_them(seconds, shown):
    assert duration(seconds) == shown
