"""The methods that there are. A new one is a file of its own, its config in `spaces`, and a line in both registries."""

from collections.abc import Mapping
from pathlib import Path

from spaces.errors import UserError, lookup
from trainables.methods.as_is import AS_IS
from trainables.methods.fewshot.augmented import AUGMENTED
from trainables.methods.fewshot.dagan import DAGAN
from trainables.methods.fewshot.f2gan import F2GAN
from trainables.methods.fewshot.figr import FIGR
from trainables.methods.fewshot.funit import FUNIT
from trainables.methods.fewshot.gmn import GMN
from trainables.methods.fewshot.joint import JOINT
from trainables.methods.fewshot.matchinggan import MATCHINGGAN
from trainables.methods.fewshot.mixture import MIXTURE
from trainables.methods.fewshot.sampling import ShotSampler
from trainables.methods.finetuning.cdc import CDC
from trainables.methods.finetuning.families import FINETUNE
from trainables.methods.finetuning.kernel_modulation import KERNEL_MODULATION
from trainables.methods.finetuning.minegan import MINEGAN
from trainables.methods.finetuning.projected import PROJECTED
from trainables.methods.method import Method, Sampler
from trainables.methods.translation.cogan import COGAN
from trainables.methods.translation.combogan import COMBOGAN
from trainables.methods.translation.cyclegan import CYCLEGAN
from trainables.methods.translation.direct import DIRECT
from trainables.methods.translation.domain_confusion import DOMAIN_CONFUSION
from trainables.methods.translation.dtn import DTN
from trainables.methods.translation.feature_consistency import FEATURE_CONSISTENCY
from trainables.methods.translation.stargan import STARGAN
from trainables.methods.translation.unit import UNIT
from trainables.methods.translation.untranslated import UNTRANSLATED
from trainables.methods.translation.xgan import XGAN
from trainables.networks.models import read_model
from trainables.networks.sampling import ZSampler


def method_of(name: str) -> Method:
    """The method of that name; UserError with the known ones otherwise."""
    return lookup(METHODS, "method", name)


def open_sampler(path: Path) -> Sampler:
    """What draws from the model in a folder, or in a generator's one file as earlier versions left it.

    UserError if there is none.
    """
    model, facts = read_model(path)
    return method_of(facts.method).sampler(model)


def open_z_sampler(path: Path) -> ZSampler:
    """As `open_sampler`, of a model whose images are made of z; UserError for one that makes them of images."""
    sampler = open_sampler(path)
    if not isinstance(sampler, ZSampler):
        does = "makes more of few images" if isinstance(sampler, ShotSampler) else "translates images"
        raise UserError(f"{path} is a model that {does}, and has no z; give one that makes images of noise")
    return sampler


def class_number(sampler: ZSampler | ShotSampler, label: str | None) -> int | None:
    """The number of the class of that name or number; UserError if the model can't be asked for it."""
    if label is None:
        return None
    if not sampler.classes:
        raise UserError(
            f"the model knows no classes, so none is called {label!r}; leave the label out, or train with --conditional"
        )
    names = dict(zip(sampler.classes, range(len(sampler.classes)), strict=True))
    numbers = {str(number): number for number in names.values()}
    return lookup(numbers | names, "class", label)


METHODS: Mapping[str, Method] = {
    "finetune": FINETUNE,
    "as_is": AS_IS,
    "minegan": MINEGAN,
    "cdc": CDC,
    "kernel_modulation": KERNEL_MODULATION,
    "projected": PROJECTED,
    "cyclegan": CYCLEGAN,
    "direct": DIRECT,
    "feature_consistency": FEATURE_CONSISTENCY,
    "unit": UNIT,
    "domain_confusion": DOMAIN_CONFUSION,
    "xgan": XGAN,
    "dtn": DTN,
    "cogan": COGAN,
    "stargan": STARGAN,
    "combogan": COMBOGAN,
    "untranslated": UNTRANSLATED,
    "funit": FUNIT,
    "dagan": DAGAN,
    "matchinggan": MATCHINGGAN,
    "f2gan": F2GAN,
    "figr": FIGR,
    "joint": JOINT,
    "gmn": GMN,
    "mixture": MIXTURE,
    "augmented": AUGMENTED,
}
