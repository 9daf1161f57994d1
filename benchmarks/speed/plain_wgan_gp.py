"""The peer of the training step: WGAN-GP as public PyTorch ports write it, in float32 and in textbook order.

It has the same networks and weights as ours (tensor names match, so states load), the same losses and the same Adam.
What differs: it takes three critic forwards a critic step, computes the penalty by double backward, and each block is
as the paper draws it, upsample then convolve, convolve then pool.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UpBlock(nn.Module):
    """The generator's residual block, with `a` channels in and `b` out: (N, a, r, r) -> (N, b, 2r, 2r)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(a), nn.BatchNorm2d(b)
        self.conv1 = nn.Conv2d(a, b, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, padding=1)
        self.shortcut = nn.Conv2d(a, b, 1)
        self.upsample = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, b, 2r, 2r) of x (N, a, r, r)."""
        h = self.conv1(self.upsample(F.relu(self.norm1(x))))
        h = self.conv2(F.relu(self.norm2(h)))
        return self.shortcut(self.upsample(x)) + h


class DownBlock(nn.Module):
    """The critic's residual block, with `a` channels in and `b` out: (N, a, r, r) -> (N, b, r/2, r/2)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, a), nn.GroupNorm(1, a)
        self.conv1 = nn.Conv2d(a, a, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(a, b, 3, padding=1)
        self.shortcut = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, b, r/2, r/2) of x (N, a, r, r)."""
        h = self.conv1(F.relu(self.norm1(x)))
        h = F.avg_pool2d(self.conv2(F.relu(self.norm2(h))), 2)
        return self.shortcut(F.avg_pool2d(x, 2)) + h


class Generator(nn.Module):
    """The generator: z (N, z_dim) -> images (N, 3, R, R) in [-1, 1]."""

    def __init__(self, channels: list[int], z_dim: int) -> None:
        super().__init__()
        self.from_z = nn.Linear(z_dim, channels[0] * 16)
        self.blocks = nn.ModuleList(UpBlock(a, b) for a, b in pairwise(channels))
        self.norm = nn.BatchNorm2d(channels[-1])
        self.to_rgb = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Compute images (N, 3, R, R) of z (N, z_dim)."""
        x = self.from_z(z).view(len(z), -1, 4, 4)
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.to_rgb(F.relu(self.norm(x))))


class Critic(nn.Module):
    """The critic: images (N, 3, R, R) in [-1, 1] -> logits (N,)."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.from_rgb = nn.Conv2d(3, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(channels))
        self.to_logit = nn.Linear(channels[-1] * 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (N,) of images (N, 3, R, R)."""
        x = self.from_rgb(x)
        for block in self.blocks:
            x = block(x)
        return self.to_logit(x.view(len(x), -1)).view(-1)


def channels(width: int, resolution: int) -> list[int]:
    """List the critic's channels at each size from the resolution down to 4; the generator's are these, reversed."""
    sizes = [resolution >> i for i in range((resolution // 4).bit_length())]
    return [width * min(8, resolution // size) for size in sizes]


class Trainer:
    """Trains both networks, an iteration at a time: `n_critic` critic steps and a generator step."""

    def __init__(
        self,
        width: int,
        resolution: int,
        batch: int,
        *,
        z_dim: int = 128,
        n_critic: int = 5,
        learning_rate: float = 1e-4,
        device: str = "cpu",
    ) -> None:
        self.batch, self.z_dim, self.n_critic, self.device = batch, z_dim, n_critic, device
        c = channels(width, resolution)
        self.generator, self.critic = Generator(c[::-1], z_dim).to(device), Critic(c).to(device)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), lr=learning_rate, betas=(0.0, 0.9))
        self.adam_d = torch.optim.Adam(self.critic.parameters(), lr=learning_rate, betas=(0.0, 0.9))

    def iteration(self, reals: Iterator[Tensor]) -> tuple[float, float]:
        """Take one iteration; `reals` gives float images (batch, 3, R, R) in [-1, 1].

        Gives the mean loss of the critic steps, and the generator step's loss.
        """
        for p in self.critic.parameters():
            p.requires_grad_(True)
        losses_d = [self._critic_step(next(reals).to(self.device)) for _ in range(self.n_critic)]
        for p in self.critic.parameters():
            p.requires_grad_(False)
        self.generator.zero_grad()
        loss_g = -self.critic(self.generator(self._z())).mean()
        loss_g.backward()
        self.adam_g.step()
        return sum(losses_d) / self.n_critic, loss_g.item()

    def _critic_step(self, real: Tensor) -> float:
        self.critic.zero_grad()
        fake = self.generator(self._z()).detach()
        mix = torch.rand(len(real), 1, 1, 1, device=self.device)
        between = (mix * fake + (1 - mix) * real).requires_grad_(True)
        (gradients,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = ((gradients.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()
        loss = self.critic(fake).mean() - self.critic(real).mean() + 10 * penalty
        loss.backward()
        self.adam_d.step()
        return loss.item()

    def _z(self) -> Tensor:
        return torch.randn(self.batch, self.z_dim, device=self.device)
