"""A model's images for a page to play with: a few for each seed, truncation and class, as one PNG."""

import io
from pathlib import Path

from spaces.errors import UserError
from trainables.images.grids import image_grid
from trainables.methods.registry import open_z_sampler
from trainables.networks.truncation import check_truncation

LARGEST_SEED = 2**32 - 1
_PIXELS = 512
"""Along a side of a picture, at most, unless a single image has more: what a request may cost."""
_MOST = 4
"""Images along a side of a picture, at most."""


class Player:
    """Draws pictures of a model's images; equal settings give equal ones."""

    def __init__(self, path: Path) -> None:
        """UserError if there is no model at `path`, or if it makes images of images."""
        self._sampler = open_z_sampler(path)
        self.classes = self._sampler.classes
        """The names of the classes that it can be asked for, by label; none of an unconditional model."""
        self._count: int | None = None

    def picture(self, seed: int, truncation: float = 1.0, label: int | None = None) -> bytes:
        """A square grid of images as a PNG: of `sample --seed`'s first ones, truncated, of the class of that number or of any.

        UserError for a seed, a truncation or a class that can't be.
        """
        if not 0 <= seed <= LARGEST_SEED:
            raise UserError(f"seed {seed} will not do; give a whole number from 0 to {LARGEST_SEED}")
        if label is not None and not 0 <= label < len(self.classes):
            raise UserError(f"class {label} is not one of the model's {len(self.classes)}")
        check_truncation(truncation)
        if self._count is None:
            side = self._sampler.drawn(1, seed=0).images.shape[-1]
            self._count = max(1, min(_MOST, _PIXELS // side)) ** 2
        images = self._sampler.drawn(self._count, seed, label=label, truncation=truncation).images
        png = io.BytesIO()
        image_grid(images.numpy()).save(png, format="png")
        return png.getvalue()
