"""Contact sheets: many images in one picture."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAP = 2
"""Pixels of white between neighbours, not scaled."""

GRID_IMAGES = 64
"""In the grid of a trial's or a source model's samples, at most."""


def image_grid(images: NDArray[np.uint8], columns: int | None = None, scale: int = 1) -> Image.Image:
    """A contact sheet of `images`, uint8 (N, 3, H, W), row by row on white.

    `columns` is the least number that is at least the number of rows, unless given; `scale` repeats every pixel.
    """
    assert images.ndim == 4, f"{images.shape=}, expected (N, 3, H, W)"
    assert len(images) > 0, "no images to show"
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    tiles = images.repeat(scale, axis=2).repeat(scale, axis=3).transpose(0, 2, 3, 1)  # (N, H, W, 3)
    height, width = tiles.shape[1:3]
    sheet = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = tile
    return Image.fromarray(sheet)
