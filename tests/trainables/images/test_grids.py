import numpy as np
import pytest

from trainables.images.grids import GAP, image_grid


def numbered(n, height=4, width=4):
    return np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 3, height, width))


@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 1), (4, 2, 2), (5, 3, 2), (9, 3, 3), (10, 4, 3)])
def test_grid_is_nearly_square_with_gaps_between(n, columns, rows):
    assert image_grid(numbered(n)).size == (columns * 6 - GAP, rows * 6 - GAP)


def test_grid_runs_row_by_row_in_the_columns_asked_for():
    pixels = np.asarray(image_grid(numbered(5), columns=2))
    assert pixels.shape == (3 * 6 - GAP, 2 * 6 - GAP, 3)
    assert [int(pixels[6 * (i // 2), 6 * (i % 2), 0]) for i in range(5)] == [0, 1, 2, 3, 4]
    assert (pixels[12:, 6:] == 255).all(), "an empty place is white"


def test_grid_keeps_channels_and_repeats_pixels():
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 2, 3), dtype=np.uint8)
    pixels = np.asarray(image_grid(image, scale=3))
    assert np.array_equal(pixels, np.kron(image[0].transpose(1, 2, 0), np.ones((3, 3, 1), np.uint8)))
