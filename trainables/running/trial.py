"""One trial from its config to its last evaluation, resumable at each: what a worker runs, with or without Ray."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spaces.config import SCRATCH, Network, TrialConfig
from spaces.errors import UserError, lookup
from trainables.images.batches import batches
from trainables.images.domains import Domain, open_domain
from trainables.images.grids import GRID_IMAGES, image_grid
from trainables.machine.progress import watch as watched
from trainables.methods.finetuning import finetune
from trainables.metrics.features import load_extractor
from trainables.metrics.metrics import EvalContext, measure
from trainables.networks.resnet import Generator
from trainables.sources.shelf import open_source
from trainables.storage.home import Home, fetch, writing
from trainables.storage.weights import read_tensors
from trainables.training.checkpoints import restore, save, together
from trainables.training.loop import Evaluation, Learner, Spent, train
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles

METHODS = {"finetune": finetune.build}
"""How a learner is built from config, source model, device and worker group."""

Watch = Callable[[Iterator[Tensor]], Iterator[Tensor]]


def run_trial(
    config: TrialConfig, home: Home, files: TrialFiles, device: torch.device, watch: Watch = iter
) -> Iterator[Evaluation]:
    """Train `config`, yielding evaluations; what was evaluated before comes first, and is not trained again.

    Each evaluation is on disk before it comes out: kill the process at any moment, call again, and on the CPU the
    numbers equal an unbroken run's, bit for bit. A damaged checkpoint counts as missing, and the next evaluation's record
    has a "note" of it. `watch` may wrap the iterator of batches, to count them.
    UserError if the config does not fit what is there; TrialBusyError if another process still trains the trial.
    """
    group = Group.current(config.optim.batch)
    with files.locked() if group.rank == 0 else nullcontext():
        domain = open_domain(home, config.target)
        source = None if config.source == SCRATCH else open_source(home, config.source)
        if group.rank == 0:
            fetch(files.folder)
        learner = lookup(METHODS, "method", config.method)(config, source, device, group)
        # One reads and tells the others: on another node the file may still look as it was before.
        restored, note = restore(learner, files, config) if group.rank == 0 else ([], None)
        history = together(learner, restored, group)
        yield from history
        if history and history[-1].status != "running":
            return
        spent = Spent(history[-1].train_seconds, history[-1].wall_seconds) if history else Spent()
        evaluate = Evaluator(config, domain, home, files, device, group)
        for evaluation in train(
            learner, watch(_batches(config, domain, learner, device)), config.budget, evaluate, spent
        ):
            if note:
                evaluation, note = replace(evaluation, record={**evaluation.record, "note": note}), None
            if _has_no_score(evaluation, config, group):
                evaluation = replace(evaluation, status="diverged")
            history.append(evaluation)
            if group.rank == 0:
                save(learner, files, history, config)
            group.meet()
            yield evaluation
            if evaluation.status == "diverged":
                return


def counted_trial(
    config: TrialConfig, home: Home, files: TrialFiles, device: torch.device, report: Callable[[int], None]
) -> Iterator[Evaluation]:
    """What `run_trial` yields; `report` is told of each iteration that begins, by its number from 1."""
    last: Evaluation | None = None

    def counted(batches: Iterator[Tensor]) -> Iterator[Tensor]:
        return watched(batches, lambda done, _: report(done), 0, last.iterations if last else 0)

    for last in run_trial(config, home, files, device, counted):
        yield last


def _has_no_score(evaluation: Evaluation, config: TrialConfig, group: Group) -> bool:
    """Whether rank 0, which measures, found a first metric that is no finite number; the others wait for its word."""
    value = evaluation.metrics.get(config.protocol.metrics[0], 0.0)
    return bool(group.from_first(b"" if math.isfinite(value) else b"none"))


def _batches(config: TrialConfig, domain: Domain, learner: Learner, device: torch.device) -> Iterator[Tensor]:
    """uint8 (images_per_iteration, 3, R, R) from where the learner stands, without end."""
    if domain.facts.resolution != config.network.resolution:
        raise UserError(
            f"domain {domain.facts.name!r} has {domain.facts.resolution} pixels, the network {config.network.resolution}; "
            "add the domain again with the network's --resolution"
        )
    rows = domain.subset(config.data.target_images, config.data.seed)
    return batches(
        domain, rows, learner.images_per_iteration, seed=config.seed, first=learner.iterations, device=device
    )


class Evaluator:
    """Scores a learner by the trial's protocol, and leaves a grid of its samples, from the same z in every trial."""

    def __init__(
        self, config: TrialConfig, domain: Domain, home: Home, files: TrialFiles, device: torch.device, group: Group
    ) -> None:
        self._protocol, self._domain, self._folder = config.protocol, domain, home.domain(domain.facts.name)
        self._files, self._device, self._group = files, device, group
        protocol = config.protocol
        self._extractor = (
            load_extractor(protocol.extractor, protocol.input_size, home, device) if group.rank == 0 else None
        )

    def __call__(self, learner: Learner) -> tuple[dict[str, float], dict[str, Any]]:
        """Metrics and their record, on rank 0; nothing on other workers."""
        if self._extractor is None:
            return {}, {}
        samples = learner.sample(self._protocol.n_fake, self._protocol.seed).numpy()
        with writing(self._files.samples / f"{learner.images_seen:09d}.png") as beside:
            image_grid(samples[:GRID_IMAGES]).save(beside, format="png")
        context = EvalContext(samples, self._domain, self._folder, self._protocol, self._extractor, self._device)
        measured = measure(context)
        return dict(measured.values), {**measured.record, "origin": learner.origin}


def load_generator(path: Path) -> Generator:
    """The generator that a trial left, in eval mode with its standing statistics: ready for `networks.sample`."""
    tensors, about = read_tensors(path)
    generator = Generator(Network.model_validate_json(about["network"]))
    generator.load_state_dict(tensors)
    return generator.eval().to(memory_format=torch.channels_last)  # as in training: sums in the same order
