"""What the table of transfer records: an exhaustive grid, as studies of some twenty trials each.

A study is one target at one pair of learning rates, one seed and one budget; its trials are every source with every choice of
networks, and scratch. They stand in waves, the four targets after each other in each, so that what is recorded at any time
is a grid of its own: first one pair of rates, then the diagonal, then the rest, then second seeds and longer budgets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from spaces.config import SCRATCH
from spaces.suggest import Space

TARGETS = ("cats", "insects", "nature_scenes", "structures")
PHOTOS = ("cats", "dogs", "hoofed", "insects", "nature_scenes", "structures")
"""Domains of ../shared/domains, each a source model too."""
ICONS = "mdi"
"""A builtin source model."""

RESOLUTION = 32
SOURCE_IMAGES = 112_000
"""Shown to a source model's critic in its training."""
TARGET_IMAGES = 500
IMAGES = 6_144
EVALUATIONS = 8
LONGER = 4
"""Times as many images, for the cells of the longest budget."""

MIDDLE, LOW, HIGH = 1_000, 300, 3_000
"""Learning rates, in millionths."""


@dataclass(frozen=True)
class Wave:
    """One pair of learning rates at one seed and budget: a study for each target."""

    lr_g: int
    lr_d: int
    seed: int = 0
    images: int = IMAGES
    as_is: bool = False
    """Whether its studies have the sources as they are; once is enough."""

    @property
    def key(self) -> str:
        """As it stands in the name of a study."""
        return f"g{self.lr_g}-d{self.lr_d}-s{self.seed}-n{self.images}"

    def study(self, target: str) -> str:
        """The name of its study for this target."""
        return f"recorded-{target}-{self.key}"


WAVES: Sequence[Wave] = (
    Wave(MIDDLE, MIDDLE, as_is=True),
    *(Wave(g, d) for g, d in ((LOW, LOW), (HIGH, HIGH), (LOW, MIDDLE), (MIDDLE, LOW))),
    Wave(MIDDLE, MIDDLE, seed=1),
    *(Wave(g, d) for g, d in ((HIGH, MIDDLE), (MIDDLE, HIGH), (LOW, HIGH), (HIGH, LOW))),
    *(Wave(rate, rate, images=LONGER * IMAGES) for rate in (MIDDLE, LOW)),
    *(Wave(rate, rate, seed=1) for rate in (LOW, HIGH)),
)


def sources_of(target: str) -> list[str]:
    """The source models that this target is tried with."""
    return [name for name in PHOTOS if name != target] + [ICONS]


def space_of(wave: Wave) -> Space:
    """The search space whose grid is the wave's trials."""

    def cells(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
        source = trial.suggest_categorical("source", [*sources, SCRATCH])
        if source == SCRATCH:
            return
        methods = ["finetune", "as_is"] if wave.as_is else ["finetune"]
        if trial.suggest_categorical("method", methods) == "finetune":
            trial.suggest_categorical("transfer/parts", ["generator", "discriminator", "both"])

    common: Mapping[str, Any] = {
        "optim/lr_g": wave.lr_g / 1e6,
        "optim/lr_d": wave.lr_d / 1e6,
        "optim/batch": 32,
        "optim/ema_halflife_images": 1_000,
        "loss/n_critic": 2,
        "augment/flip": True,
        "seed": wave.seed,
        "budget/images": wave.images,
        "budget/eval_every_images": IMAGES // EVALUATIONS,
        "budget/eval_growth": 1,
    }
    return Space(cells, common)


def trials_of(wave: Wave, target: str) -> int:
    """How many trials its study for this target has."""
    return len(sources_of(target)) * (4 if wave.as_is else 3) + 1
