"""Training one given configuration: a study of one trial, run in this process, so all that studies have works on it."""

import datetime
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.launch import RENAME, begin, check_judged, versions
from search.records.inputs import stopped
from search.records.results import load, read_rows
from search.records.study import StudyPaths, StudySpec, only_driver, open_study
from search.running.ledger import Ledger
from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from spaces.suggest import UNVARIED
from spaces.trials import parse_trial
from trainables.images.domains import open_domain
from trainables.machine.devices import best_device, device_name, use_cores
from trainables.metrics.iw import measurable
from trainables.running.given import ChangedDataError
from trainables.running.source_training import shown
from trainables.running.trial import run_trial
from trainables.sources.shelf import open_source
from trainables.storage.home import Home, fetch
from trainables.storage.json_files import read_json
from trainables.training.loop import Evaluation
from trainables.training.trial_files import TrialFiles


def read_config(path: Path, target: str, max_images: int | None = None) -> TrialConfig:
    """The TrialConfig in a JSON file: the file itself, as `export` leaves it, its "config", as `pick` does, or its "base", which
    is what the study.json of an earlier training has.

    `max_images` replaces its budget; the number of evaluations stays. UserError if there is none, or if it is for another
    target.
    """
    way_out = f"make one with: understock pick {target} -o pick.json"
    try:
        data = read_json(path)
    except OSError as error:
        raise UserError(f"config {path} can't be read ({error.strerror}); {way_out}") from None
    except ValueError as error:
        raise UserError(f"config {path} is not JSON ({error}); {way_out}") from None
    where = f"config {path} holds"
    if isinstance(data, Mapping) and (name := next((each for each in ("config", "base") if each in data), None)):
        data, where = data[name], f'the "{name}" of config {path} is'
    if not isinstance(data, Mapping):
        raise UserError(f"{where} {type(data).__name__}, expected the fields of a trial's configuration; {way_out}")
    config = parse_trial(data, f"config {path}")
    if config.target != target:
        raise UserError(f"config {path} is for target {config.target!r}, not {target!r}; {way_out}")
    if max_images is None:
        return config
    return parse_trial(
        config.model_dump() | {"budget": config.budget.stretched(max_images).model_dump()}, f"config {path}"
    )


def default_name(target: str, path: Path) -> str:
    """ "cats-pick" of target cats and file pick.json."""
    return f"{target}-{re.sub(r'[^a-z0-9._-]+', '-', path.stem.lower()).strip('-') or 'config'}"


def train_one(home: Home, config: TrialConfig, name: str, threads: int | None = None) -> tuple[StudyPaths, StudySpec]:
    """Train `config` as study `name`, or go on with it where an earlier call was cut off; shows its progress.

    UserError if the config does not fit what is there, if it would go by features that it trains on, if that is not what an
    earlier call began with, if a study of that name is another one, if another process trains it, or if the training
    diverged or failed.
    """
    check_judged(home, name, [config.method], config.protocol)
    return _train_study(home, config, name, threads)


def _train_study(
    home: Home, config: TrialConfig, name: str, threads: int | None, way_out: str = RENAME
) -> tuple[StudyPaths, StudySpec]:
    protocol, left_out = measurable(config.protocol, open_domain(home, config.target), config.data)
    if left_out:
        print(f"note: {left_out}", file=sys.stderr)
        config = config.model_copy(update={"protocol": protocol})
    threads = threads or len(os.sched_getaffinity(0))
    use_cores(threads)
    paths, spec = open_study(home, begin(home, spec_of(home, config, name, threads), way_out))
    with only_driver(paths):
        ledger = Ledger(paths, spec)
        asked = ledger.ask()
        if asked is not None:
            number, config = asked
            try:
                last = _train(home, ledger, number, config, threads)
            except ChangedDataError as error:
                raise stopped(name, error) from error
            ledger.finish(number, config, "completed" if last.status == "completed" else "diverged")
        _check_ending(name, read_rows(paths.evaluation(0))[-1])  # which may be of an earlier call
    return paths, spec


def _check_ending(name: str, last: Mapping[str, Any]) -> None:
    """Raise NoScoreError if a study's one trial, whose last row is given, has no score in the end."""
    if last["status"] == "diverged":
        raise NoScoreError(
            f"study {name!r} diverged after {last['images_seen']:,} images; lower optim/lr_g and optim/lr_d, or change the seed "
            "in the config, and give another --name"
        )
    if last["status"] == "failed":
        raise NoScoreError(f"study {name!r} failed: {last['error']}; change the config, and give another --name")


def confirm(
    home: Home, spec: StudySpec, trial: int, config: TrialConfig, count: int, threads: int | None = None
) -> list[StudyPaths]:
    """Train the config of a trial of study `spec` anew with `count` fresh seeds, scored on fresh z, each as a study of its own.

    The same call goes on where an earlier one was cut off. One that diverges or fails ends as that.
    """
    rows = load(StudyPaths.of(home, spec.name).evaluations)
    first = max(rows["seed"].to_pylist()) + 1
    protocol = config.protocol.model_copy(update={"seed": config.protocol.seed + 1})
    fresh = config.model_copy(update={"seed": first, "protocol": protocol})
    stem = _free_for(home, fresh, f"{spec.name}-confirm", f"{spec.name}-{trial}-confirm")
    found = []
    for number in range(count):
        name = f"{stem}-{number + 1}"
        again = fresh.model_copy(update={"seed": first + number})
        try:
            paths, _ = _train_study(home, again, name, threads, "go on with that one")  # by whatever its study goes by
        except NoScoreError:
            paths = StudyPaths.of(home, name)
        found.append(paths)
    return found


def _free_for(home: Home, config: TrialConfig, stem: str, otherwise: str) -> str:
    """What the confirmations that begin with `config` are called: `otherwise` where those of another trial have the name."""
    paths = StudyPaths.of(home, f"{stem}-1")
    fetch(paths.spec)
    taken = paths.spec.exists() and open_study(home, f"{stem}-1")[1].base != config
    return otherwise if taken else stem


class NoScoreError(UserError):
    """The one training of a study that diverged or failed."""


def spec_of(home: Home, config: TrialConfig, name: str, threads: int) -> StudySpec:
    """The study that a training of `config` is: of one trial, in which nothing varies."""
    domain = open_domain(home, config.target)
    named = () if config.source == SCRATCH or config.domains else (config.source, *config.sources_beside)
    sources = [open_source(home, each) for each in named]
    domains = [domain, *(open_domain(home, name) for name in config.domains)]
    return StudySpec.parse(
        {
            "name": name,
            "target": config.target,
            "space": UNVARIED,
            "trials": 1,
            "sampler": "grid",
            "early_stopping": False,
            "threads_per_trial": threads,
            "sources": [source.facts.name for source in sources],
            "domains": config.domains,
            "train_images": config.data.target_images or domain.facts.train,
            "base": config.model_dump(),
            "digests": {f"domain:{each.facts.name}": each.facts.digest for each in domains}
            | {f"source:{source.facts.name}": source.facts.digest for source in sources},
            "versions": versions(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
        "train",
    )


def _train(home: Home, ledger: Ledger, number: int, config: TrialConfig, threads: int) -> Evaluation:
    """Train to the end of the budget, each evaluation recorded as it comes; gives the last one."""
    device = best_device()
    machine = {"device": device_name(device), "threads": threads}
    files = TrialFiles(ledger.paths.trial(number), ledger.paths.samples(number))
    return shown(
        run_trial(config, home, files, device, ledger.spec.digests),
        f"training {ledger.spec.name}",
        record=lambda evaluation: ledger.record(number, config, evaluation.row() | machine),
    )
