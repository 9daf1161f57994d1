"""XGAN: two autoencoders whose code is kept by translation and doesn't tell its domain (Royer et al. 2017).

The paper's code is a vector of length 1; here it is a map, and only the comparison of codes takes their directions. There is
no teacher, images are compared by absolute differences, and networks, critics' loss, pools and rates are CycleGAN's.
"""

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.xgan import XganConfig, XganWeights
from trainables.methods.method import Given, Method
from trainables.methods.translation.codes import OTHER, code_of, differences
from trainables.methods.translation.domain_confusion import confused, terms
from trainables.methods.translation.learner import Noise, Sides, Translated, TranslationLearner
from trainables.methods.translation.translating import NEEDS, InputSampler, unpaired_batches
from trainables.training.parallel import Group


def objective(
    weights: XganWeights, of_codes: nn.Module, sides: Sides, reals: Mapping[str, Tensor], noise: Noise
) -> Translated:
    """Translations fool critics and keep their input's code; codes lead back to their images, and don't tell their domain.

    Both domains' terms are added up. A term of weight 0 is not computed.
    """
    losses, made, codes = terms(weights, of_codes, sides, reals)
    if weights.semantic:
        kept = {OTHER[domain]: directions(code_of(sides, domain, images)) for domain, images in made.items()}
        wanted = {domain: directions(code) for domain, code in codes.items()}
        losses["loss_semantic"] = weights.semantic * differences(kept, wanted)
    return Translated(losses, made)


def directions(codes: Tensor) -> Tensor:
    """Codes (n, c, h, w) with a root mean square of 1 over the channels of each place.

    A shorter code says no less: were lengths compared, all codes could shrink until none differs.
    """
    unit: Tensor = F.normalize(codes, dim=1)
    return unit * math.sqrt(codes.shape[1])


def build(config: XganConfig, given: Given, device: torch.device, group: Group) -> TranslationLearner:
    """The autoencoders and the discriminator of codes, which are kept by translation, too."""
    return confused(config, lambda of_codes: partial(objective, config.weights, of_codes), given, device, group)


XGAN = Method(
    config=XganConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=build,
    sampler=InputSampler,
)
