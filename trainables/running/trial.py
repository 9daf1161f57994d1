"""One trial from its config to its last evaluation, resumable at each: what a worker runs, with or without Ray."""

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch

from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.images.domains import Domain
from trainables.images.grids import BY_CLASS, GRID_IMAGES, class_grid, image_grid
from trainables.methods.method import unfit
from trainables.methods.registry import method_of
from trainables.metrics.context import EvalContext
from trainables.metrics.features import load_extractor
from trainables.metrics.metrics import measure
from trainables.running.given import gather
from trainables.storage.home import Home, fetch, writing
from trainables.training.checkpoints import make_good, restore, save, together
from trainables.training.learner import Learner, images_seen
from trainables.training.loop import Evaluation, Progress, Spent, train
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles


def run_trial(
    config: TrialConfig,
    home: Home,
    files: TrialFiles,
    device: torch.device,
    planned: Mapping[str, str] | None = None,
) -> Iterator[Progress | Evaluation]:
    """Train `config`, yielding evaluations, and between them its progress; what was evaluated before comes first.

    Each evaluation is on disk before it comes out: kill the process at any moment, call again, and on the CPU the
    numbers equal an unbroken run's, bit for bit. A damaged checkpoint counts as missing, and the next evaluation's record
    has a "note" of it.
    `planned` has the digests of the data that the trial was planned with, as `gather` takes them.
    UserError if the config does not fit what is there, ChangedDataError if that is not what was planned; TrialBusyError if
    another process still trains the trial.
    """
    group = Group.current()
    with files.locked() if group.rank == 0 else nullcontext():
        method, given = method_of(config.method), gather(config, home, planned)
        if reason := unfit(method, given):
            raise UserError(f"method {config.method!r} can't be used: {reason}")
        if group.rank == 0:
            fetch(files.folder)
        learner = method.build(config, given, device, group)
        # One reads and tells the others: on another node the file may still look as it was before.
        restored, note = restore(learner, files, config) if group.rank == 0 else ([], None)
        history = together(learner, restored, group)
        if history and group.rank == 0:
            make_good(learner, files, history, config)
        yield from history
        if history and history[-1].status != "running":
            return
        spent = Spent(history[-1].train_seconds, history[-1].wall_seconds) if history else None
        evaluate = Evaluator(config, given.target, home, files, device, group)
        batches = method.batches(config, given, learner.iterations, device)
        for item in train(learner, batches, config.budget, evaluate, spent):
            if isinstance(item, Progress):
                yield item
                continue
            evaluation, note = _with_note(_judged(item, config, group), note), None
            history.append(evaluation)
            if group.rank == 0:
                save(learner, files, history, config)
            group.meet()
            yield evaluation
            if evaluation.status == "diverged":
                return


def _with_note(evaluation: Evaluation, note: str | None) -> Evaluation:
    return replace(evaluation, record={**evaluation.record, "note": note}) if note else evaluation


def _judged(evaluation: Evaluation, config: TrialConfig, group: Group) -> Evaluation:
    """The evaluation, diverged where it has no score: its first metric is no finite number."""
    return replace(evaluation, status="diverged") if _has_no_score(evaluation, config, group) else evaluation


def _has_no_score(evaluation: Evaluation, config: TrialConfig, group: Group) -> bool:
    """Whether rank 0, which measures, found a first metric that is no finite number; the others wait for its word."""
    value = evaluation.metrics.get(config.protocol.metrics[0], 0.0)
    return bool(group.from_first(b"" if math.isfinite(value) else b"none"))


class Evaluator:
    """Scores a learner by the trial's protocol, and leaves a grid of its samples, from the same z in every trial.

    At a rung it measures what a scheduler goes by, and no more: the protocol's first metrics, of as few images as the
    protocol allows there. All of it is measured at the trial's end.
    """

    def __init__(
        self, config: TrialConfig, domain: Domain, home: Home, files: TrialFiles, device: torch.device, group: Group
    ) -> None:
        self._protocol, self._domain, self._folder = config.protocol, domain, home.domain(domain.facts.name)
        self._trained_on = domain.chosen(config.data)
        self._left_out = self._trained_on if config.data.shots else None
        self._mirrors = config.mirrors
        self._files, protocol = files, config.protocol
        self._extractor = (
            load_extractor(protocol.extractor, protocol.input_size, home, device) if group.rank == 0 else None
        )

    def __call__(self, learner: Learner, last: bool) -> tuple[dict[str, float], dict[str, Any]]:
        """Metrics and their record, on rank 0; nothing on other workers."""
        if self._extractor is None:
            return {}, {}
        protocol, drawn, at_rung = self._protocol, self._protocol.n_fake, self._protocol.n_rung
        if at_rung is not None and not last:
            protocol = protocol.model_copy(update={"metrics": protocol.metrics[: protocol.at_rungs]})
            drawn = min(drawn, at_rung)
        if not last:
            protocol = protocol.without_classes()
        samples = learner.sample(drawn, protocol.seed)
        with writing(self._files.samples / f"{images_seen(learner):09d}.png") as beside:
            image_grid(samples.images[:GRID_IMAGES].numpy()).save(beside, format="png")
        if last and samples.labels is not None:
            with writing(self._files.samples / f"{BY_CLASS}{images_seen(learner):09d}.png") as beside:
                class_grid(samples.images.numpy(), samples.labels.numpy()).save(beside, format="png")
        about = self._domain, self._folder, protocol, self._extractor
        measured = measure(EvalContext(samples, *about, self._trained_on, self._left_out, self._mirrors))
        return dict(measured.values), {**measured.record, "origin": learner.origin}
