"""CDC: few images, and how the source's images resemble each other is kept (Ojha et al., CVPR 2021, arXiv:2104.06820).

It differs from fine-tuning in two things. The generator's loss has a term more: of some z, the similarities of each image
to the others, as the generator's blocks see them, should be those in the source's generator. And the critic judges whole
images of z near a few anchors only; in the other iterations it judges patches, of any z.

Unlike in the authors' code the term is a mean over images, lambda * mean_i KL_i, which does not change with their number.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.cdc import CdcConfig
from trainables.images.batches import Batch
from trainables.machine.randomness import random_numbers
from trainables.methods.finetuning.families import real_batches
from trainables.methods.finetuning.finetune import Finetune
from trainables.methods.method import Given, Method, Needs
from trainables.networks.families import DISCRIMINATOR, GENERATOR
from trainables.networks.models import Model
from trainables.networks.sampling import ZSampler
from trainables.training.average import averaging
from trainables.training.draws import Draws
from trainables.training.fixed import trained
from trainables.training.losses import input_gradient
from trainables.training.parallel import Group


class PatchCritic(nn.Module):
    """A critic that judges whole images, or while `patches` is set the 8x8 places of its map before the last block."""

    def __init__(self, critic: nn.Module, seed: int) -> None:
        super().__init__()
        self.critic, self.patches = critic, False
        channels = critic.blocks[-1].conv1.in_channels  # type: ignore[index, union-attr]
        self.head = nn.Conv2d(channels, 1, 3, padding=1)
        bound = (3 * 2 / (9 * (channels + 1))) ** 0.5
        with torch.no_grad():
            self.head.weight.uniform_(-bound, bound, generator=random_numbers("weights of a patch head", seed))
            self.head.bias.zero_()  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, R, R) -> logits (N,), or (64 N,) of patches, one image's behind another's."""
        logits: Tensor = self.places(images).flatten() if self.patches else self.critic(images)
        return logits

    def places(self, images: Tensor) -> Tensor:
        """Images (N, 3, R, R) -> logits of their patches, (N, 8, 8)."""
        x = self.critic.from_rgb(images)  # type: ignore[operator]
        for block in self.critic.blocks[:-1]:  # type: ignore[index]
            x = block(x)
        logits: Tensor = self.head(x)
        return logits.squeeze(1)

    @property
    def input_gradient(self) -> Callable[[Tensor], Any]:
        """Of one scalar an image, which for patches is their mean, as in the loss."""
        if self.patches:
            return partial(input_gradient, lambda images: self.places(images).mean((1, 2)))
        own: Callable[[Tensor], Any] = self.critic.input_gradient  # type: ignore[assignment]
        return own


class Cdc(Finetune):
    """Fine-tuning with cross-domain correspondence, anchors and a patch critic."""

    def __init__(self, config: CdcConfig, given: Given, device: torch.device, group: Group, images: int) -> None:
        super().__init__(config.finetuning, given.source, device, group)
        self.correspondence = config.correspondence
        self.anchors = torch.randn(
            images, config.network.z_dim, generator=random_numbers("anchors", config.seed)
        )  # (images, z_dim)
        self.source = averaging(self.average)  # which is the source's generator so far
        self.discriminator: PatchCritic = PatchCritic(self.discriminator, config.seed)
        self.discriminator.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adam_d = self._adam(trained(self.discriminator), config.optim.lr_d, self._lazy_d)
        self._distance = torch.zeros((), device=device)
        if self.correspondence.weight:
            self.loss = replace(self.loss, generator=self._with_distance(self.loss.generator))

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One iteration, as of fine-tuning; "distance" is the mean divergence, before its weight."""
        self.discriminator.patches = self.iterations % self.correspondence.whole_every != 0
        losses = super().step(batch)
        if not self.correspondence.weight:
            return losses
        self.group.average_([self._distance])  # all have the same, up to rounding
        return {**losses, "distance": self._distance}

    def _noise(self, draws: Draws, size: int) -> Tensor:
        z = draws.normal(size, self.config.network.z_dim)
        if self.discriminator.patches:
            return z
        nearest = (draws.uniform(size) * len(self.anchors)).long()
        return self.anchors[nearest] + self.correspondence.anchor_spread * z

    def _with_distance(self, loss: Any) -> Any:
        def kept(*logits: Tensor) -> Tensor:
            distance = self._divergence()
            self._distance = distance.detach()
            total: Tensor = loss(*logits) + self.correspondence.weight * distance
            return total

        return kept

    def _divergence(self) -> Tensor:
        """Of the same few z on every worker, as each image is compared with all others."""
        images, random = self.correspondence.images, random_numbers("correspondence", self.config.seed, self.iterations)
        z = torch.randn(images, self.config.network.z_dim, generator=random).to(self.device)
        with torch.no_grad():
            theirs = block_features(self.source, z)
        ours = block_features(self.generator, z)
        return divergence(theirs, ours, torch.randint(len(ours), (images,), generator=random))

    def model(self) -> Model:
        """The averaged generator with its standing statistics, and the critic of whole images."""
        whole = super().model()
        return replace(whole, weights={**whole.weights, DISCRIMINATOR: self.discriminator.critic.state_dict()})


def block_features(generator: nn.Module, z: Tensor) -> list[Tensor]:
    """The outputs of a generator's blocks for z (n, z_dim), each float32 (n, d)."""
    found: list[Tensor] = []

    def keep(block: nn.Module, given: Any, output: Tensor) -> None:
        found.append(output.float().flatten(1))

    hooks = [block.register_forward_hook(keep) for block in generator.blocks]  # type: ignore[union-attr]
    try:
        generator(z)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def divergence(source: Sequence[Tensor], target: Sequence[Tensor], layers: Tensor) -> Tensor:
    """mean_i KL(p_i, q_i) with p_i the softmax of image i's cosines to the others in the source's features, q_i in the target's.

    Both are features by layer, (n, d) each; image i is compared in the one that layers (n,) names for it.
    """
    p, q = (torch.stack([_cosines(features) for features in side]).log_softmax(-1) for side in (source, target))
    of_each = layers, torch.arange(len(layers))
    return (p[of_each].exp() * (p[of_each] - q[of_each])).sum(1).mean()


def _cosines(features: Tensor) -> Tensor:
    """Of each of n vectors (n, d) with the others, (n, n - 1)."""
    n = len(features)
    cosines = F.cosine_similarity(features[:, None], features[None], dim=-1)
    return cosines.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)


def build(config: CdcConfig, given: Given, device: torch.device, group: Group) -> Cdc:
    """The source's networks; there are as many anchors as images to train on."""
    images = len(given.target.chosen(config.data))
    return Cdc(config, given, device, group, images)


CDC = Method(
    config=CdcConfig,
    needs=Needs(source=True, networks=(GENERATOR, DISCRIMINATOR), families=("resnet",)),
    batches=real_batches,
    build=build,
    sampler=ZSampler,
)
"""Of the families the ResNet alone: its networks have blocks to compare in, and a map to judge patches by."""
