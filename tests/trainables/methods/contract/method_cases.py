"""A tiny trial of every method, or of each of its forms, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from spaces.config import TrialConfig
from spaces.trials import parse_trial
from trainables.methods.registry import METHODS


@dataclass(frozen=True)
class Case:
    """A method's tiny trial on domain "dots"."""

    settings: Mapping[str, Any]
    """Fields of its config beside target, budget and protocol."""
    moves: frozenset[str]
    """The owners of what a step changes in the learner's state, "generator" of "generator.to_rgb.weight"."""
    rounding: float = 1e-3
    """How far, as a share, the losses and scores of two workers may be from one's; images by 2,000 times as many grey levels."""


RESNET = {"resolution": 32, "width": 2, "z_dim": 8}
DCGAN = {"family": "dcgan", **RESNET}
BY_CLASS = {**RESNET, "classes": 2}
STYLEGAN2 = {"family": "stylegan2", "resolution": 32, "width": 2, "channel_max": 4, "z_dim": 4, "w_dim": 4}
LAZY = {"name": "nonsaturating", "penalty": 1, "penalty_every": 2, "n_critic": 1}
BY_STYLE = {
    "loss": LAZY,
    "optim": {"batch": 8, "lr_g": 2e-3, "ema_halflife_images": 8},
    "style": {"path_length_every": 3},
    "budget": {"images": 64, "eval_every_images": 40},
}
SHORT = {"loss": {"n_critic": 2}, "optim": {"batch": 4}}
PLAIN = {"loss": {"name": "nonsaturating", "penalty": 0, "n_critic": 1}, "optim": {"batch": 8}}
GAN = frozenset({"generator", "discriminator", "average", "adam_g", "adam_d", "iterations"})
SMALL = {"source": "seed-7", "network": RESNET, "optim": {"batch": 8}}
BUDGET = {"images": 96, "eval_every_images": 80}
"""Long enough for ADA's strength to move before the trial is broken off, in the middle of its next batches."""
DIFFAUGMENT = {"policy": "color,translation,cutout"}
ADA = {"ada_target": 0.1, "ada_images": 80}

FROM_SEED_7 = {"source": "seed-7", "network": RESNET, "loss": {"n_critic": 2}, "optim": {"batch": 4}}
FAST = {"optim": {"batch": 4, "lr_g": 0.1, "lr_d": 0.01}}  # a modulation moves by the product of two vectors
MODULATED = {"probe_steps": 1, "fisher_steps": 1, "fisher_images": 2, "start": 0.5}
BRIEF = {"loss": {"name": "nonsaturating", "penalty": 0, "n_critic": 2}}


UNPENALISED = {
    "method": "projected",
    "loss": {"name": "hinge", "penalty": 0, "n_critic": 1},
    "optim": {"batch": 4},
    "projection": {"channels": 4, "input_size": 32},
    "protocol": {"metrics": ("iw",), "input_size": 32, "n_fake": 24},  # by other features than it trains on
}


TRANSLATED = {"source": "rings", "translator": {"width": 2, "blocks": 1}, "training": {"batch": 4, "pool": 6}}

SHARED = {**TRANSLATED, "translator": {"width": 2, "blocks": 2}}


def sides_of(domain: str) -> frozenset[str]:
    return frozenset({f"translator_to_{domain}", f"critic_of_{domain}", f"pool_of_{domain}"})


ONE_WAY = sides_of("target") | {"average", "adam_g", "adam_d", "iterations"}

SETS = {"source": "many", "data": {"shots": 3}, "width": 2, "training": {"batch": 4, "n_critic": 2}}
ADAPTED = {"source": "many", "data": {"shots": 3}, "width": 2, "z_dim": 4, "adaptation": {"steps": 2, "rate": 0.01}}
META = frozenset({"generator", "discriminator", "outer_g", "outer_d", "iterations"})
SMALL_SETS = {"source": "many", "data": {"shots": 1}, "width": 2, "z_dim": 4, "training": {"batch": 4}}

COMBO = frozenset({"average", "iterations"}) | {
    f"{owner}_of_{side}"
    for owner in ("autoencoder", "critic", "pool", "adam_g", "adam_d")
    for side in ("target", "source")
}

CASES: Mapping[str, Case] = {
    "finetune": Case({"source": "seed-7", "network": RESNET, **SHORT}, moves=GAN),
    "finetune, dcgan": Case({"source": "plain", "network": DCGAN, **PLAIN}, moves=GAN),
    "finetune, scratch": Case({"source": "scratch", "network": DCGAN, **PLAIN}, moves=GAN),
    "finetune, diffaugment": Case({**SMALL, "loss": {"n_critic": 2}, "augment": DIFFAUGMENT}, moves=GAN),
    "finetune, ada": Case(
        {
            **SMALL,
            "optim": {"batch": 8, "lr_d": 1e-3},
            "loss": {"name": "nonsaturating", "n_critic": 1},
            "augment": ADA,
            "budget": BUDGET,
        },
        moves=GAN | {"ada"},
        rounding=5e-3,  # the generator's weights moved to the next float32 move a loss of its twelve steps by 2.6e-3
    ),
    "finetune, lecam, hinge": Case(
        {**SMALL, "loss": {"name": "hinge", "n_critic": 1, "lecam": 0.3}, "transfer": {"ewc": 1.0}},
        moves=GAN | {"lecam"},
    ),
    "finetune, relativistic": Case(
        {**SMALL, "loss": {"name": "relativistic", "penalty": 1, "n_critic": 1}, "augment": DIFFAUGMENT},
        moves=GAN,
    ),
    "finetune, norms alone": Case(
        {**SMALL, "loss": {"n_critic": 1}, "transfer": {"train": "norms", "l2_sp": 0.1}}, moves=GAN
    ),
    "finetune, conditional": Case({"source": "seed-7", "network": BY_CLASS, **SHORT}, moves=GAN),
    "finetune, conditional, diffaugment, ewc": Case(
        {**SMALL, "network": BY_CLASS, "loss": {"n_critic": 1}, "augment": DIFFAUGMENT, "transfer": {"ewc": 1.0}},
        moves=GAN,
    ),
    "finetune, conditional from conditional": Case(
        {"source": "by-class", "network": {**BY_CLASS, "conditioning": "concat"}, **SHORT}, moves=GAN
    ),
    "finetune, stylegan2": Case(
        {"source": "styles", "network": STYLEGAN2, **BY_STYLE, "transfer": {"freeze_layers": 5}},
        moves=GAN | {"path_length"},
    ),
    "finetune, stylegan2, scratch, ada": Case(
        {"source": "scratch", "network": STYLEGAN2, **BY_STYLE, "augment": {"ada_target": 0.1, "ada_images": 40}},
        moves=GAN | {"path_length", "ada"},
    ),
    "finetune, stylegan2, conditional": Case(
        {"source": "scratch", "network": {**STYLEGAN2, "classes": 2}, **BY_STYLE, "augment": DIFFAUGMENT},
        moves=GAN | {"path_length"},
    ),
    "as_is": Case({"method": "as_is", "source": "seed-7", "network": RESNET}, moves=frozenset()),
    "minegan": Case({"method": "minegan", **FROM_SEED_7, "mining": {"steps_alone": 3}}, moves=GAN),
    "minegan, dcgan": Case({"method": "minegan", "source": "plain", "network": DCGAN, **PLAIN}, moves=GAN),
    "minegan, two": Case(
        {"method": "minegan", **FROM_SEED_7, "mining": {"steps_alone": 1, "beside": "seed-8"}}, moves=GAN
    ),
    "cdc": Case({"method": "cdc", **FROM_SEED_7, "correspondence": {"whole_every": 2}}, moves=GAN),
    "kernel_modulation": Case(
        {"method": "kernel_modulation", **FROM_SEED_7, **FAST, "modulation": {**MODULATED, "fisher_steps": 1}},
        moves=GAN | {"modulation"},
    ),
    "kernel_modulation, broken in the measure": Case(
        {"method": "kernel_modulation", **FROM_SEED_7, **FAST, "modulation": {**MODULATED, "fisher_steps": 2}},
        moves=GAN | {"modulation"},
    ),
    "kernel_modulation, dcgan": Case(
        {"method": "kernel_modulation", "source": "plain", "network": DCGAN, **FAST, **BRIEF, "modulation": MODULATED},
        moves=GAN | {"modulation"},
    ),
    "projected": Case({**UNPENALISED, "source": "seed-7", "network": RESNET}, moves=GAN),
    "projected, scratch": Case({**UNPENALISED, "source": "scratch", "network": DCGAN}, moves=GAN),
    "as_is, dcgan": Case({"method": "as_is", "source": "plain", "network": DCGAN}, moves=frozenset()),
    "cyclegan": Case({"method": "cyclegan", **TRANSLATED}, moves=ONE_WAY | sides_of("source")),
    "direct": Case({"method": "direct", **TRANSLATED}, moves=ONE_WAY),
    "feature_consistency": Case(
        {"method": "feature_consistency", **TRANSLATED, "protocol": UNPENALISED["protocol"]}, moves=ONE_WAY
    ),
    "unit": Case({"method": "unit", **SHARED}, moves=ONE_WAY | sides_of("source")),
    "unit, nothing shared": Case({"method": "unit", **SHARED, "shared_blocks": 0}, moves=ONE_WAY | sides_of("source")),
    "domain_confusion": Case(
        {"method": "domain_confusion", **SHARED}, moves=ONE_WAY | sides_of("source") | {"discriminator_of_codes"}
    ),
    "xgan": Case(  # a higher rate than this blows rounding up, as signs of small differences flip
        {"method": "xgan", **SHARED, "training": {"batch": 4, "pool": 6, "lr": 5e-5}},
        moves=ONE_WAY | sides_of("source") | {"discriminator_of_codes"},
    ),
    "dtn": Case(
        {"method": "dtn", **SHARED, "training": {"batch": 4}},
        moves=frozenset({"translator", "average", "adam_f", "iterations"}),  # the encoder learns first
    ),
    "cogan": Case(  # at ten times the rate, the default, rounding grows faster than two workers may differ
        {
            "method": "cogan",
            "source": "rings",
            "width": 2,
            "z_dim": 8,
            "training": {"batch": 4, "n_critic": 2, "lr": 1e-4},
        },
        moves=frozenset({"average", "adam_g", "adam_d", "iterations"})
        | {f"{owner}_of_{side}" for owner in ("generator", "critic") for side in ("target", "source")},
    ),
    "stargan": Case(
        {
            "method": "stargan",
            "source": "rings",
            "beside": ["more-rings"],
            "width": 2,
            "blocks": 1,
            "training": {"batch": 4, "n_critic": 2},
        },
        moves=GAN,
    ),
    "combogan": Case({"method": "combogan", **TRANSLATED}, moves=COMBO),
    "funit": Case(
        {"method": "funit", "source": "many", "data": {"shots": 3}, "width": 2, "latent": 2, "training": {"batch": 4}},
        moves=frozenset({"generator", "discriminator", "average", "rms_g", "rms_d", "iterations"}),
        rounding=5e-3,  # RMSprop steps by its rate also where a gradient is rounding alone; in float64 they agree to 1e-15
    ),
    "untranslated": Case({"method": "untranslated", "source": "rings"}, moves=frozenset()),
    "dagan": Case({"method": "dagan", **SETS, "z_dim": 4}, moves=GAN),
    "dagan, faithful": Case({"method": "dagan", **SETS, "z_dim": 4, "dropout": 0, "faithful": True}, moves=GAN),
    "matchinggan": Case({"method": "matchinggan", **SETS, "z_dim": 4}, moves=GAN),
    "matchinggan, faithful": Case({"method": "matchinggan", **SETS, "faithful": True}, moves=GAN),
    "f2gan": Case({"method": "f2gan", **SETS}, moves=GAN),
    "f2gan, faithful": Case({"method": "f2gan", **SETS, "faithful": True}, moves=GAN),
    "figr": Case({"method": "figr", **ADAPTED, "training": {"tasks": 4}}, moves=META),
    "figr, fomaml": Case(
        {"method": "figr", **ADAPTED, "data": {"shots": 2}, "meta": "fomaml", "training": {"tasks": 4}}, moves=META
    ),
    "figr, faithful": Case({"method": "figr", **ADAPTED, "faithful": True, "training": {"tasks": 4}}, moves=META),
    "joint": Case({"method": "joint", **ADAPTED, "training": {"batch": 4, "n_critic": 2}}, moves=GAN - {"average"}),
    "gmn": Case({"method": "gmn", **SMALL_SETS}, moves=frozenset({"generator", "adam", "iterations"})),
    "mixture": Case({"method": "mixture", "source": "scratch", "data": {"shots": 2}}, moves=frozenset()),
    "augmented": Case({"method": "augmented", "source": "scratch", "data": {"shots": 2}}, moves=frozenset()),
}
COMMON = {
    "target": "dots",
    "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 24},
    "budget": {"images": 32, "eval_every_images": 16},
}


def _marks(case: str) -> list[pytest.MarkDecorator]:
    """The tests of a case run in one process, which trains it once; another form of a method than its first is slow."""
    return [pytest.mark.xdist_group(case), *([pytest.mark.slow] if "," in case else [])]


EVERY_CASE = pytest.mark.parametrize("case", [pytest.param(case, marks=_marks(case)) for case in CASES])
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


def config_of(case: str, **fields: Any) -> TrialConfig:
    return parse_trial({**COMMON, **CASES[case].settings, **fields}, "test")
