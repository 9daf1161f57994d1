"""Training a StyleGAN2: what it has beside other GANs (Karras et al. 2020, arXiv:1912.04958, and its ADA version).

Noise in every layer and mixed styles, both drawn anew for each image; the path-length penalty as a lazy step of its own; the
mean of w; a critic that is told the class; an average that has no ramp where training starts from a source.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.config import SCRATCH
from spaces.errors import UserError
from spaces.methods.finetune import FinetuneConfig
from spaces.networks import StyleGAN2Config
from trainables.images.batches import Batch
from trainables.methods.finetuning.classes import Classes
from trainables.methods.finetuning.finetune import Finetune
from trainables.networks.stylegan2_generator import StyleGAN2Generator
from trainables.sources.shelf import SourceModel
from trainables.training.draws import Draws
from trainables.training.losses import Critic
from trainables.training.parallel import Group

_LARGEST_GRADIENT = 1e5
"""What an infinite gradient counts as; one that is no number counts as 0."""


class PathLength(nn.Module):
    """The penalty on how unevenly steps in w change the images, with the mean length, which is state of a training."""

    mean: Tensor

    def __init__(self, decay: float, group: Group) -> None:
        super().__init__()
        self._decay, self._group = decay, group
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, ws: Tensor, images: Tensor, directions: Tensor) -> Tensor:
        """mean((length - a)^2), a scalar, of ws (N, num_ws, w_dim) and the images that they gave, (N, 3, R, R).

        `directions` are standard normal, of the images' shape. A length is that of J' y, of each image's derivative J in its
        ws and y = directions / R, meant over layers. a is the moving mean of lengths, this batch's included with its gradient.
        """
        scalar = (images * directions).sum() / images.shape[-1]
        (slopes,) = torch.autograd.grad(scalar, ws, create_graph=True)  # (N, num_ws, w_dim)
        lengths = slopes.square().sum(2).mean(1).sqrt()  # (N,)
        mean = lengths.detach().mean()
        self._group.average_([mean])
        with torch.no_grad():
            self.mean.lerp_(mean, self._decay)
            apart = mean - self.mean
        aimed = self.mean.clone()
        value = (lengths - aimed).square().mean()
        # How a moves with the lengths, as a term of the rows alone, so that any number of workers follows one.
        follows = 2 * self._decay * apart * lengths.mean()
        return value - (follows - follows.detach())


class Asked(NamedTuple):
    """What the generator is asked for, a row an image."""

    z: Tensor
    labels: Tensor | None
    noise: Tensor
    other: Tensor | None
    """Another z, whose style the layers from the `cut`-th on take."""
    cut: Tensor | None


class FinetuneStyleGAN2(Finetune):
    """Fine-tuning of StyleGAN2's networks, or their training from random weights."""

    generator: StyleGAN2Generator
    average: StyleGAN2Generator

    def __init__(
        self,
        config: FinetuneConfig,
        source: SourceModel | None,
        device: torch.device,
        group: Group,
        classes: Classes | None = None,
    ) -> None:
        _check_sharing(config, group)
        super().__init__(config, source, device, group, classes)
        self.path_length = PathLength(config.style.path_length_decay, self.group).to(device)
        self._half = max(1, config.optim.batch // 2)

    @property
    def _lazy_g(self) -> int:
        return self.config.style.path_length_every if self.config.style.path_length else 1

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One iteration, as of other GANs, and every so often a step on the path length; "path_length" is its mean so far."""
        losses = super().step(batch)
        return {**losses, "path_length": self.path_length.mean.clone()}

    def _asked(self, z: Tensor, draws: Draws) -> tuple[Tensor, ...]:
        size, synthesis = len(z), self.generator.synthesis
        asked = super()._asked(z, draws)
        asked += (draws.normal(size, synthesis.noise_size),)
        if not self.config.style.mixing:
            return asked
        mixed, place = (float(number) for number in draws.uniform(2))
        last = synthesis.num_ws
        cut = 1 + int(place * (last - 1)) if mixed < self.config.style.mixing else last
        return (*asked, draws.normal(size, self.config.network.z_dim), torch.full((size,), cut))

    def _named(self, asked: Sequence[Tensor]) -> Asked:
        """What `_asked` gave, by name."""
        z, *rest = asked
        labels = None if self.classes is None else rest.pop(0)
        noise, *mixed = rest
        other, cut = mixed if mixed else (None, None)
        return Asked(z, labels, noise, other, cut)

    def _generated(self, asked: Sequence[Tensor]) -> Tensor:
        ws, noise = self._styles(asked)
        images: Tensor = self.generator.synthesis(ws, noise)
        return images

    def _styles(self, asked: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The w of every layer, and the noise."""
        named = self._named(asked)
        w = self.generator.mapping(named.z, named.labels)
        other = None if named.other is None else self.generator.mapping(named.other, named.labels)
        return self.generator.styles(w, other, named.cut), named.noise

    def _critic(self, labels: Tensor | None) -> Critic:
        return self.discriminator if labels is None else partial(self.discriminator, labels=labels)

    def _judged(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, asked: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, None]:
        of_fake = self._critic(self._named(asked).labels)(fake).float()
        return self._critic(labels)(real).float(), of_fake, None

    def _judged_fakes(self, fake: Tensor, asked: Sequence[Tensor]) -> tuple[Tensor, None]:
        return self._critic(self._named(asked).labels)(fake).float(), None

    def _critic_step(
        self, real: Tensor, asked: tuple[Tensor, ...], mix: Tensor, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        self._follow_w([self._place(part) for part in asked])
        return super()._critic_step(real, asked, mix, labels)

    @torch.no_grad()
    def _follow_w(self, asked: Sequence[Tensor]) -> None:
        """Move the mean of w towards that of the batch; the other z of mixed styles are not counted."""
        named = self._named(asked)
        mean = self.generator.mapping(named.z, named.labels).mean(0)
        self.group.average_([mean])
        self.generator.mapping.w_avg.lerp_(mean, 1 - self.config.style.w_average_decay)

    def _generator_step(self, asked: tuple[Tensor, ...], real: Tensor) -> dict[str, Tensor]:
        losses = super()._generator_step(asked, real)
        style = self.config.style
        if style.path_length and self.iterations % style.path_length_every == 0:
            self._path_length_step()
        return losses

    def _path_length_step(self) -> None:
        """A step of the generator on the path length alone, of half a batch and in float32."""
        config, draws = self.config, Draws(self.config.seed, self.iterations, "path length")
        size, side = self._half, config.network.resolution
        asked = [self._place(part) for part in self._asked(self._noise(draws, size), draws)]
        directions = self._place(draws.normal(size, 3, side, side))
        ws, noise = self._styles(asked)
        penalty = self.path_length(ws, self.generator.synthesis(ws, noise), directions)
        self.adam_g.zero_grad()
        (config.style.path_length * config.style.path_length_every * penalty).backward()
        self._descend(self.adam_g, lazily=True)

    def _descend(self, adam: torch.optim.Adam, *, lazily: bool = False) -> None:
        for parameter in adam.param_groups[0]["params"]:
            if parameter.grad is not None:
                largest = _LARGEST_GRADIENT
                torch.nan_to_num_(parameter.grad, nan=0.0, posinf=largest, neginf=-largest)
        super()._descend(adam, lazily=lazily)

    def _follow(self, *, ramp: bool = True) -> None:
        super()._follow(ramp=ramp and self.config.source == SCRATCH)
        for ours, theirs in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            ours.copy_(theirs)

    @property
    def _kept(self) -> dict[str, nn.Module]:
        return {**super()._kept, "path_length": self.path_length}


def _check_sharing(config: FinetuneConfig, group: Group) -> None:
    """UserError where workers would not have whole groups of images, whose spread the critic is shown."""
    assert isinstance(config.network, StyleGAN2Config), f"{config.network.family=}"
    together, batch = min(config.network.minibatch_group, config.optim.batch), config.optim.batch
    whole = max(2, together) * group.size
    if group.size > 1 and batch % whole:
        raise UserError(
            f"optim/batch={batch}: each of {group.size} workers needs whole groups of {together} images, and an even number; "
            f"set it to a multiple of {whole}, or take fewer workers"
        )
