"""Making more of the K images of each unseen class: out of a model's files alone, or of images of the user's own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spaces.config import Data
from spaces.errors import UserError
from spaces.methods.fewshot import FewshotConfig
from trainables.images.domains import Domain
from trainables.images.samples import Inputs, Samples
from trainables.networks.models import Model
from trainables.networks.sampling import SAMPLES
from trainables.networks.shots import ShotImages
from trainables.training.draws import Draws

SHOTS = "shots"
"""The name of the images among a model's networks."""


@dataclass(frozen=True, eq=False)
class Made:
    """Images, each with those that it was made of."""

    images: Tensor
    """uint8 (n, 3, R, R), on the CPU."""
    of: Tensor
    """uint8 (n, k, 3, R, R), on the CPU."""


Maker = Callable[[Tensor, Tensor, Draws], Made]
"""Of the shots, uint8 (classes, K, 3, R, R) on the CPU, the class of each image wanted, int64 (n,), and random numbers: that
many images. A pure function, with all that a model has learnt in it."""


def shots_of(config: FewshotConfig, target: Domain) -> ShotImages:
    """The K training images of each class of the target that a trial is given, by ascending label."""
    return shots_drawn(target, config.data)


def shots_drawn(target: Domain, data: Data) -> ShotImages:
    """The K training images of each class that these settings draw, by ascending label."""
    rows = target.chosen(data)
    labels = np.unique(target.labels[rows])
    images = np.stack([target.images[rows[target.labels[rows] == label]] for label in labels])
    return ShotImages.of(torch.from_numpy(images), torch.from_numpy(labels))


@torch.no_grad()
def drawn(maker: Maker, shots: ShotImages, n: int, seed: int, label: int | None = None) -> Samples:
    """`n` images of the shots' classes in turn, or all of the class of that label; equal seeds take equal random numbers.

    UserError if no class has that label.
    """
    known = [int(each) for each in shots.labels]
    if label is not None and label not in known:
        raise UserError(f"the model has no images of class {label}; it has those of {', '.join(map(str, known))}")
    classes = torch.arange(n) % len(known) if label is None else torch.full((n,), known.index(label))
    made = maker(shots.images, classes, Draws(seed, 0, SAMPLES))
    labels = shots.labels[classes]
    return Samples(made.images, None if bool((labels < 0).any()) else labels, inputs=made.of)


class ShotSampler:
    """Samples a model that makes more of few images: those in its files, or others that it is handed."""

    def __init__(self, model: Model, make: Callable[[Model], Maker]) -> None:
        shots = model.network(SHOTS)
        assert isinstance(shots, ShotImages), f"{type(shots)=}"
        self.shots, self._maker = shots, make(model)
        self.classes = model.class_names or tuple(map(str, range(int(shots.labels.max()) + 1)))
        """The names of the target's classes, by label, their numbers where they have none; () of one without classes."""

    def __call__(self, n: int, seed: int, inputs: Inputs | None = None) -> Samples:
        """`n` images of the shots' classes in turn, on the CPU; UserError for inputs, which it does not translate."""
        if inputs is not None:
            raise UserError("this model makes more of a class's images, and translates none; leave the inputs out")
        return self.drawn(n, seed)

    def drawn(self, n: int, seed: int, *, label: int | None = None) -> Samples:
        """As by a call, or all of the class of that label."""
        return drawn(self._maker, self.shots, n, seed, label)

    def drawn_of(self, images: Tensor, n: int, seed: int) -> Samples:
        """`n` images, made of these in the place of the model's own: uint8 (K, 3, R, R) of one class, K free."""
        return drawn(self._maker, ShotImages.of(images[None], torch.tensor([-1])), n, seed)
