"""The K images of each unseen class that a few-shot model makes more of, as a part of the model's files."""

import torch
from torch import Tensor, nn

from spaces.networks import Shots
from trainables.networks.family import Family


class ShotImages(nn.Module):
    """K images of each class, uint8 (classes, K, 3, R, R), and the label that the target's domain has for each, (classes,)."""

    images: Tensor
    labels: Tensor

    def __init__(self, network: Shots) -> None:
        super().__init__()
        shape = (network.classes, network.shots, 3, network.resolution, network.resolution)
        self.register_buffer("images", torch.zeros(shape, dtype=torch.uint8))
        self.register_buffer("labels", torch.full((network.classes,), -1))

    @classmethod
    def of(cls, images: Tensor, labels: Tensor) -> "ShotImages":
        """Those of these images and labels, as they are."""
        classes, shots, _, _, resolution = images.shape
        module = cls(Shots(resolution=resolution, classes=classes, shots=shots))
        module.load_state_dict({"images": images, "labels": labels})
        return module

    @property
    def network(self) -> Shots:
        """The config that the images are of."""
        classes, shots, _, _, resolution = self.images.shape
        return Shots(resolution=resolution, classes=classes, shots=shots)


def _initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Nothing to draw."""


SHOTS = Family(networks={"shots": ShotImages}, initialise=_initialise)
"""Images among a model's networks: it has nothing to train."""
