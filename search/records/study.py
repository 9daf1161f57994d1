"""A study: one search over trials for one target, and the one place that knows its file names."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from spaces.counts import plural
from spaces.errors import UserError
from spaces.protocol import GOALS, Direction
from spaces.records import Config, Name
from spaces.trials import AnyTrial
from trainables.storage.home import SPEC, Home, fetch, has_process, only_process, writing
from trainables.storage.json_files import read_json

DEFAULT_TRIALS = 24
"""How many trials a search has, unless the user says."""

MOST_TRIALS = 1_000_000

LIMITS = ("hours", "core_hours", "gpu_hours", "until_gain")
"""The fields of a spec that end a search before all its trials are through."""

AtOnce = Annotated[int, Field(gt=0, le=10_000)]


class StudySpec(Config):
    """Everything that defines a search; it is written before anything runs, and nothing of it changed but more trials."""

    name: Name
    target: Name
    """The domain that a generator is wanted for."""
    space: str
    """The search space: a name of `spaces.suggest.SPACES`, or FILE.py:FUNCTION."""
    trials: Annotated[int, Field(gt=0, le=MOST_TRIALS)] | None
    """How many configurations are tried; None if only what they cost or still gain sets a limit."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the sampler; with concurrency 1, the same spec gives the same trials."""
    sampler: Literal["tpe", "nsga2", "random", "grid", "transfer"] = "tpe"
    """How trials are drawn: by Optuna's TPE, or its NSGA-II for a front, at random, every combination once, or by a model of
    what transfer comes to."""
    front: tuple[str, ...] = ()
    """The goals of which a front is searched, the protocol's first metric first; none where that is gone by alone."""
    early_stopping: bool = True
    """Whether bad trials are stopped early, by images seen; without it all spend their budget."""
    stopping: Literal["asha", "curves"] = "asha"
    """What stops them: rank at rungs (ASHA, arXiv:1810.05934), or what their learning curves promise for what that costs."""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """ASHA keeps the best 1 / reduction_factor of the trials at each rung."""
    concurrency: AtOnce = 1
    """How many trials run at once."""
    threads_per_trial: AtOnce = 1
    """CPU threads of each worker; numbers are the same to the last bit for the same number of threads."""
    workers_per_trial: AtOnce = 1
    """Workers that share each trial's batches; more than one go through Ray Train."""
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of each worker; less than 1 shares a GPU, 0 trains on the CPU."""
    memory_per_trial: PositiveInt | None = None
    """Bytes that a trial's process may take, torch included; a trial that takes more has failed. None sets no limit."""
    sources: tuple[Name, ...]
    """The source models that the space may suggest, the best-ranked first."""
    without_critic: tuple[Name, ...] = ()
    """Those of them that are a generator alone, of which nothing else can be transferred."""
    domains: tuple[Name, ...] = ()
    """The domains of the home whose images the space may suggest to methods that translate; earlier versions had none."""
    train_images: PositiveInt
    """How many of the target's images a trial may train on at most."""
    ranking: dict[str, float] = Field(default_factory=dict)
    """The Frechet distance of each source's own samples to the target, by name, before any training."""
    base: AnyTrial
    """The config that the space's suggestions are laid over; its protocol's first metric is what the search goes by."""
    digests: dict[str, str]
    """SHA-256 of the target and of each source domain ("domain:NAME"), of each source model ("source:NAME") and of the user's
    own space ("space:FILE.py"), so that a resumed study can't mix data."""
    versions: dict[str, str]
    """Versions of understock, Python, torch, ray and optuna."""
    created: str
    """When the spec was made, in UTC, as ISO 8601."""
    max_seconds: PositiveFloat | None = None
    """Seconds of searching after which to stop; what is unfinished then can be resumed. None sets no limit."""
    hours: PositiveFloat | None = None
    """Hours that the whole search may take, all its runs together, after which it is complete. None sets no limit."""
    core_hours: PositiveFloat | None = None
    """CPU cores' hours that all trials together may take, after which the search is complete."""
    gpu_hours: PositiveFloat | None = None
    """GPUs' hours that all trials together may take, after which the search is complete."""
    until_gain: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The search is complete once another hour of it would gain less than this share of the best score, in 95 % of draws of
    what is believed. None sets no limit."""

    @property
    def limited(self) -> bool:
        """Whether something else than the number of trials may end the search."""
        return any(getattr(self, name) for name in LIMITS)

    @property
    def most_trials(self) -> int:
        """How many configurations are tried at most."""
        return self.trials or MOST_TRIALS

    def of_trials(self, count: int) -> str:
        """ "5 of 24 trials", or "5 trials" where their number has no limit."""
        if self.trials is not None:
            return f"{count} of {plural(self.trials, 'trial')}"
        return plural(count, "trial")

    def through(self, count: int) -> str:
        """ "5 of 24 trials are through"."""
        return f"{self.of_trials(count)} {'is' if 1 in (count, self.trials) else 'are'} through"

    @property
    def metric(self) -> str:
        """The metric that the search goes by, the first of the protocol's."""
        return self.base.protocol.metrics[0]

    @property
    def goals(self) -> tuple[str, ...]:
        """All that the search goes by: that metric, or those of the front."""
        return self.front or (self.metric,)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Whether a lower or a higher value of each goal is better."""
        return tuple(GOALS[name].direction for name in self.goals)

    @property
    def direction(self) -> Direction:
        """Whether a lower or a higher value of the metric is better."""
        return GOALS[self.metric].direction


def rung_images(spec: StudySpec) -> list[int]:
    """Images seen at which early stopping decides who goes on, and the budget."""
    budget = spec.base.budget
    marks = []
    rung = budget.eval_every_images
    while spec.early_stopping and rung < budget.images:
        marks.append(rung)
        rung = budget.next_evaluation(rung) if spec.stopping == "curves" else rung * spec.reduction_factor
    return [*marks, budget.images]


@dataclass(frozen=True)
class StudyPaths:
    """Where a study's files lie; every name of one is written here, and nowhere else."""

    root: Path
    """The study's folder."""
    beside: Path | None = None
    """Where a report's pictures go instead, if the study's folder can't be written."""

    @classmethod
    def of(cls, home: Home, name: str) -> "StudyPaths":
        """Give the paths of study `name`, there or not. Raises UserError for a name that can't be a file's."""
        return cls(home.study(name))

    @property
    def spec(self) -> Path:
        """The file with the StudySpec, as JSON; the study exists once it is there."""
        return self.root / SPEC

    @property
    def ranking(self) -> Path:
        """The file with how the sources ranked for the target before any training: a Ranking, as JSON."""
        return self.root / "ranking.json"

    @property
    def prior(self) -> Path:
        """The file with the earlier trials that the study began from; of one that goes by them."""
        return self.root / "prior.parquet"

    @property
    def closing(self) -> Path:
        """The file that says, as JSON, why a study is complete before all its trials are through; it is there then."""
        return self.root / "closing.json"

    @property
    def beliefs(self) -> Path:
        """The file with what was believed of trials when it was decided whether they go on, a line of JSON each."""
        return self.root / "beliefs.jsonl"

    @property
    def journal(self) -> Path:
        """The file with Optuna's journal: which trials there are, their parameters, values and states."""
        return self.root / "optuna.journal"

    @property
    def ray(self) -> Path:
        """The folder for Ray Tune's own files: logs and progress of the runs."""
        return self.root / "ray"

    @property
    def log(self) -> Path:
        """The file with what Ray said while the study ran, tracebacks of lost processes too; it is kept."""
        return self.root / "ray.log"

    @property
    def evaluations(self) -> Path:
        """The folder with the evaluations table: one Parquet file a trial."""
        return self.root / "evaluations"

    def evaluation(self, trial: int) -> Path:
        """The Parquet file with a trial's rows, one an evaluation."""
        return self.evaluations / f"{trial:05d}.parquet"

    def trial(self, trial: int) -> Path:
        """The folder with what a trial writes itself: its checkpoints, its model."""
        return self.root / "trials" / f"{trial:05d}"

    def samples(self, trial: int) -> Path:
        """The folder with a trial's sample grids, one an evaluation and all of the same z, named by images seen."""
        return self.root / "samples" / f"{trial:05d}"

    @property
    def artifacts(self) -> Path:
        """The folder with what Optuna keeps beside trials for its dashboard: each one's last grid of samples."""
        return self.root / "artifacts"

    @property
    def exhibits(self) -> Path:
        """The folder with the report's pictures that torch had to make: sources' grids, nearest training images."""
        return self.beside or self.root / "exhibits"

    @property
    def classifier(self) -> Path:
        """The file with how right small classifiers were, with and without images of the study's few-shot trials: CSV."""
        return self.root / "classifier.csv"

    @property
    def report(self) -> Path:
        """The file with the report, one self-contained page."""
        return self.root / "report.html"

    def comparison(self, other: str) -> Path:
        """The file with the report of this study beside the study named `other`."""
        return self.root / f"compare-{other}.html"


def only_driver(paths: StudyPaths) -> AbstractContextManager[None]:
    """Keep every other process off the study while the block runs. Raises UserError if one works on it already."""
    name = paths.root.name
    busy = f"study {name!r} is being run by another process; watch it with `understock status {name}`"
    return only_process(paths.root, busy)


def is_running(paths: StudyPaths) -> bool:
    """Tell whether a process works on the study now, on this machine or on one that has the same home."""
    return has_process(paths.root)


def close(paths: StudyPaths, why: str) -> None:
    """Write down that no more trials are wanted."""
    with writing(paths.closing) as beside:
        beside.write_text(json.dumps({"why": why}) + "\n")


def closed(paths: StudyPaths) -> str | None:
    """Why no more trials are wanted, though not all may be through; None while they are. UserError if its file is damaged."""
    fetch(paths.closing)
    if not paths.closing.is_file():
        return None
    try:
        return str(read_json(paths.closing)["why"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{paths.closing} is damaged ({type(error).__name__}: {error}); the study is over, so put back a file that says "
            'why, as {"why": "enough"}, or remove it to go on'
        ) from None


def write_spec(paths: StudyPaths, spec: StudySpec) -> None:
    """Write the spec to its file; the study exists from here on."""
    with writing(paths.spec) as beside:
        beside.write_text(spec.model_dump_json(indent=1) + "\n")


def is_begun(paths: StudyPaths) -> bool:
    """Whether there is a study, of this version or an earlier one, whatever became of it."""
    fetch(paths.spec)
    return paths.spec.exists()


def open_study(home: Home, name: str) -> tuple[StudyPaths, StudySpec]:
    """Open an existing study: give its paths and its spec. Raises UserError as `read_spec` does."""
    paths, spec = read_spec(home, name)
    for path in (paths.evaluations, paths.ranking, paths.classifier, paths.exhibits):
        fetch(path)
    return paths, spec


def read_spec(home: Home, name: str) -> tuple[StudyPaths, StudySpec]:
    """The paths and the spec of an existing study, of which nothing else is fetched.

    Raises UserError, with the known ones, if it is unknown, or if `name` is that of a trial.
    """
    study, colon, _ = name.partition(":")
    if colon:
        raise UserError(f"{name!r} is one trial, and a whole study is asked for here; give {study or 'its name'}")
    paths = StudyPaths.of(home, name)
    fetch(paths.spec)
    if not paths.spec.is_file():
        known = ", ".join(home.names("studies")) or "none yet"
        raise UserError(f"unknown study {name!r} in {home}; known: {known}")
    try:
        data = read_json(paths.spec)
    except ValueError as error:
        raise UserError(f"{paths.spec} is not JSON ({error}); the study can't be read") from None
    return paths, StudySpec.parse(data, str(paths.spec))
