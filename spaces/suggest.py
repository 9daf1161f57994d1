"""Search spaces: what may vary over the trials of a study, as functions of an Optuna trial.

A parameter's name is the path of a `TrialConfig` field, so nothing is mapped by hand. A space is called as
`space(trial, sources=[...], train_images=N)`: the names of the source models to choose from, and how many images the
target's training split has; one whose methods take source domains gets `domains=[...]` too, their names. It may suggest
any field but the target, the budget and the protocol: with those, trials would no longer compare.

How many target images there are, which ones, and the seed are conditions of a trial, no choices. A grid lays every one of
them out; where a space suggests them to another sampler they are drawn evenly, and no trial's score bears on that. Sizes
are better compared by a study each (`--target-images`), which a report takes together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from spaces.config import SCRATCH
from spaces.methods.finetune import CENTRED
from spaces.trials import DEFAULT_METHOD

Suggest = Callable[..., None]

COMMON_TO_ALL = ("target", "budget", "protocol")
"""Fields that a space may not suggest."""

CONDITIONS = ("data/target_images", "data/seed", "seed")
"""Fields that no sampler optimises: the best of their values is the largest, or luck."""

UNVARIED = "unvaried"
"""The space of a study of one given configuration."""


@dataclass(frozen=True)
class Space:
    """A space function, and what its trials have in common beside the defaults: config fields by path."""

    suggest: Suggest
    common: Mapping[str, Any] = field(default_factory=dict)
    transfer_first: Sequence[Mapping[str, Any]] = ({},)
    """What each source is tried with before anything is searched, a trial each: what did best where it was measured."""
    scratch_first: Sequence[Mapping[str, Any]] = ({},)
    """The same from scratch, a trial each: as much tuning as the sources get between them."""
    methods: Sequence[str] = (DEFAULT_METHOD,)
    """That it may suggest; a source model that one of them can't use is left out. If some of them take source domains, it
    is called with their names as `domains` too."""
    of_few: str | None = None
    """The space that takes its place where trials are given K images of each class (`--shots`), and sources have classes."""
    conditional: bool = False
    """Whether its GANs are conditional on the target's classes; `--conditional` makes any space's so."""


def quickstart(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """GANs of minutes on one core: which source, which networks, which learning rates."""
    source = trial.suggest_categorical("source", [*sources, SCRATCH])
    trial.suggest_float("optim/lr_g", 2e-4, 4e-3, log=True)
    trial.suggest_float("optim/lr_d", 2e-4, 4e-3, log=True)
    if source != SCRATCH:
        trial.suggest_categorical("transfer/parts", ["generator", "discriminator", "both"])


def methods(trial: optuna.Trial, *, sources: Sequence[str], train_images: int, domains: Sequence[str] = ()) -> None:
    """Which source, and how it is used: fine-tuned as in quickstart, or sampled as it is, where nothing else varies.

    Where all sources are domains of the home too, their images may also be translated, or left as they are.
    """
    _ways(trial, sources, train_images, ["as_is", *(["cyclegan", "untranslated"] if domains else [])])


def methods_of_few(
    trial: optuna.Trial, *, sources: Sequence[str], train_images: int, domains: Sequence[str] = ()
) -> None:
    """As methods, for K images of each class: the best few-shot method learns from the source's classes, and its baselines copy.

    All ways are given the same K images. A baseline takes no source: which one is suggested with it means nothing.
    """
    learned = ["cyclegan", "untranslated", "matchinggan"] if domains else []
    _ways(trial, sources, train_images, ["as_is", *learned, *UNTRAINED])


def _ways(trial: optuna.Trial, sources: Sequence[str], train_images: int, ways: Sequence[str]) -> None:
    """Which source, from scratch too, and how it is used: fine-tuned, or in one of these ways."""
    source = trial.suggest_categorical("source", [*sources, SCRATCH])
    method = "finetune" if source == SCRATCH else trial.suggest_categorical("method", ["finetune", *ways])
    if method in ("cyclegan", "matchinggan"):
        trial.suggest_float("training/lr", 5e-5, 1e-3, log=True)
    if method == "finetune":
        quickstart(trial, sources=sources, train_images=train_images)  # the source that it suggests is this one


def from_a_source(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """For few images: which source, and whether it is fine-tuned, mined, kept in correspondence, or sampled as it is."""
    source = trial.suggest_categorical("source", [*sources, SCRATCH])
    ways = ["finetune", "minegan", "cdc", "as_is"]
    method = "finetune" if source == SCRATCH else trial.suggest_categorical("method", ways)
    if method == "finetune":
        quickstart(trial, sources=sources, train_images=train_images)  # the source that it suggests is this one
    elif method != "as_is":
        trial.suggest_float("optim/lr_g", 2e-4, 4e-3, log=True)
        trial.suggest_float("optim/lr_d", 2e-4, 4e-3, log=True)
    if method == "minegan":
        trial.suggest_categorical("mining/steps_alone", [0, 36, 72])
    elif method == "cdc":
        trial.suggest_float("correspondence/weight", 30.0, 3000.0, log=True)


def projected_critic(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """Fine-tuning beside a generator that trains against a projected critic.

    For --extractor random_convnet, see `ProjectedConfig`.
    """
    trial.suggest_categorical("source", [*sources, SCRATCH])
    if trial.suggest_categorical("method", ["finetune", "projected"]) == "finetune":
        return quickstart(trial, sources=sources, train_images=train_images)  # the source that it suggests is this one
    trial.suggest_float("optim/lr_g", 1e-4, 4e-3, log=True)
    trial.suggest_float("optim/lr_d", 1e-4, 4e-3, log=True)
    trial.suggest_categorical("loss/name", ["hinge"])
    trial.suggest_categorical("loss/penalty", [0.0])
    trial.suggest_categorical("loss/n_critic", [1, 2])
    return None


def translation(trial: optuna.Trial, *, sources: Sequence[str], train_images: int, domains: Sequence[str]) -> None:
    """Target images made from source images: of which domain, by which method, how fast, and how much of them is kept."""
    trial.suggest_categorical("source", list(domains))
    method = trial.suggest_categorical("method", ["cyclegan", "unit", "direct", "untranslated"])
    if method == "untranslated":
        return
    trial.suggest_float("training/lr", 5e-5, 1e-3, log=True)
    if method in ("cyclegan", "unit"):
        trial.suggest_float("weights/cycle", 1.0, 30.0, log=True)
    if method == "cyclegan":
        trial.suggest_categorical("weights/identity", [0.0, 0.1, 0.5, 1.0])
    elif method == "unit":
        trial.suggest_float("weights/code", 1e-3, 0.1, log=True)


def fewshot(trial: optuna.Trial, *, sources: Sequence[str], train_images: int, domains: Sequence[str]) -> None:
    """More of a few images of each class: by which method, learnt from which domain of other classes, and how fast.

    With `--shots K`. The baselines learn nothing, so nothing of them varies.
    """
    method = trial.suggest_categorical("method", FEWSHOT)
    if method in UNTRAINED:
        return
    trial.suggest_categorical("source", list(domains))
    trial.suggest_float("training/lr", 5e-5, 2e-3, log=True)
    if method in ("figr", "joint"):
        trial.suggest_float("adaptation/rate", 1e-4, 1e-2, log=True)  # at 1e-2 FIGR diverged, joint gave one colour
    if method == "figr":
        trial.suggest_categorical("meta", ["reptile", "fomaml"])
    elif method == "f2gan":
        trial.suggest_float("weights/mode_seeking", 0.01, 10.0, log=True)
        trial.suggest_float("weights/reconstruction", 0.01, 10.0, log=True)


def conditional(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """Conditional GANs: as quickstart, and how the generator is told the class, how much it heeds the classifier."""
    quickstart(trial, sources=sources, train_images=train_images)
    trial.suggest_categorical("network/conditioning", ["norm", "concat"])
    trial.suggest_float("classifier/generator", 0.03, 3, log=True)


def transferring_gans(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """The questions of the paper: which source, which networks; with FreezeD and the batch beside them.

    Its third one, how many target images, takes a study a size: `--target-images`.
    """
    source = trial.suggest_categorical("source", [*sources, SCRATCH])
    trial.suggest_float("optim/lr_g", 1e-5, 5e-4, log=True)
    trial.suggest_float("optim/lr_d", 1e-5, 5e-4, log=True)
    trial.suggest_categorical("optim/batch", [16, 32, 64])
    if source != SCRATCH:
        parts = trial.suggest_categorical("transfer/parts", ["generator", "discriminator", "both"])
        if parts != "generator":
            trial.suggest_int("transfer/freeze_d", 0, 2)


def limited_data(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """All that is known to help a target of few images: loss, critic steps, augmentation, what keeps to the source.

    Each can be off. What does not go together is not proposed: ADA and LeCam with logits that 0 does not part, two
    augmentations at once, two pulls to the source, and frozen or anchored networks that were not transferred. Training the
    norms alone and LeCam with a source's critic are left out, as they lost where they were tried (docs/limited-data.md).
    """
    source = trial.suggest_categorical("source", [*sources, SCRATCH])
    trial.suggest_float("optim/lr_g", 1e-4, 4e-3, log=True)
    trial.suggest_float("optim/lr_d", 1e-4, 4e-3, log=True)
    loss = trial.suggest_categorical("loss/name", ["wgan_gp", "nonsaturating", "hinge", "relativistic"])
    trial.suggest_float("loss/penalty", 0.1, 10.0, log=True)
    trial.suggest_int("loss/n_critic", 1, 5)
    policy = trial.suggest_categorical("augment/policy", ["", *AUGMENTATIONS])
    if loss in CENTRED and not policy:
        trial.suggest_categorical("augment/ada_target", [0.0, 0.6])
    parts = "none" if source == SCRATCH else _keeping_to_the_source(trial)
    if loss in CENTRED and parts in (
        "none",
        "generator",
    ):  # a source's critic was trained by wgan_gp: logits far from 0
        trial.suggest_categorical("loss/lecam", [0.0, 0.1, 0.3])


def _keeping_to_the_source(trial: optuna.Trial) -> str:
    """What is transferred, frozen and pulled back; gives the networks transferred."""
    parts = str(trial.suggest_categorical("transfer/parts", ["generator", "discriminator", "both"]))
    if parts != "generator":
        trial.suggest_int("transfer/freeze_d", 0, 2)
    if not trial.suggest_categorical("transfer/l2_sp", [0.0, 0.01, 0.1, 1.0]) and parts == "both":
        trial.suggest_categorical("transfer/ewc", [0.0, 0.01, 0.1, 1.0])
    return parts


def source_by_parts(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """The paper's Tables 1 and 4 as a grid: every source, every choice of networks, two seeds, all else equal.

    Use it with `--sampler grid --no-early-stopping`, so that every cell gets the same budget.
    """
    source = trial.suggest_categorical("source", [*sources, SCRATCH])
    if source != SCRATCH:
        trial.suggest_categorical("transfer/parts", ["generator", "discriminator", "both"])
    trial.suggest_int("seed", 0, 1)


def unvaried(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """Nothing varies: the study's own configuration, once. What `understock train` runs."""


_SMALL: Mapping[str, Any] = {"optim/batch": 32, "optim/ema_halflife_images": 1_000, "loss/n_critic": 2}
"""Two critic steps a generator step, and both rates 1e-3: chosen by measurement, see docs/recipe.md."""

_MINUTES: Mapping[str, Any] = {**_SMALL, "budget/images": 9_216, "budget/eval_every_images": 3_072}

_GOOD: Mapping[str, float] = {"optim/lr_g": 1e-3, "optim/lr_d": 1e-3}
_GOOD_FROM_SCRATCH = [{"optim/lr_g": g, "optim/lr_d": d} for g, d in ((1e-3, 1e-3), (2e-3, 1e-3), (1e-3, 2e-3))]

AUGMENTATIONS = ("translation", "translation,cutout", "color,translation,cutout")
"""The policies of DiffAugment that are searched: its paper's, for fewer and fewer images."""

_PLAIN: Mapping[str, Any] = {
    "loss/name": "wgan_gp",
    "loss/penalty": 10.0,
    "loss/n_critic": 2,
    "augment/policy": "",
    "transfer/freeze_d": 0,
    "transfer/l2_sp": 0.0,
    "transfer/ewc": 0.0,
}
"""What quickstart trains with, in the parameters of limited_data: what all else has to beat."""
_SCRATCH_PLAIN = {name: value for name, value in _PLAIN.items() if not name.startswith("transfer/")}

_PROJECTED: Mapping[str, Any] = {**_GOOD, "loss/name": "hinge", "loss/penalty": 0.0, "loss/n_critic": 1}

_BY_NORM: Mapping[str, Any] = {"network/conditioning": "norm", "classifier/generator": 1.0}

UNTRAINED = ("mixture", "augmented")
"""The baselines of few-shot generation: pixel mixtures of the K images, and copies turned, scaled and moved."""

FEWSHOT = (*UNTRAINED, "f2gan", "matchinggan", "dagan", "figr", "joint", "gmn")
"""What the space of few-shot methods tries; FUNIT lost its smallest test (docs/translation.md)."""

_METHODS: Sequence[Mapping[str, Any]] = [
    {**_GOOD, "method": "finetune", "transfer/parts": "both"},
    {"method": "as_is"},
    {"method": "cyclegan", "training/lr": 2e-4},
    {"method": "untranslated"},
]

SPACES: Mapping[str, Space] = {
    "quickstart": Space(quickstart, _MINUTES, [{**_GOOD, "transfer/parts": "both"}], _GOOD_FROM_SCRATCH),
    "methods": Space(
        methods,
        _MINUTES,
        _METHODS,
        _GOOD_FROM_SCRATCH,
        methods=("finetune", "as_is", "cyclegan", "untranslated"),
        of_few="methods_of_few",
    ),
    "methods_of_few": Space(
        methods_of_few,
        _MINUTES,
        [
            *_METHODS,
            {"method": "matchinggan", "training/lr": 5e-4},
            *({"method": method} for method in UNTRAINED),
        ],
        _GOOD_FROM_SCRATCH,
        methods=("finetune", "as_is", "cyclegan", "untranslated", "matchinggan", *UNTRAINED),
    ),
    "from_a_source": Space(
        from_a_source,
        _MINUTES,
        [
            {**_GOOD, "method": "finetune", "transfer/parts": "both"},
            {**_GOOD, "method": "cdc", "correspondence/weight": 333.0},
            {**_GOOD, "method": "minegan", "mining/steps_alone": 72},
            {"method": "as_is"},
        ],
        _GOOD_FROM_SCRATCH,
        methods=("finetune", "minegan", "cdc", "as_is"),
    ),
    "projected_critic": Space(
        projected_critic,
        _MINUTES,
        [{**_GOOD, "method": "finetune", "transfer/parts": "both"}, {**_PROJECTED, "method": "projected"}],
        [{**_GOOD, "method": "finetune"}, {**_PROJECTED, "method": "projected"}],
        methods=("finetune", "projected"),
    ),
    "conditional": Space(
        conditional,
        _MINUTES,
        [{**_GOOD, **_BY_NORM, "transfer/parts": "both"}],
        [{**rates, **_BY_NORM} for rates in _GOOD_FROM_SCRATCH],
        conditional=True,
    ),
    "transferring_gans": Space(
        transferring_gans,
        {"budget/images": 1_600_000, "budget/eval_every_images": 80_000, "budget/eval_growth": 1},
    ),
    "limited_data": Space(
        limited_data,
        _MINUTES,
        [{**_GOOD, **_PLAIN, "transfer/parts": "both"}],
        [{**rates, **_SCRATCH_PLAIN} for rates in _GOOD_FROM_SCRATCH],
    ),
    "source_by_parts": Space(
        source_by_parts,
        {**_SMALL, **_GOOD, "budget/images": 25_600, "budget/eval_every_images": 6_400, "budget/eval_growth": 1},
    ),
    "translation": Space(
        translation,
        {"budget/images": 8_000, "budget/eval_every_images": 2_000, "budget/eval_growth": 2},
        [
            {"method": "untranslated"},
            {"method": "cyclegan", "training/lr": 2e-4, "weights/cycle": 10.0, "weights/identity": 0.5},
            {"method": "unit", "training/lr": 2e-4, "weights/cycle": 10.0, "weights/code": 0.01},
            {"method": "direct", "training/lr": 2e-4},
        ],
        methods=("cyclegan", "unit", "direct", "untranslated"),
    ),
    "fewshot": Space(
        fewshot,
        {"budget/images": 24_000, "budget/eval_every_images": 6_000, "budget/eval_growth": 2},
        [
            *({"method": method} for method in UNTRAINED),
            *({"method": method, "training/lr": 5e-4} for method in ("f2gan", "matchinggan", "dagan")),
            {"method": "figr", "training/lr": 1e-4, "adaptation/rate": 1e-3, "meta": "reptile"},
            {"method": "joint", "training/lr": 1e-4, "adaptation/rate": 1e-3},
            {"method": "gmn", "training/lr": 1e-3},
        ],
        methods=FEWSHOT,
    ),
    UNVARIED: Space(unvaried),
}
