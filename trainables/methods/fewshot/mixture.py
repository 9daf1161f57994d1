"""Pixel mixtures of the K images of a class, in the place of generated ones: the baseline of every fusion, at no training."""

from torch import Tensor

from spaces.methods.mixture import MixtureConfig
from trainables.methods.fewshot.sampling import Made
from trainables.methods.fewshot.untrained import untrained
from trainables.training.draws import Draws


def mixed(shots: Tensor, classes: Tensor, draws: Draws) -> Made:
    """Sums of each class's images by weights that are uniform on the simplex (Dirichlet's distribution at 1)."""
    sets = shots[classes]  # (n, K, 3, R, R)
    weights = draws.simplex(*sets.shape[:2])
    images = (sets.float() * weights[..., None, None, None]).sum(1)
    return Made(images.round().clamp(0, 255).to(shots.dtype), sets)


MIXTURE = untrained(MixtureConfig, mixed)
