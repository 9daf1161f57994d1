"""Contact sheets: many images in one picture, row by row."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAP = 2
"""Pixels of white between neighbours, however much the images are scaled."""

GRID_IMAGES = 64
"""How many samples of a trial or a source model its grid shows, at most."""

BY_CLASS = "by-class-"
"""How the name of a trial's grid of classes begins."""

CLASSES_SHOWN, EACH_SHOWN = 12, 8
"""How many classes a grid of classes shows at most, a row each, and how many images of each."""


def class_grid(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Image.Image:
    """A contact sheet of the first classes, a row each in the order of their labels: the first images of each.

    `images` (N, 3, H, W) are of the classes `labels` (N,). What a class lacks is white.
    """
    blank = np.full_like(images[:1], 255)
    rows = []
    for label in np.unique(labels)[:CLASSES_SHOWN]:
        shown = images[labels == label][:EACH_SHOWN]
        rows += [shown, *([blank] * (EACH_SHOWN - len(shown)))]
    return image_grid(np.concatenate(rows), columns=EACH_SHOWN)


def image_grid(images: NDArray[np.uint8], columns: int | None = None, scale: int = 1) -> Image.Image:
    """Draw a contact sheet of `images`, uint8 RGB (N, 3, H, W) with N at least 1, row by row on white.

    Without `columns` the sheet is as square as it can be, with no more rows than columns. `scale` is how many pixels
    along a side each of an image's becomes.
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
