"""CycleGAN: a translator each way, and there and back has to lead home (Zhu et al., ICCV 2017)."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from spaces.methods.cyclegan import CycleGanConfig, CycleWeights
from trainables.methods.method import Given, Method
from trainables.methods.translation.learner import BACK, Noise, Side, Sides, Translated, TranslationLearner
from trainables.methods.translation.translating import NEEDS, InputSampler, only_domain, unpaired_batches
from trainables.training.parallel import Group


def objective(weights: CycleWeights, sides: Sides, reals: Mapping[str, Tensor], noise: Noise) -> Translated:
    """Both translators fool their critics, lead home together, and leave what is in their domain already.

    The two directions' terms are added up. A term of weight 0 is not computed.
    """
    there, back = sides["target"].translator, sides["source"].translator
    target, source = reals["target"], reals["source"]
    to_target, to_source = there(source), back(target)
    losses = {"loss_g": sides["target"].fooled(to_target) + sides["source"].fooled(to_source)}
    if weights.cycle:
        home = F.l1_loss(back(to_target), source) + F.l1_loss(there(to_source), target)
        losses["loss_cycle"] = weights.cycle * home
    if weights.cycle and weights.identity:
        unchanged = F.l1_loss(there(target), target) + F.l1_loss(back(source), source)
        losses["loss_identity"] = weights.cycle * weights.identity * unchanged
    return Translated(losses, {"target": to_target, "source": to_source})


def build(config: CycleGanConfig, given: Given, device: torch.device, group: Group) -> TranslationLearner:
    """Both directions at their start; the one into the target is scored and exported."""
    resolution = given.target.facts.resolution
    sides = {
        "target": Side.of(config, resolution, device, config.seed),
        "source": Side.of(config, resolution, device, config.seed + BACK),
    }
    return TranslationLearner(
        config, only_domain(config, given), sides, partial(objective, config.weights), device, group
    )


CYCLEGAN = Method(
    config=CycleGanConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=build,
    sampler=InputSampler,
)
