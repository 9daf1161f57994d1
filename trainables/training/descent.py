"""Adam as every adversarial training here has it, and a step of it that all workers take alike."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from trainables.training.parallel import Group


class Rates(Protocol):
    """What a method's settings say of Adam."""

    @property
    def lr(self) -> float:
        """The learning rate."""
        ...

    @property
    def beta1(self) -> float:
        """How much of its past the mean of gradients keeps."""
        ...

    @property
    def beta2(self) -> float:
        """The same of their squares."""
        ...


def adam(weights: Iterable[nn.Parameter], rates: Rates) -> torch.optim.Adam:
    """Adam of these weights."""
    return torch.optim.Adam(weights, lr=rates.lr, betas=(rates.beta1, rates.beta2), fused=True)


def minimise(group: Group, losses: Iterable[Tensor], *optimisers: torch.optim.Optimizer) -> None:
    """A step of each down the sum of these scalars, which are means over this worker's rows; nothing else has gradients after."""
    for each in optimisers:
        each.zero_grad()
    torch.stack([*losses]).sum().backward(inputs=_weights(optimisers))
    descend(group, *optimisers)


def descend(group: Group, *optimisers: torch.optim.Optimizer) -> None:
    """A step of each by the gradients that there are, which become means over all workers' rows first."""
    weights = _weights(optimisers)
    for weight in weights:
        if weight.grad is not None:  # autograd's own lies as its weight does; one that was put there by hand need not
            weight.grad = laid_out_like(weight, weight.grad)
    group.average_([weight.grad for weight in weights if weight.grad is not None])
    for each in optimisers:
        each.step()


def laid_out_like(weight: Tensor, values: Tensor) -> Tensor:
    """The values, of `weight`'s shape, in its order in memory.

    Fused Adam walks a weight, its gradient and its moments side by side, whatever their strides: where these differ, elements
    get each other's, without a word on a CPU.
    """
    return values if values.stride() == weight.stride() else torch.empty_like(weight).copy_(values)


def _weights(optimisers: Sequence[torch.optim.Optimizer]) -> list[Tensor]:
    return [weight for each in optimisers for part in each.param_groups for weight in part["params"]]
