"""Fine-tuning under a projected critic: it sees images through a pretrained network alone (Sauer et al., NeurIPS 2021).

Maps of EfficientNet-Lite0 on four scales go through random convolutions that are never trained: one mixes the channels of
each scale, one adds to each what the coarser ones have (arXiv:2111.01007, section 3.2). On each of the three finest a small
critic of its own ends in 4x4 places at the input size of 64 pixels, whose logits weigh alike; the hinge loss is that of all.

Unlike in the paper the heads have no batch norm, as real and generated images go through in one batch, and the coarsest
scale, of 2x2 places at that size, has no head: it speaks through the others.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from spaces.config import SCRATCH
from spaces.methods.projected import ProjectedConfig, Projection
from trainables.machine.randomness import random_numbers
from trainables.methods.finetuning.families import real_batches
from trainables.methods.finetuning.finetune import Finetune
from trainables.methods.method import Given, Method, Needs
from trainables.metrics.features import lite0, lite0_inputs, lite0_maps
from trainables.networks.families import GENERATOR
from trainables.networks.models import Model
from trainables.networks.sampling import ZSampler
from trainables.training.fixed import trained
from trainables.training.parallel import Group

BLOCKS = {2: 24, 4: 40, 10: 112, 15: 320}
"""The last block of EfficientNet-Lite0 on each scale, with its channels: maps of 1/4, 1/8, 1/16 and 1/32 of the input."""
PLACES = 16
"""Of the input along a side that a place of a head's output stands for."""


class ProjectedCritic(nn.Module):
    """Images (N, 3, R, R) in [-1, 1] -> logits (N * heads * places,), one image's behind another's.

    Its weights are of the heads alone, and drawn by `seed`, as are the fixed convolutions before them.
    """

    def __init__(self, projection: Projection, seed: int, device: torch.device) -> None:
        super().__init__()
        self.size, channels = projection.input_size, projection.channels
        self._network = [lite0(self.size, device)[0]]  # in a list: no module of this one, so in no checkpoint
        random = random_numbers("projections", seed)
        self._mixed = [_fixed(width, channels, 1, random).to(device) for width in BLOCKS.values()]
        self._passed = [_fixed(channels, channels, 3, random).to(device) for _ in BLOCKS]
        scales = [2 ** (2 + place) for place in range(len(BLOCKS) - 1)]
        self.heads = nn.ModuleList([_head(channels, PLACES // scale) for scale in scales])
        _draw_weights(self.heads, seed)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        maps = lite0_maps(self._network[0], lite0_inputs((images.float() + 1) * 127.5, self.size), BLOCKS)
        logits = [head(each).flatten(1) for head, each in zip(self.heads, self._projected(maps), strict=False)]
        together: Tensor = torch.cat(logits, 1).flatten()
        return together

    def _projected(self, maps: list[Tensor]) -> list[Tensor]:
        """The maps mixed over channels and, from coarse to fine, over scales; in the order of the maps."""
        found: list[Tensor] = []
        for each, mix, passing in reversed(list(zip(maps, self._mixed, self._passed, strict=True))):
            own: Tensor = F.conv2d(each, mix)
            if found:
                own = own + F.interpolate(found[-1], scale_factor=2, mode="bilinear", align_corners=False)
            found.append(F.conv2d(own, passing, padding=1))
        return found[::-1]


def _fixed(inputs: int, outputs: int, size: int, random: torch.Generator) -> Tensor:
    """Weights (outputs, inputs, size, size) by which unit variance stays so."""
    spread: float = (inputs * size * size) ** -0.5
    return torch.randn(outputs, inputs, size, size, generator=random) * spread


def _head(channels: int, shrink: int) -> nn.Sequential:
    """A critic of maps that are `shrink` times as fine as its output."""
    steps: list[nn.Module] = []
    while shrink > 1:
        steps += [spectral_norm(nn.Conv2d(channels, channels, 4, 2, 1)), nn.LeakyReLU(0.2)]
        shrink //= 2
    steps += [spectral_norm(nn.Conv2d(channels, channels, 3, padding=1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*steps, spectral_norm(nn.Conv2d(channels, 1, 1)))


def _draw_weights(heads: nn.Module, seed: int) -> None:
    """By the seed alone, whatever was drawn before: the weights, and the vectors that their norms are known by."""
    random = random_numbers("weights of projected heads", seed)
    with torch.no_grad():
        for name, tensor in heads.state_dict().items():
            if name.endswith("bias"):
                tensor.zero_()
            elif tensor.ndim > 1:
                tensor.normal_(0, 0.02, generator=random)
            else:
                tensor.copy_(F.normalize(torch.randn(tensor.shape, generator=random), dim=0))


class Projected(Finetune):
    """Fine-tuning of a generator against a projected critic."""

    def __init__(self, config: ProjectedConfig, given: Given, device: torch.device, group: Group) -> None:
        super().__init__(config.finetuning, given.source, device, group)
        self.discriminator: ProjectedCritic = ProjectedCritic(config.projection, config.seed, device)
        self.discriminator.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adam_d = self._adam(trained(self.discriminator), config.optim.lr_d)

    def model(self) -> Model:
        """The averaged generator with its standing statistics alone: no other training has a use for such a critic."""
        whole = super().model()
        return replace(whole, networks={GENERATOR: self.config.network}, weights={GENERATOR: whole.weights[GENERATOR]})


def build(config: ProjectedConfig, given: Given, device: torch.device, group: Group) -> Projected:
    """There is no source exactly if config.source is "scratch"."""
    assert (given.source is None) == (config.source == SCRATCH), f"{config.source=}, {given.source=}"
    return Projected(config, given, device, group)


PROJECTED = Method(
    config=ProjectedConfig,
    needs=Needs(networks=(GENERATOR,), families=("resnet", "dcgan")),
    batches=real_batches,
    build=build,
    sampler=ZSampler,
)
