import numpy as np
import pytest
from numpy.typing import NDArray

from search.picking.scales import Axes, closer, combinations, few

WIDE: Axes = (tuple(np.geomspace(0.01, 1, 6)), tuple(np.geomspace(0.1, 10, 5)), (3.0,))


def weights_of(axes: Axes, widths: tuple[float, float]) -> NDArray[np.float64]:
    """Two lognormals about 0.09 and 1.3, whose spread in logs these are."""
    logs = np.log(combinations(axes))[:, :2] - np.log([0.09, 1.3])
    weights: NDArray[np.float64] = np.exp(-0.5 * ((logs / widths) ** 2).sum(1))
    return weights


def laid(widths: tuple[float, float]) -> Axes:
    axes, finer = WIDE, closer(WIDE, weights_of(WIDE, widths))
    while finer is not None:
        axes, finer = finer, closer(finer, weights_of(finer, widths))
    return axes


@pytest.mark.parametrize("widths", [(0.1, 0.1), (0.1, 1.0), (1.0, 0.05)])
def test_sums_over_what_was_laid_closer_are_the_integral(widths: tuple[float, float]) -> None:
    axes = laid(widths)
    weights = weights_of(axes, widths)
    logs = np.log(combinations(axes))[:, :2]
    mean = weights @ logs / weights.sum()
    spread = np.sqrt(weights @ (logs - mean) ** 2 / weights.sum())
    for own, width in enumerate(widths):
        if width < 0.5:  # the wider ones reach beyond the axes
            assert mean[own] == pytest.approx(np.log([0.09, 1.3])[own], abs=0.1 * width)
            assert spread[own] == pytest.approx(width, rel=0.1)
    assert max(map(len, axes)) <= 13 and axes[2] == (3.0,)


def test_as_they_were_laid_first_a_value_off_the_mode_has_it_all() -> None:
    weights = weights_of(WIDE, (0.1, 0.1))
    shares = weights.reshape(6, 5).sum(1) / weights.sum()
    assert shares.max() > 0.99 and abs(np.log(WIDE[0][int(shares.argmax())] / 0.09)) > 3 * 0.1


def test_where_many_values_have_weight_nothing_is_laid_closer() -> None:
    assert closer(WIDE, np.ones(30)) is None


def test_few_values_lie_where_nine_tenths_of_the_weight_do() -> None:
    axes = laid((0.1, 0.1))
    low, middle, high = few(axes, weights_of(axes, (0.1, 0.1)))[0]
    assert np.log([low / 0.09, middle / 0.09, high / 0.09]) == pytest.approx([-0.164, 0, 0.164], abs=0.05)
    assert few(axes, weights_of(axes, (0.1, 0.1)))[2] == pytest.approx((3.0,))
