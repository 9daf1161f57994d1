"""UNIT: variational autoencoders of two domains with a common code (Liu et al., NeurIPS 2017).

As in the paper the autoencoders share innermost layers; the authors' later code shares none (`shared_blocks` 0). Their
networks are CycleGAN's halves here, and so are the critics' loss, pools and rates; the paper's has no pools.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from spaces.methods.unit import UnitConfig, UnitWeights
from trainables.methods.method import Given, Method
from trainables.methods.translation.codes import OTHER, all_fooled, both_sides, code_of, differences, image_of
from trainables.methods.translation.learner import Noise, Sides, Translated, TranslationLearner
from trainables.methods.translation.translating import NEEDS, InputSampler, only_domain, unpaired_batches
from trainables.training.parallel import Group


def objective(weights: UnitWeights, sides: Sides, reals: Mapping[str, Tensor], noise: Noise) -> Translated:
    """Translations fool critics, noisy codes lead back to their images by either way, and codes stay near N(0, 1).

    Both domains' terms are added up. A term of weight 0 is not computed.
    """
    codes = {domain: code_of(sides, domain, images) for domain, images in reals.items()}
    noisy = {domain: code + noise(code) for domain, code in codes.items()}
    made = {domain: image_of(sides, domain, noisy[OTHER[domain]]) for domain in reals}
    losses = {"loss_g": all_fooled(sides, made)}
    if weights.reconstruction:
        own = {domain: image_of(sides, domain, code) for domain, code in noisy.items()}
        losses["loss_reconstruction"] = weights.reconstruction * differences(own, reals)
    pulled = list(codes.values())
    if weights.cycle:
        codes_back = {domain: code_of(sides, OTHER[domain], made[OTHER[domain]]) for domain in reals}
        home = {domain: image_of(sides, domain, code + noise(code)) for domain, code in codes_back.items()}
        losses["loss_cycle"] = weights.cycle * differences(home, reals)
        pulled += codes_back.values()
    if weights.code:
        losses["loss_code"] = weights.code * torch.stack([code.square().mean() for code in pulled]).sum()
    return Translated(losses, made)


def build(config: UnitConfig, given: Given, device: torch.device, group: Group) -> TranslationLearner:
    """Both domains' autoencoders at their start; the translator into the target is scored and exported."""
    sides = both_sides(config, given.target.facts.resolution, device)
    return TranslationLearner(
        config, only_domain(config, given), sides, partial(objective, config.weights), device, group
    )


UNIT = Method(
    config=UnitConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=build,
    sampler=InputSampler,
)
