"""Samples: what a generator gives and metrics score; and writing them where a user wants them."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from spaces.errors import UserError
from trainables.images.films import FILMS, check_film, write_film
from trainables.images.grids import image_grid
from trainables.storage.home import writing, writing_folder
from trainables.storage.places import new_folder


@dataclass(frozen=True, eq=False)
class Inputs:
    """The images that samples are made of."""

    images: Tensor
    """uint8 (n, 3, R, R), on the CPU."""
    names: tuple[str, ...] = ()
    """Which pictures they are, (n,), where their domain says so: other domains hold the same in another style."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Generated images, with what each was asked to be."""

    images: Tensor
    """uint8 (n, 3, R, R), on the CPU."""
    labels: Tensor | None = None
    """int64 (n,): the class that each was asked to be; None of a model without classes."""
    inputs: Tensor | None = None
    """uint8 (n, 3, R, R), the held-out source image that each translates, or (n, K, 3, R, R), the K shots that it is made of;
    None of images made of noise alone."""
    pictures: tuple[str, ...] = ()
    """The names of the pictures that `inputs` are, (n,), where their domain has names."""

    @property
    def translated(self) -> Tensor | None:
        """uint8 (n, 3, R, R): the one image that each translates; None of those made of noise, or of several images."""
        return self.inputs if self.inputs is not None and self.inputs.ndim == self.images.ndim else None


def check_form(output: Path, *, walk: bool = False) -> None:
    """Raise UserError if the suffix of `output` is no form that samples, or those of a walk from one to the next, have."""
    if output.suffix in FILMS and not walk:
        raise UserError(f"output {output} would be a film; give --interpolate 16 too, or {output.with_suffix('.png')}")
    check_film(output)
    if output.suffix not in (".png", ".npz", *FILMS, ""):
        raise UserError(
            f"output {output} has suffix {output.suffix!r}; give FILE.png (a grid), FILE.npz, or a new folder"
        )


def write_samples(samples: Samples, output: Path, steps: int | None = None) -> None:
    """Write samples to `output`, in a form that its suffix tells; `steps` of them lead from one to the next where they are a
    walk.

    FILE.png is a grid of all, translations to the right of what they are of, a walk's steps in rows; FILE.gif and
    FILE.mp4 show a walk; FILE.npz holds the arrays "images" and, of translations, "inputs"; and a name without a suffix becomes a
    new folder of `00000.png`, `00001.png`, ... Raises UserError where `check_form` does, and if something is in that folder.
    """
    check_form(output, walk=steps is not None)
    images = samples.images.numpy()
    inputs = None if samples.inputs is None else samples.inputs.numpy()
    if output.suffix == ".png":
        with writing(output) as beside:
            (image_grid(images, steps) if inputs is None else _beside(inputs, images)).save(beside, format="png")
    elif output.suffix == ".npz":
        with writing(output) as beside, beside.open("wb") as file:
            if inputs is None:
                np.savez_compressed(file, images=images)
            else:
                np.savez_compressed(file, images=images, inputs=inputs)
    elif output.suffix in FILMS:
        with writing(output) as beside:
            write_film(images, beside, output.suffix)
    else:
        with writing_folder(new_folder(output)) as beside:
            for number, image in enumerate(images):
                Image.fromarray(image.transpose(1, 2, 0)).save(beside / f"{number:05d}.png")


def _beside(inputs: NDArray[np.uint8], images: NDArray[np.uint8]) -> Image.Image:
    """A grid of about as many columns as rows, each image to the right of the one, or of the K, that it was made of."""
    sets = inputs[:, None] if inputs.ndim == images.ndim else inputs  # (N, K, 3, R, R)
    rows = np.concatenate([sets, images[:, None]], axis=1)
    return image_grid(
        rows.reshape(-1, *images.shape[1:]), columns=rows.shape[1] * math.ceil(math.sqrt(len(images) / rows.shape[1]))
    )
