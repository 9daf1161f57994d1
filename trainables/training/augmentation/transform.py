"""What a critic may be shown in place of an image: another image, by a map that is affine in the first one.

T(x) = A x + b, where A and b are drawn anew for each image and call. A critic that sees T(x) has the gradient A' g in x,
where g is its own gradient at T(x) and A' is A transposed; and along u that gradient is what the critic's own is along
A u. So a penalty on the gradient in x needs no derivatives but those that the critic has.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from trainables.training.losses import Along, Critic, input_gradient

Numbers = Mapping[str, Tensor]
"""What was drawn for a batch: tensors by name, whose rows are the batch's."""


class Transform(Protocol):
    """T, as drawn for the rows of a batch."""

    def __call__(self, images: Tensor) -> Tensor:
        """T(x) for images x, float (N, 3, R, R), of the same shape."""
        ...

    def linear(self, images: Tensor) -> Tensor:
        """A x: the same without what T adds to every image."""
        ...


class Augmented:
    """The critic x -> D(T(x)), with a T drawn anew at each call."""

    def __init__(self, critic: Critic, draw: Callable[[Tensor], Transform]) -> None:
        self._critic, self._draw = critic, draw

    def __call__(self, images: Tensor) -> Tensor:
        """Images (N, 3, R, R) -> logits (N,)."""
        return self._critic(self._draw(images)(images))

    def input_gradient(self, images: Tensor) -> tuple[Tensor, Along]:
        """As `losses.input_gradient`, of the logits in the images as they are before T."""
        transform, x = self._draw(images), images.detach().requires_grad_()
        with torch.enable_grad():
            moved = transform.linear(x)
        gradient, along = input_gradient(self._critic, transform(images.detach()))
        (transposed,) = torch.autograd.grad(moved, x, gradient)
        return transposed, lambda directions: along(transform.linear(directions))
