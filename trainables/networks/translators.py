"""The translator and the critic of patches that CycleGAN uses (Zhu et al. 2017): images to images, and images to many logits.

Norms are of each image alone, in training as in sampling, and keep no statistics.
"""

import torch
from torch import Tensor, nn

from spaces.networks import Translator
from trainables.networks.family import Family


def normed(*layers: nn.Module, channels: int) -> list[nn.Module]:
    """A convolution's layers, and behind them the norm of each image and the rectifier."""
    return [*layers, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class ResidualBlock(nn.Module):
    """x + a small change of it: (N, c, h, w) -> (N, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            *normed(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), channels=channels),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.change(x)
        return x + change


def encoder(network: Translator) -> nn.Sequential:
    """Images (N, 3, R, R) -> codes (N, width * 2^halvings, R / 2^halvings, R / 2^halvings), half of the blocks among them."""
    width = network.width
    layers = normed(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), channels=width)
    for _ in range(network.halvings):
        layers += normed(nn.Conv2d(width, 2 * width, 3, 2, 1), channels=2 * width)
        width *= 2
    return nn.Sequential(*layers, *(ResidualBlock(width) for _ in range(network.blocks // 2)))


def decoder(network: Translator) -> nn.Sequential:
    """What `encoder` gives -> images in [-1, 1], with the other half of the blocks."""
    width = network.width * 2**network.halvings
    layers: list[nn.Module] = [ResidualBlock(width) for _ in range(network.blocks - network.blocks // 2)]
    for _ in range(network.halvings):
        up = nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1)
        layers += normed(up, channels=width // 2)
        width //= 2
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


class ImageTranslator(nn.Module):
    """Images (N, 3, R, R) in [-1, 1] -> images likewise; R is a multiple of 2^halvings."""

    def __init__(self, network: Translator) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(network), decoder(network)

    def forward(self, images: Tensor) -> Tensor:
        translated: Tensor = self.decoder(self.encoder(images))
        return translated


class PatchCritic(nn.Module):
    """Images (N, 3, R, R) -> a logit for each of many overlapping patches, (N, h, w)."""

    def __init__(self, network: Translator) -> None:
        super().__init__()
        width = network.width
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for stride in [2] * (network.critic_halvings - 1) + [1]:
            layers += [nn.Conv2d(width, 2 * width, 4, stride, 1), nn.InstanceNorm2d(2 * width)]
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            width *= 2
        self.main = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.main(images)  # (N, 1, h, w)
        return logits.squeeze(1)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the paper's first weights: N(0, 0.02), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0.0, 0.02, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


TRANSLATOR = Family(
    networks={"generator": ImageTranslator, "discriminator": PatchCritic},
    initialise=initialise,
)
"""Nothing is grafted from it, and no file of others is read as one: it has no stages to freeze, and no config to be read off."""
