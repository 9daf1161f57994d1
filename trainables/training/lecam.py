"""LeCam regularisation (Tseng et al., CVPR 2021): the critic's logits are held near where they have been of late.

To the critic's loss it adds weight * (mean relu(D(x) - m_fake)^2 + mean relu(m_real - D(x~))^2), as the published code
does; m_real and m_fake are moving averages of the mean logits of real and generated images, the current batch included.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.training.parallel import Group


class LeCam(nn.Module):
    """The term, with its two averages, which are state of a training."""

    averages: Tensor
    begun: Tensor

    def __init__(self, weight: float, decay: float, start_images: int, group: Group) -> None:
        """The term is 0 before the critic was shown `start_images` real images; until then averages are the last batch's."""
        super().__init__()
        self._weight, self._decay, self._start, self._group = weight, decay, start_images, group
        self.register_buffer("averages", torch.zeros(2))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def forward(self, real_logits: Tensor, fake_logits: Tensor, images_seen: int) -> Tensor:
        """The term, a scalar, of float32 logits (N,) each; `images_seen` are the real images shown before these."""
        means = torch.stack([real_logits.detach().mean(), fake_logits.detach().mean()])
        self._group.average_([means])
        settled = images_seen >= self._start
        with torch.no_grad():
            self.averages.copy_(means.lerp(self.averages, self._decay) if settled and self.begun else means)
            self.begun.fill_(True)
        if not settled:
            return means.new_zeros(())
        real, fake = self.averages.clone()
        apart = F.relu(real_logits - fake).square().mean() + F.relu(real - fake_logits).square().mean()
        return self._weight * apart
