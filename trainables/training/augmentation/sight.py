"""How a critic sees the images of a training: as they are, or changed anew each time it looks."""

from collections.abc import Callable

import torch
from torch import Tensor

from spaces.methods.finetune import Augment
from trainables.machine.randomness import random_numbers
from trainables.training.augmentation import ada, diffaugment
from trainables.training.augmentation.transform import Augmented, Numbers, Transform
from trainables.training.losses import Critic
from trainables.training.parallel import Group

Draw = Callable[[int, int, torch.Generator], Numbers]


class Sight:
    """Shows the critic what it is to judge. Changes follow from (seed, iteration), and are the same for any workers."""

    def __init__(self, kind: Callable[[Numbers], Transform], draw: Draw, rows: int, seed: int, group: Group) -> None:
        """`draw` gives numbers for `rows` images, a whole batch, of which `kind` makes T for this worker's rows."""
        self._kind, self._draw, self._rows, self._seed, self._group = kind, draw, rows, seed, group
        self._random = random_numbers("augmentation", seed, 0)

    def at(self, iteration: int) -> None:
        """What is drawn from here on follows from the iteration."""
        self._random = random_numbers("augmentation", self._seed, iteration)

    def __call__(self, images: Tensor) -> Tensor:
        """T(x) of this worker's rows of a batch, float32 (n, 3, R, R), with a T of its own for each."""
        return self._transform(images)(images.float())  # autocast's generator gives bfloat16

    def critic(self, critic: Critic) -> Critic:
        """x -> D(T(x)), for a penalty on the gradient in x."""
        return Augmented(critic, self._transform)

    def _transform(self, images: Tensor) -> Transform:
        with torch.autocast("cpu", enabled=False):
            numbers = self._draw(self._rows, images.shape[-1], self._random)
        return self._kind({name: self._group.share(each).to(images.device) for name, each in numbers.items()})


class Plain(Sight):
    """Shows images as they are, at no cost."""

    def __init__(self) -> None:
        pass

    def at(self, iteration: int) -> None:
        """Nothing is drawn."""

    def __call__(self, images: Tensor) -> Tensor:
        """The images themselves."""
        return images

    def critic(self, critic: Critic) -> Critic:
        """The critic itself."""
        return critic


class Adaptive(Sight):
    """Shows images through ADA's pipe at its strength of the moment: as they are, as long as that is 0."""

    def __init__(self, strength: ada.Strength, rows: int, seed: int, group: Group) -> None:
        super().__init__(
            ada.Bgc, lambda n, side, random: ada.draw(float(strength.p), n, side, random), rows, seed, group
        )
        self._strength = strength

    def __call__(self, images: Tensor) -> Tensor:
        """T(x), or x where p is 0."""
        return super().__call__(images) if self._strength.p > 0 else images

    def critic(self, critic: Critic) -> Critic:
        """x -> D(T(x)), or D where p is 0."""
        return super().critic(critic) if self._strength.p > 0 else critic


def sight_of(augment: Augment, strength: ada.Strength | None, rows: int, seed: int, group: Group) -> Sight:
    """How a training with such settings, and with ADA's strength if it has one, shows batches of `rows` images."""
    if strength is not None:
        return Adaptive(strength, rows, seed, group)
    if policies := augment.policies:
        draw: Draw = lambda n, side, random: diffaugment.draw(policies, n, side, random)  # noqa: E731
        return Sight(diffaugment.DiffAugment, draw, rows, seed, group)
    return Plain()
