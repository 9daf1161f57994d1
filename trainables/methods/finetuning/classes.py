"""A GAN's classes: which there are in a target, and AC-GAN's auxiliary classifier (Odena et al. 2017, arXiv:1610.09585).

The critic has a second head that tells classes apart. It learns from real images alone, and the generator from what it says
of its own, each by cross-entropy; the gradient penalty is the critic's logit's and knows nothing of it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.errors import UserError
from spaces.networks import AnyNetwork, classes_of
from trainables.images.domains import CLASS_FOLDERS, Domain


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of a target's images that a trial trains on."""

    names: tuple[str, ...]
    """By label; none where the domain's have no names."""
    prior: Tensor
    """The share of the images that each has, float32 (classes,)."""

    @classmethod
    def of(cls, network: AnyNetwork, domain: Domain, rows: NDArray[np.int64]) -> "Classes | None":
        """Those of a domain's images at `rows`; None of an unconditional network. UserError if the network has others."""
        count = classes_of(network)
        if count is None:
            return None
        if reason := without_classes(domain):
            raise UserError(f"a conditional GAN can't be trained: {reason}")
        if count != domain.labels_known:
            raise UserError(
                f"network/classes={count}, but domain {domain.facts.name!r} has {domain.labels_known} classes; set it to that"
            )
        shares = np.bincount(domain.labels[rows], minlength=count) / len(rows)
        return cls(domain.facts.class_names, torch.from_numpy(shares).float())


def without_classes(domain: Domain) -> str | None:
    """Why a domain's images can't train a conditional GAN, in a line; None if they can."""
    if domain.unlabelled:
        return f"{domain.unlabelled}; {CLASS_FOLDERS}"
    if domain.facts.classes < 2:
        return f"domain {domain.facts.name!r} has images of one class alone; {CLASS_FOLDERS}"
    return None


def judged(critic: nn.Module, real: Tensor, fake: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of real and generated images, (n,) each, and the cross-entropy of the real ones' classes; one pass for all."""
    logits, of_class = critic.judge(torch.cat([real, fake]))  # type: ignore[operator]
    of_real, of_fake = logits.float().chunk(2)
    return of_real, of_fake, F.cross_entropy(of_class[: len(real)].float(), labels)


def judged_fakes(critic: nn.Module, fake: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of generated images, (n,), and the cross-entropy of the classes that they were asked to be."""
    logits, of_class = critic.judge(fake)  # type: ignore[operator]
    return logits.float(), F.cross_entropy(of_class.float(), labels)
