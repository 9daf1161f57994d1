"""Samples: what a generator gives and metrics score; and writing them where a user wants them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from spaces.errors import UserError
from trainables.images.grids import image_grid
from trainables.storage.home import writing, writing_folder
from trainables.storage.places import output_file


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


def check_output(output: Path) -> None:
    """Raise UserError if samples can't be written to `output`.

    Its suffix is unknown, it is a folder that is there already, or the folder that it is to lie in is missing.
    """
    if output.suffix not in (".png", ".npz", ""):
        raise UserError(
            f"output {output} has suffix {output.suffix!r}; give FILE.png (a grid), FILE.npz, or a new folder"
        )
    if output.suffix == "" and output.exists():
        raise UserError(f"output folder {output} is there already; give one that is not")
    if not output.absolute().parent.is_dir():
        raise UserError(f"output {output}: there is no folder {output.absolute().parent}")
    if output.suffix:
        output_file(output)


def write_samples(images: NDArray[np.uint8], output: Path) -> None:
    """Write samples, uint8 RGB (N, 3, R, R), to `output`, in a form that its suffix tells.

    FILE.png is a grid of all, FILE.npz holds the array under the key "images", and a name without a suffix becomes a
    new folder of `00000.png`, `00001.png`, ... Raises UserError where `check_output` does.
    """
    check_output(output)
    if output.suffix == ".png":
        with writing(output) as beside:
            image_grid(images).save(beside, format="png")
    elif output.suffix == ".npz":
        with writing(output) as beside, beside.open("wb") as file:
            np.savez_compressed(file, images=images)
    else:
        with writing_folder(output) as beside:
            for number, image in enumerate(images):
                Image.fromarray(image.transpose(1, 2, 0)).save(beside / f"{number:05d}.png")
