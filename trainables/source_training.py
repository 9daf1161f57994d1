"""Training a source model of a domain: a trial from scratch whose last state goes on the shelf."""

import datetime
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from spaces.config import TrialConfig
from trainables.domains import open_domain
from trainables.home import Home, only_process
from trainables.progress import progress
from trainables.sources import SourceError, SourceFacts, check_new, save_source
from trainables.training import Evaluation
from trainables.trial import TrialFiles
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
    workers: int = 1,
    gpus_per_worker: float | None = None,
    address: str | None = None,
) -> SourceFacts:
    """Train a source model of `domain` from scratch by a preset, and put it on the shelf; shows its progress.

    Without a preset it takes "paper" where there is a CUDA device, else "small". Goes on where an earlier call with the
    same settings was cut off, with as many workers as now are asked for. More than one, or an `address`, goes through Ray
    Train. Raises SourceError if the name is taken and not to be replaced, if another process trains it, or if the training
    diverged; UserError for settings that won't do.
    """
    check_new(home, name, replace=replace)
    place = _place(workers, threads, gpus_per_worker, address)
    config = _config(home, domain, preset, max_images, seed, place)
    files = _training_files(home, name)
    busy = f"source model {name!r} is being trained by another process; wait for it, or give this one another --name"
    with only_process(files.folder, busy):
        last = _train(config, home, name, files, place)
        facts = _shelve(home, name, config, files, last)
        shutil.rmtree(files.folder)
    return facts


@dataclass(frozen=True)
class _Place:
    """Where a source model is trained: in this process, or by `workers` of the Ray cluster at `address`."""

    workers: int
    threads: int
    gpus: float
    """Of each worker."""
    address: str | None

    @property
    def here(self) -> bool:
        return self.workers == 1 and self.address is None

    @property
    def device(self) -> torch.device:
        return torch.device("cuda" if self.gpus else "cpu")


def _place(workers: int, threads: int | None, gpus: float | None, address: str | None) -> _Place:
    """Fill in what a user left open, from this machine: a GPU each if it has so many, all cores shared out."""
    if gpus is None:
        gpus = 1.0 if 0 < workers <= torch.cuda.device_count() else 0.0
    return _Place(workers, threads or max(1, len(os.sched_getaffinity(0)) // workers), gpus, address)


def _train(config: TrialConfig, home: Home, name: str, files: TrialFiles, place: _Place) -> Evaluation:
    """Train to the end of the budget, or from the last checkpoint to there; gives the last evaluation."""
    last: Evaluation | None = None
    with progress(f"training {name}", "iterations") as report:
        for last in _evaluations(config, home, files, place, report):
            _say(last)
    assert last is not None, "a trial has at least one evaluation"
    if last.status == "diverged":
        shutil.rmtree(files.folder)
        raise SourceError(
            f"source model {name!r} diverged after {last.images_seen:,} images; try another --seed or --preset"
        )
    return last


def _evaluations(
    config: TrialConfig, home: Home, files: TrialFiles, place: _Place, report: Callable[[int, int], None]
) -> Iterator[Evaluation]:
    steps = -(-config.budget.images // (config.optim.batch * config.loss.n_critic))
    if place.here:
        torch.set_num_threads(place.threads)
        yield from counted_trial(config, home, files, place.device, lambda done: report(done, steps))
    else:
        from trainables.source_workers import evaluations_of_workers  # Ray takes seconds to import

        workers = (place.workers, place.threads, place.gpus)
        yield from evaluations_of_workers(config, home, files, workers, place.address, lambda done: report(done, steps))


def counted_trial(
    config: TrialConfig, home: Home, files: TrialFiles, device: torch.device, report: Callable[[int], None]
) -> Iterator[Evaluation]:
    """What `run_trial` yields; `report` is told of each iteration that begins, by its number from 1."""
    last: Evaluation | None = None

    def counted(batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        return watch(batches, lambda done, _: report(done), 0, last.iterations if last else 0)

    for last in run_trial(config, home, files, device, counted):
        yield last


def _config(
    home: Home, domain: str, preset: str | None, max_images: int | None, seed: int, place: _Place
) -> TrialConfig:
    preset = preset or ("paper" if place.gpus else "small")
    values = lookup(PRESETS, "preset", preset)(domain, open_domain(home, domain).facts.resolution).model_dump()
    if max_images is not None:
        values["budget"] = {"images": max_images, "eval_every_images": max(1, max_images // 4)}
    # Of a cluster only the GPUs' kind is a guess; all that Ray's own images name have bfloat16.
    values["optim"]["precision"] = "bfloat16" if place.address and place.gpus else native_precision(place.device)
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
    state = read_tensors(files.checkpoint)[0]
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
