"""Pulling weights back to where they started: L2-SP (Li et al., ICML 2018) and EWC for GANs (Li et al., NeurIPS 2020).

To a network's loss they add strength / 2 * sum_i importance_i * (w_i - w0_i)^2 over its trained weights, with w0 those
of the source. The importance is 1 for L2-SP. For EWC it is Fisher information by the source's own samples: the mean
square of the derivative that the source critic's logit of one generated image has in the weight. It is scaled to a mean
of 1, so that one strength means as much in both, and for any source.

Only the gradient is computed, and added to that of the loss: the losses that are reported are without the term.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainables.networks.sampling import draw_inputs

FISHER_SAMPLES = 128


class Anchor:
    """The pull on some weights to where they are now."""

    def __init__(
        self, weights: Sequence[nn.Parameter], strength: float, importance: Sequence[Tensor] | None = None
    ) -> None:
        self._weights: list[Tensor] = list(weights)
        self._strength = strength
        self._start = [weight.detach().clone() for weight in weights]
        self._importance = None if importance is None else [strength * each for each in importance]

    @torch.no_grad()
    def pull(self) -> None:
        """Add strength * importance * (w - w0) to each weight's gradient."""
        away = [weight - start for weight, start in zip(self._weights, self._start, strict=True)]
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        assert len(gradients) == len(away), "every anchored weight trains"
        if self._importance is None:
            torch._foreach_add_(gradients, away, alpha=self._strength)
        else:
            torch._foreach_addcmul_(gradients, away, self._importance)


def fisher(generator: nn.Module, critic: nn.Module, weights: Sequence[nn.Parameter], seed: int) -> list[Tensor]:
    """The importance of each of the generator's `weights`, of its shape; all together have a mean of 1.

    The generator samples with the statistics that its norms hold, image by image, so that none depends on the others.
    """
    training = generator.training
    inputs = draw_inputs(generator, FISHER_SAMPLES, "Fisher information", seed)
    totals = [torch.zeros_like(weight) for weight in weights]
    generator.eval()
    for row in range(FISHER_SAMPLES):
        image = generator(*(each[row : row + 1] for each in inputs))
        gradients = torch.autograd.grad(critic(image).sum(), list(weights))
        torch._foreach_addcmul_(totals, gradients, gradients)
    generator.train(training)
    mean = torch.cat([total.flatten() for total in totals]).mean().clamp_(min=torch.finfo(torch.float32).tiny)
    return [total / mean for total in totals]
