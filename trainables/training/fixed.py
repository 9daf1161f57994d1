"""Which parameters train, and holding them fixed for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


def trained(network: nn.Module) -> list[nn.Parameter]:
    """The parameters of a network that take gradients: all but the frozen ones."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


@contextmanager
def held_fixed(parameters: list[nn.Parameter]) -> Iterator[None]:
    """No gradients of these parameters inside the block: the generator's step has no use for the critic's."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
