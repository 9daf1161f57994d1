"""One trial from its config to its last evaluation, resumable at each: what a worker runs, with or without Ray."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from spaces.config import SCRATCH, Network, TrialConfig
from spaces.errors import UserError, lookup
from trainables.domains import BatchOrder, Domain, open_domain
from trainables.features import load_extractor
from trainables.grids import image_grid
from trainables.home import Home, writing
from trainables.methods import finetune
from trainables.metrics import EvalContext, measure
from trainables.networks import Generator
from trainables.parallel import Group
from trainables.sources import open_source
from trainables.training import Evaluation, Learner, Spent, train
from trainables.weights import dump_tensors, read_tensors, write_tensors

METHODS = {"finetune": finetune.build}
"""How a learner is built from config, source model, device and worker group."""

GRID_IMAGES = 64

Watch = Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]]


@dataclass(frozen=True)
class TrialFiles:
    """Where a trial leaves what it makes."""

    folder: Path
    samples: Path

    @property
    def checkpoint(self) -> Path:
        """The learner's state after the last evaluation, and all evaluations so far."""
        return self.folder / "checkpoint.safetensors"

    @property
    def generator(self) -> Path:
        """The averaged generator of the last evaluation that has a score, ready to sample from."""
        return self.folder / "generator.safetensors"

    @property
    def error(self) -> Path:
        """The traceback of a failed trial."""
        return self.folder / "error.txt"


def run_trial(
    config: TrialConfig, home: Home, files: TrialFiles, device: torch.device, watch: Watch = iter
) -> Iterator[Evaluation]:
    """Train `config`, yielding evaluations; what was evaluated before comes first, and is not trained again.

    Each evaluation is on disk before it comes out: kill the process at any moment, call again, and on the CPU the
    numbers equal an unbroken run's, bit for bit. `watch` may wrap the iterator of batches, to count them.
    UserError if the config does not fit what is there.
    """
    group = Group.current(config.optim.batch)
    domain = open_domain(home, config.target)
    source = None if config.source == SCRATCH else open_source(home, config.source)
    learner = lookup(METHODS, "method", config.method)(config, source, device, group)
    # One reads and tells the others: on another node the file may still look as it was before.
    history = together(learner, restore(learner, files.checkpoint, config) if group.rank == 0 else [], group)
    yield from history
    if history and history[-1].status != "running":
        return
    spent = Spent(history[-1].train_seconds, history[-1].wall_seconds) if history else Spent()
    evaluate = Evaluator(config, domain, home, files, device, group)
    for evaluation in train(learner, watch(_batches(config, domain, learner)), config.budget, evaluate, spent):
        history.append(evaluation)
        if group.rank == 0:
            save(learner, files, history, config)
        group.meet()
        yield evaluation


def _batches(config: TrialConfig, domain: Domain, learner: Learner) -> Iterator[np.ndarray]:
    """uint8 (images_per_iteration, 3, R, R) from where the learner stands, without end."""
    if domain.facts.resolution != config.network.resolution:
        raise UserError(
            f"domain {domain.facts.name!r} has {domain.facts.resolution} pixels, the network {config.network.resolution}; "
            "add the domain again with the network's --resolution"
        )
    subset = domain.subset(config.data.target_images, config.data.seed)
    order = BatchOrder(subset, learner.images_per_iteration, config.seed)
    number = learner.iterations
    while True:
        yield domain.images[order(number)]
        number += 1


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


def save(learner: Learner, files: TrialFiles, history: list[Evaluation], config: TrialConfig) -> None:
    """Write the generator, then the checkpoint: learner state, config and history in one file, renamed into place.

    A diverged trial keeps the generator of the evaluation before, if there was one.
    """
    state = learner.state_dict()
    about = {"config": config.model_dump_json(), "history": json.dumps([item.as_dict() for item in history])}
    average = {name.removeprefix("average."): t for name, t in state.items() if name.startswith("average.")}
    if history[-1].status != "diverged":
        with writing(files.generator) as beside:
            write_tensors(average, beside, {"network": config.network.model_dump_json(), "config": about["config"]})
    with writing(files.checkpoint) as beside:
        write_tensors(state, beside, about)


def restore(learner: Learner, checkpoint: Path, config: TrialConfig) -> list[Evaluation]:
    """Load a checkpoint into `learner`, if there is one, and return its evaluations; UserError if it is another config's."""
    if not checkpoint.is_file():
        return []
    try:
        state, about = read_tensors(checkpoint)
    except UserError as error:
        raise UserError(f"{error}; or remove it, and the trial starts again") from None
    if TrialConfig.model_validate_json(about["config"]) != config:
        raise UserError(f"{checkpoint} is of another configuration; remove it, and the trial starts again")
    learner.load_state_dict(state)
    return _history(about)


def together(learner: Learner, history: list[Evaluation], group: Group) -> list[Evaluation]:
    """Give all workers the first one's state and history, so that they start as one."""
    if group.size == 1:
        return history
    state = group.from_first(dump_tensors(learner.state_dict()) if group.rank == 0 else b"")
    about = group.from_first(json.dumps([item.as_dict() for item in history]).encode())
    if group.rank > 0:
        learner.load_state_dict(safetensors.torch.load(state))
    return _history({"history": about.decode()})


def recorded(checkpoint: Path) -> list[Evaluation]:
    """The evaluations that a trial's checkpoint holds; none if there is no whole checkpoint."""
    try:
        return _history(read_tensors(checkpoint)[1])
    except UserError:
        return []


def _history(about: Mapping[str, str]) -> list[Evaluation]:
    return [Evaluation(**item) for item in json.loads(about["history"])]


def load_generator(path: Path) -> Generator:
    """The generator that a trial left, in eval mode with its standing statistics: ready for `networks.sample`."""
    tensors, about = read_tensors(path)
    generator = Generator(Network.model_validate_json(about["network"]))
    generator.load_state_dict(tensors)
    return generator.eval().to(memory_format=torch.channels_last)  # as in training: sums in the same order
