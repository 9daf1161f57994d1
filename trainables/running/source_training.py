"""Training a source model of a domain: a trial from scratch whose last state goes on the shelf."""

import datetime
import sys
from collections.abc import Callable, Iterable, Iterator

import torch

from spaces.config import TrialConfig
from spaces.errors import UserError, lookup
from spaces.methods.finetune import FinetuneConfig
from spaces.networks import conditional as conditional_on
from spaces.presets import FAMILY_PRESETS
from spaces.trials import parse_trial
from trainables.cluster.crew import Crew
from trainables.images.domains import Domain, DomainFacts, open_domain
from trainables.machine.devices import native_precision, use_cores
from trainables.machine.progress import progress
from trainables.methods.finetuning.classes import without_classes
from trainables.metrics.iw import measurable
from trainables.networks.models import read_model
from trainables.running.trial import run_trial
from trainables.sources.shelf import SourceError, SourceFacts, check_new, save_source
from trainables.storage.home import Home, claim, fetch, remove, writing
from trainables.training.loop import Evaluation, Progress
from trainables.training.trial_files import TrialFiles


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
    conditional: bool = False,
    family: str = "resnet",
) -> SourceFacts:
    """Train a source model of `domain` from scratch by a preset, and put it on the shelf; shows its progress.

    Without a preset it takes the family's first, with a CUDA device its second. Goes on where an earlier call with the
    same settings was cut off, with as many workers as now are asked for. More than one, or an `address`, goes through Ray
    Train. A `conditional` one can be asked for the domain's classes. Raises SourceError if the name is taken and not to be
    replaced (a builtin one's is free to a domain that has it), if another process makes it, or if the training diverged;
    UserError for settings that won't do.
    """
    check_new(home, name, replace=replace, may_hide=name == domain)  # that is the name it has unless told
    crew = _crew(workers, threads, gpus_per_worker)
    config = _config(home, domain, preset, max_images, seed, crew, address, conditional, family)
    files = _training_files(home, name)
    with claim(home, "sources", name, replace=replace):
        images = _same_images(home, config.target, name, files)
        last = _train(config, home, name, files, crew, address)
        facts = _shelve(home, name, config, images, files, last)
        remove(files.folder)
    return facts


def _crew(workers: int, threads: int | None, gpus: float | None) -> Crew:
    """Fill in what a user left open, from this machine: a GPU each if it has so many, all cores shared out."""
    if gpus is None:
        gpus = 1.0 if workers <= torch.cuda.device_count() else 0.0
    return Crew(workers, threads or max(1, torch.get_num_threads() // workers), gpus)


def _train(
    config: TrialConfig, home: Home, name: str, files: TrialFiles, crew: Crew, address: str | None
) -> Evaluation:
    """Train to the end of the budget, or from the last checkpoint to there; gives the last evaluation."""
    last = shown(_items(config, home, files, crew, address), f"training {name}")
    if last.status == "diverged":
        remove(files.folder)
        raise SourceError(
            f"source model {name!r} diverged after {last.images_seen:,} images; try another --seed or --preset"
        )
    return last


def _items(
    config: TrialConfig, home: Home, files: TrialFiles, crew: Crew, address: str | None
) -> Iterator[Progress | Evaluation]:
    if crew.workers == 1 and address is None:
        use_cores(crew.threads)
        return run_trial(config, home, files, crew.device)
    from trainables.running.source_workers import items_of_workers  # Ray takes seconds to import

    return items_of_workers(config, home, files, crew, address)


def shown(
    items: Iterable[Progress | Evaluation], what: str, record: Callable[[Evaluation], bool] = lambda _: True
) -> Evaluation:
    """Show the progress of a training as a bar, and a line an evaluation; gives the last one.

    `record` gets each first, and says whether it is news: one that is taken up again repeats those of before.
    """
    last: Evaluation | None = None
    with progress(what, "iterations") as report:
        for item in items:
            if isinstance(item, Progress):
                report(item.begun, item.iterations)
                continue
            last = item
            if record(last):
                scores = ", ".join(f"{metric} {value:.4g}" for metric, value in last.metrics.items())
                print(f"{last.images_seen:,} images: {scores or last.status}", file=sys.stderr)
    assert last is not None, "a trial has at least one evaluation"
    return last


def _config(
    home: Home,
    domain: str,
    preset: str | None,
    max_images: int | None,
    seed: int,
    crew: Crew,
    address: str | None,
    conditional: bool,
    family: str,
) -> TrialConfig:
    presets = lookup(FAMILY_PRESETS, "family of source models", family)
    preset = preset or list(presets)[bool(crew.gpus)]
    opened = open_domain(home, domain)
    facts = opened.facts
    config = lookup(presets, "preset", preset)(domain, facts.resolution)
    if conditional:
        config = _by_class(config, opened)
    protocol, left_out = measurable(config.protocol, opened, config.data)
    if left_out:
        print(f"note: {left_out}", file=sys.stderr)
    values = config.model_dump() | {"protocol": protocol.model_dump()}
    if max_images is not None:
        values["budget"] = {"images": max_images, "eval_every_images": max(1, max_images // 4)}
    # Of a cluster only the GPUs' kind is a guess; all that Ray's own images name have bfloat16.
    values["optim"]["precision"] = "bfloat16" if address and crew.gpus else native_precision(crew.device)
    return parse_trial(values | {"seed": seed}, f"source model of {domain!r}")


def _by_class(config: FinetuneConfig, domain: Domain) -> FinetuneConfig:
    """The config of a source model that is conditional on the domain's classes; UserError if it has none."""
    if reason := without_classes(domain):
        raise UserError(f"--conditional: {reason}")
    network = conditional_on(config.network, domain.labels_known)
    return config.model_copy(update={"network": network, "protocol": config.protocol.with_classes()})


def _training_files(home: Home, name: str) -> TrialFiles:
    """Where a source model in training keeps its state; hidden, so that it is not on the shelf."""
    folder = home.source(name).with_name(f".training-{name}")
    return TrialFiles(folder, folder / "samples")


def _same_images(home: Home, domain: str, name: str, files: TrialFiles) -> DomainFacts:
    """The facts of the domain; SourceError if it is another than the one that a training which was cut off began with."""
    facts, noted = open_domain(home, domain).facts, files.folder / "domain.digest"
    fetch(noted)
    if noted.is_file() and (before := noted.read_text()) != facts.digest:
        raise SourceError(
            f"source model {name!r} was begun with other images of domain {domain!r} (digest {before[:12]}, now "
            f"{facts.digest[:12]}); add those again, give this one another --name, or remove {files.folder}"
        )
    with writing(noted) as beside:
        beside.write_text(facts.digest)
    return facts


def _shelve(
    home: Home, name: str, config: TrialConfig, domain: DomainFacts, files: TrialFiles, last: Evaluation
) -> SourceFacts:
    """The model of a finished training, on the shelf, with the facts of the domain that it was trained on."""
    fetch(files.folder)  # workers on other nodes have mirrors of their own
    latest = max(files.samples.glob("[0-9]*.png"), key=lambda path: path.name)
    return save_source(
        home.source(name),
        {
            "name": name,
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
        read_model(files.model)[0],
        latest.read_bytes(),
    )
