"""A step of fused Adam by gradients that lie in memory otherwise than their weights."""

import torch

from trainables.training.descent import descend
from trainables.training.parallel import Group


def test_a_gradient_in_another_order_in_memory_moves_the_weights_that_it_is_of() -> None:
    generator = torch.Generator().manual_seed(0)
    values, slope = (torch.randn(4, 3, 3, 3, generator=generator) for _ in range(2))
    moved = []
    for fused in (True, False):
        layout = torch.channels_last if fused else torch.contiguous_format
        weight = torch.nn.Parameter(values.clone(memory_format=layout))
        adam = torch.optim.Adam([weight], lr=0.1, fused=fused)
        for share in (1.0, -0.3):
            weight.grad = share * slope  # contiguous
            descend(Group(), adam)
        moved.append(weight.detach())
    torch.testing.assert_close(moved[0], moved[1])
