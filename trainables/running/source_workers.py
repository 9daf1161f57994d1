"""Training a source model on several workers: their evaluations and their progress, brought to the process that asked."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
import ray
import ray.train
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial_json
from trainables.cluster.connection import connected, remove_orphaned_groups
from trainables.cluster.crew import Crew
from trainables.cluster.room import AUTOSCALER_PATIENCE, Room
from trainables.cluster.workers import CrewLostError, fit
from trainables.machine.devices import use_cores
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.training.loop import Evaluation, Progress
from trainables.training.trial_files import TrialFiles

RETRIES = 3
"""How often the workers are started again after a loss, without an evaluation in between."""

_TOLD_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class _Job:
    config: str
    home: str
    folder: str
    """Of the training's files, as a path inside the home."""
    samples: str
    """Of its pictures, likewise."""
    crew: Crew


class _News:
    """An actor beside the process that asked: how far the workers are."""

    def __init__(self) -> None:
        self._evaluations: list[dict[str, Any]] = []
        self._progress: Progress | None = None

    def begun(self, progress: Progress) -> None:
        self._progress = progress

    def evaluated(self, evaluation: dict[str, Any]) -> None:
        if not self._evaluations or evaluation["images_seen"] > self._evaluations[-1]["images_seen"]:
            self._evaluations.append(evaluation)

    def since(self, evaluations: int) -> tuple[Progress | None, list[dict[str, Any]]]:
        """The latest progress, and the evaluations after the first `evaluations`."""
        return self._progress, self._evaluations[evaluations:]


def items_of_workers(
    config: TrialConfig, home: Home, files: TrialFiles, crew: Crew, address: str | None
) -> Iterator[Progress | Evaluation]:
    """What `run_trial` yields, trained by `crew` on the Ray cluster at `address`, or on one of our own.

    Progress comes now and then. Ends the workers when closed or interrupted. UserError if there is no such cluster or no
    room, or if the workers are lost again and again; an error of the training comes out as it was.
    """
    folder, samples = (str(path.relative_to(home.root)) for path in (files.folder, files.samples))
    job = _Job(config.model_dump_json(), str(home), folder, samples, crew)
    go_on = "the same command goes on"
    with connected(address, crew.workers * crew.threads, files.folder / "ray.log", go_on=go_on):
        way_out = f"take fewer or smaller workers, or add nodes; then {go_on}"
        room = Room(crew, f"training on {config.target!r}", AUTOSCALER_PATIENCE if address else 0.0, way_out)
        room.wait()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        news: Any = ray.remote(_News).options(num_cpus=0, scheduling_strategy=here).remote()
        training = _Training(lambda: fit(_work, {"job": job, "news": news}, crew, files.folder / "workers"), news)
        try:
            yield from _items(training, news, room)
        finally:
            training.leave()


def _items(training: "_Training", news: Any, room: Room) -> Iterator[Progress | Evaluation]:
    """What the workers tell, until the training ends; UserError if the nodes that it had room on are gone for too long."""
    seen, told = 0, None
    while True:
        running = training.running  # before the news: what comes after is asked for once more
        progress, new = ray.get(news.since.remote(seen))
        if progress != told:
            told = progress
            yield progress
        yield from (Evaluation(**evaluation) for evaluation in new)
        seen += len(new)
        if not running:
            return training.result()
        room.check()
        time.sleep(_TOLD_EVERY_SECONDS)


class _Training:
    """Runs `fit` beside this thread, which Ctrl-C then interrupts and nothing of Ray's; starts it again after losses."""

    def __init__(self, fit: Callable[[], None], news: Any) -> None:
        self._fit, self._news = fit, news
        self._error: BaseException | None = None
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def leave(self) -> None:
        """Start nothing again from now on, and call nothing of Ray's: it is about to end here."""
        self._left.set()

    def result(self) -> None:
        """Raise what ended the training, if it did not come to its own end."""
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            self._persist()
        except BaseException as error:
            self._error = error

    def _persist(self) -> None:
        lost, known = 0, 0
        while True:
            try:
                return self._fit()
            except CrewLostError as error:
                if self._left.is_set() or not ray.is_initialized():
                    raise  # any call would start a Ray, or join whatever cluster was here last
                remove_orphaned_groups()
                evaluations = len(ray.get(self._news.since.remote(0))[1])
                lost, known = (1 if evaluations > known else lost + 1), evaluations
                if lost > RETRIES:
                    raise UserError(
                        f"training gave up: its workers were lost {lost} times without an evaluation in between ({error}); "
                        "the same command goes on"
                    ) from error
                print(f"workers lost ({error}); starting them again, {lost} of {RETRIES}", file=sys.stderr)


def _work(parameters: dict[str, Any]) -> None:
    """One of the workers; the first tells how far it is."""
    job, news = parameters["job"], parameters["news"]
    use_cores(job.crew.threads)
    config = parse_trial_json(job.config, "a training's job")
    home = Home.find(job.home)  # each node has its own mirror of one on an object store
    files = TrialFiles(home.root / job.folder, home.root / job.samples)
    first = ray.train.get_context().get_world_rank() == 0
    due = 0.0
    for item in run_trial(config, home, files, job.crew.device):
        if not first:
            continue
        if isinstance(item, Evaluation):
            ray.get(news.evaluated.remote(item.as_dict()))
        elif time.monotonic() >= due:
            due = time.monotonic() + _TOLD_EVERY_SECONDS
            news.begun.remote(item)
