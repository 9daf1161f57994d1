"""A study: one search over trials for one target, and the one place that knows its file names."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from spaces.errors import UserError
from spaces.protocol import METRICS, Direction
from spaces.records import Config, Name
from spaces.trials import AnyTrial
from trainables.storage.home import Home, fetch, has_process, only_process, writing

AtOnce = Annotated[int, Field(gt=0, le=10_000)]


class StudySpec(Config):
    """Everything that defines a search; written before anything runs, and never changed."""

    name: Name
    target: Name
    space: str
    """A name of `spaces.suggest.SPACES`, or FILE.py:FUNCTION."""
    trials: Annotated[int, Field(gt=0, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of the sampler. With concurrency 1, the same spec gives the same trials."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    early_stopping: bool = True
    """ASHA on images seen; without it every trial spends its whole budget."""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """ASHA keeps the best 1/reduction_factor at each rung."""
    concurrency: AtOnce = 1
    """Trials at once."""
    threads_per_trial: AtOnce = 1
    """CPU threads of each worker; numbers are bit-reproducible for equal threads."""
    workers_per_trial: AtOnce = 1
    """More than one goes through Ray Train."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    memory_per_trial: PositiveInt | None = None
    """Bytes that a trial's process may take, torch included; over it, the trial has failed."""
    sources: tuple[Name, ...]
    """The source models that the space may suggest, the best-ranked first."""
    train_images: PositiveInt
    """Of the target, that a trial may train on at most."""
    ranking: dict[str, float] = Field(default_factory=dict)
    """Of each source: the Frechet distance of its own samples to the target, before any training."""
    base: AnyTrial
    """The config that the space's suggestions are laid over; its protocol's first metric is what the search goes by."""
    digests: dict[str, str]
    """Of the target ("domain:NAME"), each source model ("source:NAME") and the user's own space ("space:FILE.py"), so that
    a resumed study can't mix data."""
    versions: dict[str, str]
    """Of understock, Python, torch, ray, optuna."""
    created: str
    max_seconds: PositiveFloat | None = None
    """Stop after so many seconds of searching; what is unfinished then can be resumed."""

    @property
    def metric(self) -> str:
        """The metric that the search goes by."""
        return self.base.protocol.metrics[0]

    @property
    def direction(self) -> Direction:
        """Which way it gets better."""
        return METRICS[self.metric].direction


@dataclass(frozen=True)
class StudyPaths:
    """Owns every file name of a study."""

    root: Path

    @classmethod
    def of(cls, home: Home, name: str) -> "StudyPaths":
        """The paths of a study that may not exist yet."""
        return cls(home.study(name))

    @property
    def spec(self) -> Path:
        """The StudySpec, as JSON."""
        return self.root / "study.json"

    @property
    def ranking(self) -> Path:
        """How the source models ranked for the target before any training, part by part: a Ranking, as JSON."""
        return self.root / "ranking.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal: which trials there are, their parameters, values and states."""
        return self.root / "optuna.journal"

    @property
    def ray(self) -> Path:
        """Ray Tune's own folder: logs and progress of the runs."""
        return self.root / "ray"

    @property
    def evaluations(self) -> Path:
        """One Parquet file a trial."""
        return self.root / "evaluations"

    def evaluation(self, trial: int) -> Path:
        """The rows of a trial."""
        return self.evaluations / f"{trial:05d}.parquet"

    def trial(self, trial: int) -> Path:
        """What a trial writes itself: its checkpoint, its best generator."""
        return self.root / "trials" / f"{trial:05d}"

    def samples(self, trial: int) -> Path:
        """PNG grids of the same z, one an evaluation, named by images seen: `000016000.png`."""
        return self.root / "samples" / f"{trial:05d}"

    @property
    def exhibits(self) -> Path:
        """Pictures that the report shows and torch had to make: source models' grids, nearest training images."""
        return self.root / "exhibits"

    @property
    def report(self) -> Path:
        """The report, one self-contained page."""
        return self.root / "report.html"

    def comparison(self, other: str) -> Path:
        """The report of this study and another one."""
        return self.root / f"compare-{other}.html"


def only_driver(paths: StudyPaths) -> AbstractContextManager[None]:
    """Nobody else works on the study inside the block; UserError if somebody does."""
    name = paths.root.name
    busy = f"study {name!r} is being run by another process; watch it with `understock status {name}`"
    return only_process(paths.root, busy)


def is_running(paths: StudyPaths) -> bool:
    """Whether a process of this machine, or of one that mounts the same folder, works on the study now."""
    return has_process(paths.root)


def write_spec(paths: StudyPaths, spec: StudySpec) -> None:
    """Write study.json; the study exists from here on."""
    with writing(paths.spec) as beside:
        beside.write_text(spec.model_dump_json(indent=1) + "\n")


def open_study(home: Home, name: str) -> tuple[StudyPaths, StudySpec]:
    """The paths and the spec of an existing study; UserError that lists the known ones otherwise."""
    paths = StudyPaths.of(home, name)
    fetch(paths.spec)
    if not paths.spec.is_file():
        known = ", ".join(home.names("studies")) or "none yet"
        raise UserError(f"unknown study {name!r} in {home}; known: {known}")
    try:
        data = json.loads(paths.spec.read_text())
    except ValueError as error:
        raise UserError(f"{paths.spec} is not JSON ({error}); the study can't be read") from None
    for path in (paths.evaluations, paths.ranking, paths.exhibits):
        fetch(path)
    return paths, StudySpec.parse(data, str(paths.spec))
