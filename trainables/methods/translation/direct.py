"""Direct transformation without any constraint: a shallow translator that only has to fool the target's critic.

What it keeps of an image is what so few layers can't help keeping. It is the baseline of methods that hold the content.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from spaces.methods.direct import DirectConfig
from trainables.methods.method import Given, Method
from trainables.methods.translation.learner import Noise, Side, Sides, Translated, TranslationLearner
from trainables.methods.translation.translating import NEEDS, InputSampler, only_domain, unpaired_batches
from trainables.training.parallel import Group


def objective(sides: Sides, reals: Mapping[str, Tensor], noise: Noise) -> Translated:
    """Fool the critic, and nothing else."""
    translations = sides["target"].translator(reals["source"])
    return Translated({"loss_g": sides["target"].fooled(translations)}, {"target": translations})


def build(config: DirectConfig, given: Given, device: torch.device, group: Group) -> TranslationLearner:
    """The one translator at its start."""
    sides = {"target": Side.of(config, given.target.facts.resolution, device, config.seed)}
    return TranslationLearner(config, only_domain(config, given), sides, objective, device, group)


DIRECT = Method(
    config=DirectConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=build,
    sampler=InputSampler,
)
