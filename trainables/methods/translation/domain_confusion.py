"""A domain discriminator on the codes: two autoencoders, and which domain a code is of is not to be told (Ganin et al. 2016).

Each domain's critic makes translations look like it; that they show the same thing is left to the common code.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.methods.domain_confusion import ConfusionWeights, DomainConfusionConfig
from spaces.methods.shared_code import SharedCodeConfig
from spaces.networks import Translator
from trainables.machine.randomness import random_numbers
from trainables.methods.method import Given, Method
from trainables.methods.translation.codes import OTHER, all_fooled, both_sides, code_of, differences, image_of
from trainables.methods.translation.learner import Noise, Objective, Sides, Translated, TranslationLearner
from trainables.methods.translation.translating import NEEDS, InputSampler, only_domain, unpaired_batches
from trainables.networks.translators import initialise
from trainables.training.parallel import Group


def objective(
    weights: ConfusionWeights, of_codes: nn.Module, sides: Sides, reals: Mapping[str, Tensor], noise: Noise
) -> Translated:
    """Translations fool critics, codes lead back to their images, and don't tell their domain.

    Both domains' terms are added up. A term of weight 0 is not computed.
    """
    losses, made, _ = terms(weights, of_codes, sides, reals)
    return Translated(losses, made)


Images = Mapping[str, Tensor]
"""Of each domain; codes likewise."""


def terms(
    weights: ConfusionWeights, of_codes: nn.Module, sides: Sides, reals: Images
) -> tuple[dict[str, Tensor], Images, Images]:
    """What is minimised, the translations into each domain, and the codes that they were made of, by their own domain."""
    codes = {domain: code_of(sides, domain, images) for domain, images in reals.items()}
    made = {domain: image_of(sides, domain, codes[OTHER[domain]]) for domain in reals}
    losses = {"loss_g": all_fooled(sides, made)}
    if weights.reconstruction:
        own = {domain: image_of(sides, domain, code) for domain, code in codes.items()}
        losses["loss_reconstruction"] = weights.reconstruction * differences(own, reals)
    if weights.confusion:
        losses["loss_domain"] = domain_loss(of_codes, codes, weights.confusion)
    return losses, made, codes


def domain_loss(of_codes: nn.Module, codes: Mapping[str, Tensor], weight: float) -> Tensor:
    """The discriminator's mean cross entropy, log 2 where it knows nothing: it lowers it, encoders raise it `weight` times."""
    logits = {domain: of_codes(turned(code, weight)) for domain, code in codes.items()}
    asked = [
        F.binary_cross_entropy_with_logits(found, torch.full_like(found, float(domain == "target")))
        for domain, found in logits.items()
    ]
    return torch.stack(asked).mean()


def turned(code: Tensor, weight: float) -> Tensor:
    """The code itself, whose gradient arrives `weight` times and with its sign turned: (n, c, h, w) -> (n, c, h, w)."""
    return (1 + weight) * code.detach() - weight * code


def code_discriminator(network: Translator, seed: int, device: torch.device) -> nn.Module:
    """Codes (n, c, h, w) -> a logit for each place, (n, 1, h, w), higher for more like the target's; freshly initialised."""
    channels = network.width * 2**network.halvings
    layers = [nn.Conv2d(channels, 64, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 64, 1), nn.LeakyReLU(0.2)]
    module = nn.Sequential(*layers, nn.Conv2d(64, 1, 1))
    initialise(module, random_numbers("weights of a code discriminator", seed))
    return module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def confused(
    config: SharedCodeConfig,
    minimised: Callable[[nn.Module], Objective],
    given: Given,
    device: torch.device,
    group: Group,
) -> TranslationLearner:
    """Both domains' autoencoders and the discriminator of codes at their start, and what is `minimised` with that one."""
    sides = both_sides(config, given.target.facts.resolution, device)
    of_codes = code_discriminator(config.translator, config.seed, device)
    domain, beside = only_domain(config, given), {"discriminator_of_codes": of_codes}
    return TranslationLearner(config, domain, sides, minimised(of_codes), device, group, beside)


def build(config: DomainConfusionConfig, given: Given, device: torch.device, group: Group) -> TranslationLearner:
    """The autoencoders and the discriminator, and nothing else that holds codes together."""
    return confused(config, lambda of_codes: partial(objective, config.weights, of_codes), given, device, group)


DOMAIN_CONFUSION = Method(
    config=DomainConfusionConfig,
    needs=NEEDS,
    batches=unpaired_batches,
    build=build,
    sampler=InputSampler,
)
