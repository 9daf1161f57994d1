"""Makes docs/example-report.html: python -m benchmarks.making.example_report [HOME]

It runs two small searches over icons and digits that come with pip packages: one for phosphor, a grid of sources,
networks, target-set sizes and seeds; one for remix, with a sampler and early stopping. They take about 12 minutes of
one quiet core; an interrupted run goes on when called again with the same HOME.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import optuna

from analysis.report import write_report
from benchmarks.setting_up import add_builtin
from search.launch import begin, resolve_study
from search.records.study import open_study
from search.running.tune import run_study
from spaces.config import SCRATCH
from trainables.storage.home import Home
from verbs.reports import exhibited, read

OUTPUT = Path(__file__).parents[2] / "docs" / "example-report.html"
IMAGES, EVERY = 2_400, 800
"""Real images that the critic is shown in a trial of the grid, and from one evaluation to the next."""
TARGET_IMAGES = 1_000
"""The largest target set, in images."""


def questions(trial: optuna.Trial, *, sources: Sequence[str], train_images: int) -> None:
    """Suggest the grid of 20 trials, with two seeds each.

    It asks what to transfer at 1,000 target images, and how mdi and scratch do at three sizes of the target set.
    """
    source = trial.suggest_categorical("source", [*sources, SCRATCH])
    for name, value in (("batch", 32), ("ema_halflife_images", 1_000), ("lr_g", 1e-3), ("lr_d", 1e-3)):
        trial.suggest_categorical(f"optim/{name}", [value])
    trial.suggest_int("seed", 0, 1)
    smallest = 100 if source in ("mdi", SCRATCH) else TARGET_IMAGES
    size = trial.suggest_int("data/target_images", smallest, TARGET_IMAGES, step=450)
    if source == "mdi" and size == TARGET_IMAGES:
        trial.suggest_categorical("transfer/parts", ["generator", "discriminator", "both"])


def studies(home: Home) -> list[str]:
    """Run both searches, or what is left of them, and give their names."""
    add_builtin(home, "phosphor", "remix")
    grid = resolve_study(
        home,
        "phosphor",
        f"{__file__}:questions",
        name="phosphor-questions",
        sources="mdi,twemoji,mnist",
        max_images=IMAGES,
        sampler="grid",
        early_stopping=False,
        concurrency=1,
        threads_per_trial=1,
    ).spec
    budget = grid.base.budget.model_copy(update={"eval_every_images": EVERY})
    grid = grid.model_copy(update={"base": grid.base.model_copy(update={"budget": budget})})
    search = resolve_study(
        home,
        "remix",
        "quickstart",
        name="remix-quickstart",
        sources="mdi,twemoji,mnist",
        target_images=TARGET_IMAGES,
        max_images=3_600,
        trials=14,
        concurrency=1,
        threads_per_trial=1,
    ).spec
    names = [begin(home, spec) for spec in (search, grid)]
    for name in names:
        run_study(home, *open_study(home, name))
    return names


if __name__ == "__main__":
    where = Home.make(Path(sys.argv[1] if sys.argv[1:] else "~/.cache/understock-example"))
    found = read(where, studies(where))
    with exhibited(found) as shown:
        print(write_report(shown, OUTPUT))
