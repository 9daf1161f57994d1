"""What MatchingGAN and F2GAN ask of the critic of sets: hinge, classes of seen images, and features that follow the weights."""

import torch
from torch import Tensor
from torch.nn import functional as F

from trainables.methods.fewshot.episodes import Task
from trainables.networks.fusion import SetCritic, weighted
from trainables.training.losses import LOSSES

HINGE = LOSSES["hinge"]


def features_of_sets(critic: SetCritic, shots: Tensor) -> Tensor:
    """The critic's features of each image of sets (n, K, 3, R, R): (n, K, c, 4, 4)."""
    features: Tensor = critic.features(shots.flatten(0, 1)).unflatten(0, shots.shape[:2])
    return features


def critic_terms(
    critic: SetCritic, task: Task, real: Tensor, fake: Tensor, classes: float, *, together: bool = False
) -> dict[str, Tensor]:
    """Hinge of real features (n, K, c, 4, 4) and fake ones (n, c, 4, 4), and the classification of the real ones.

    `together` means the logits of a set's images before the hinge, as F2GAN's code does.
    """
    flat, k = real.flatten(0, 1), real.shape[1]
    logits = critic.logits(flat)
    if together:
        logits = logits.unflatten(0, (-1, k)).mean(1)
    losses = {"loss_d": HINGE.discriminator(logits, critic.logits(fake))}
    if classes:
        labels = task.labels.repeat_interleave(k)
        losses["class_d"] = classes * F.cross_entropy(critic.classes(flat), labels)
    return losses


def generator_terms(critic: SetCritic, task: Task, fake: Tensor, classes: float) -> dict[str, Tensor]:
    """Of fake features (n, c, 4, 4): to look real, and like the class of the set that each was made of."""
    losses = {"loss_g": HINGE.generator(critic.logits(fake))}
    if classes:
        losses["class_g"] = classes * F.cross_entropy(critic.classes(fake), task.labels)
    return losses


def unlike_fused(real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute difference of fake features to the weighted sum of a set's, a scalar."""
    return F.l1_loss(fake, weighted(real, weights))


def mode_seeking(weights: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]) -> Tensor:
    """The mean over sets of |a - a'| / |phi - phi'|, of two draws of weights and what they give: falls as outputs spread.

    Mean absolute differences of weights (n, K) and features (n, c, 4, 4).
    """
    return (_apart(*weights) / (_apart(*features) + 1e-6)).mean()


def mode_collapsing(weights: tuple[Tensor, Tensor], features: tuple[Tensor, Tensor]) -> Tensor:
    """The inverse ratio, which F2GAN's code minimises: it falls as outputs become alike."""
    return (_apart(*features) / (_apart(*weights) + 1e-6)).mean()


def _apart(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs().flatten(1).mean(1)


def regression(critic: SetCritic, real: Tensor, fake: Tensor, weights: Tensor) -> Tensor:
    """Mean absolute error of the weights that the critic's regressor reads off the features, a scalar."""
    return F.l1_loss(critic.regressor(real, fake), weights)


def reconstruction(images: Tensor, shots: Tensor, weights: Tensor) -> Tensor:
    """The mean over sets and pixels of sum_k a_k |x - x_k|, of images (n, 3, R, R) and shots (n, K, 3, R, R)."""
    return (weights * (images[:, None] - shots).abs().mean((2, 3, 4))).sum(1).mean()


def dimming(images: Tensor, shots: Tensor, weights: Tensor) -> Tensor:
    """That of sum_k |x - a_k x_k|, as F2GAN's code has it: it pulls to images dimmed to grey."""
    return torch.stack(
        [(images - weights[:, k, None, None, None] * shots[:, k]).abs().mean() for k in range(shots.shape[1])]
    ).sum()
