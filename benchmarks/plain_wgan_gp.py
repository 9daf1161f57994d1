"""The peer of the training step: WGAN-GP as public PyTorch ports write it. float32, contiguous, in textbook order.

Same networks and weights as ours (tensor names match, so states load), same losses, same Adam; three critic forwards a
critic step, the penalty by double backward, each block as the paper draws it: upsample then convolve, convolve then pool.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UpBlock(nn.Module):
    """(N, in, r, r) -> (N, out, 2r, 2r)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(a), nn.BatchNorm2d(b)
        self.conv1 = nn.Conv2d(a, b, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(b, b, 3, padding=1)
        self.shortcut = nn.Conv2d(a, b, 1)
        self.upsample = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        """The residual block of the paper's generator."""
        h = self.conv1(self.upsample(F.relu(self.norm1(x))))
        h = self.conv2(F.relu(self.norm2(h)))
        return self.shortcut(self.upsample(x)) + h


class DownBlock(nn.Module):
    """(N, in, r, r) -> (N, out, r/2, r/2)."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, a), nn.GroupNorm(1, a)
        self.conv1 = nn.Conv2d(a, a, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(a, b, 3, padding=1)
        self.shortcut = nn.Conv2d(a, b, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The residual block of the paper's critic."""
        h = self.conv1(F.relu(self.norm1(x)))
        h = F.avg_pool2d(self.conv2(F.relu(self.norm2(h))), 2)
        return self.shortcut(F.avg_pool2d(x, 2)) + h


class Generator(nn.Module):
    """z (N, z_dim) -> images (N, 3, R, R) in [-1, 1]."""

    def __init__(self, channels: list[int], z_dim: int) -> None:
        super().__init__()
        self.from_z = nn.Linear(z_dim, channels[0] * 16)
        self.blocks = nn.ModuleList(UpBlock(a, b) for a, b in pairwise(channels))
        self.norm = nn.BatchNorm2d(channels[-1])
        self.to_rgb = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Images."""
        x = self.from_z(z).view(len(z), -1, 4, 4)
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.to_rgb(F.relu(self.norm(x))))


class Critic(nn.Module):
    """Images (N, 3, R, R) -> logits (N,)."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.from_rgb = nn.Conv2d(3, channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(channels))
        self.to_logit = nn.Linear(channels[-1] * 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.from_rgb(x)
        for block in self.blocks:
            x = block(x)
        return self.to_logit(x.view(len(x), -1)).view(-1)


def channels(width: int, resolution: int) -> list[int]:
    """Of the critic, at each spatial size from the resolution down to 4; the generator's are the same, reversed."""
    sizes = [resolution >> i for i in range((resolution // 4).bit_length())]
    return [width * min(8, resolution // size) for size in sizes]


class Trainer:
    """One iteration after another: `n_critic` critic steps and a generator step."""

    def __init__(
        self, width: int, resolution: int, batch: int, *, z_dim: int = 128, n_critic: int = 5, device: str = "cpu"
    ) -> None:
        self.batch, self.z_dim, self.n_critic, self.device = batch, z_dim, n_critic, device
        c = channels(width, resolution)
        self.generator, self.critic = Generator(c[::-1], z_dim).to(device), Critic(c).to(device)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), lr=1e-4, betas=(0.0, 0.9))
        self.adam_d = torch.optim.Adam(self.critic.parameters(), lr=1e-4, betas=(0.0, 0.9))

    def iteration(self, reals: Iterator[Tensor]) -> tuple[float, float]:
        """Losses of the last critic step and of the generator step; `reals` gives float (batch, 3, R, R) in [-1, 1]."""
        for p in self.critic.parameters():
            p.requires_grad_(True)
        for _ in range(self.n_critic):
            loss_d = self._critic_step(next(reals).to(self.device))
        for p in self.critic.parameters():
            p.requires_grad_(False)
        self.generator.zero_grad()
        loss_g = -self.critic(self.generator(self._z())).mean()
        loss_g.backward()
        self.adam_g.step()
        return loss_d, loss_g.item()

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
