"""Training a source model of a domain: a trial from scratch whose last state goes on the shelf."""

import datetime
import shutil
import sys
from collections.abc import Iterator

import numpy as np
import torch

from spaces.config import TrialConfig
from spaces.errors import lookup
from spaces.presets import PRESETS
from trainables.checkpoints import TrialFiles, last_state
from trainables.devices import best_device, native_precision
from trainables.domains import open_domain
from trainables.home import Home, only_process
from trainables.progress import progress, watch
from trainables.sources import SourceError, SourceFacts, check_new, save_source
from trainables.training import Evaluation
from trainables.trial import run_trial
from trainables.weights import read_tensors


def train_source(
    home: Home,
    domain: str,
    name: str,
    preset: str | None = None,
    *,
    max_images: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    replace: bool = False,
) -> SourceFacts:
    """Train a source model of `domain` from scratch by a preset, and put it on the shelf; shows its progress.

    Without a preset it takes "paper" where there is a CUDA device, else "small". Goes on where an earlier call with the
    same settings was cut off. Raises SourceError if the name is taken and not to be replaced, if another process trains it,
    or if the training diverged; UserError for settings that won't do.
    """
    check_new(home, name, replace=replace)
    config = _config(home, domain, preset, max_images, seed)
    if threads:
        torch.set_num_threads(threads)
    files = _training_files(home, name)
    busy = f"source model {name!r} is being trained by another process; wait for it, or give this one another --name"
    with only_process(files.folder, busy):
        last = _train(config, home, name, files)
        facts = _shelve(home, name, config, files, last)
        shutil.rmtree(files.folder)
    return facts


def _train(config: TrialConfig, home: Home, name: str, files: TrialFiles) -> Evaluation:
    """Train to the end of the budget, or from the last checkpoint to there; gives the last evaluation."""
    steps = -(-config.budget.images // (config.optim.batch * config.loss.n_critic))
    last: Evaluation | None = None
    with progress(f"training {name}", "iterations") as report:

        def watched(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
            return watch(batches, report, steps, last.iterations if last else 0)

        for last in run_trial(config, home, files, best_device(), watched):
            _say(last)
            if last.status == "diverged":
                shutil.rmtree(files.folder)
                raise SourceError(
                    f"source model {name!r} diverged after {last.images_seen:,} images; try another --seed or --preset"
                )
    assert last is not None, "a trial has at least one evaluation"
    return last


def _config(home: Home, domain: str, preset: str | None, max_images: int | None, seed: int) -> TrialConfig:
    preset = preset or ("paper" if best_device().type == "cuda" else "small")
    values = lookup(PRESETS, "preset", preset)(domain, open_domain(home, domain).facts.resolution).model_dump()
    if max_images is not None:
        values["budget"] = {"images": max_images, "eval_every_images": max(1, max_images // 4)}
    values["optim"]["precision"] = native_precision(best_device())
    return TrialConfig.parse(values | {"seed": seed}, f"source model of {domain!r}")


def _say(evaluation: Evaluation) -> None:
    scores = ", ".join(f"{metric} {value:.4g}" for metric, value in evaluation.metrics.items())
    print(f"{evaluation.images_seen:,} images: {scores or evaluation.status}", file=sys.stderr)


def _training_files(home: Home, name: str) -> TrialFiles:
    """Where a source model in training keeps its state; hidden, so that it is not on the shelf."""
    folder = home.source(name).with_name(f".training-{name}")
    return TrialFiles(folder, folder / "samples")


def _shelve(home: Home, name: str, config: TrialConfig, files: TrialFiles, last: Evaluation) -> SourceFacts:
    """The averaged generator and the critic of a finished training, as a source model."""
    domain = open_domain(home, config.target).facts
    state = last_state(files)
    critic = {key.removeprefix("discriminator."): t for key, t in state.items() if key.startswith("discriminator.")}
    latest = max(files.samples.glob("*.png"), key=lambda path: path.name)
    return save_source(
        home.source(name),
        {
            "name": name,
            "network": config.network.model_dump(),
            "domain": config.target,
            "images": domain.train,
            "classes": domain.classes,
            "images_per_class": domain.train / domain.classes,
            "images_seen": last.images_seen,
            "scores": dict(last.metrics),
            "protocol": dict(last.record),
            "origin": f"trained by understock: {config.model_dump_json(exclude_defaults=True)}",
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
        {"generator": read_tensors(files.generator)[0], "discriminator": critic},
        latest.read_bytes(),
    )
