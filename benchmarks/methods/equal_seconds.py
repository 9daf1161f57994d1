"""A study whose trials are given ways, each trained for the same processor seconds of one thread; none is searched for.

A budget counts images, so seconds become images by what an iteration of the arm takes, by processor time (`cost`), measured
once a home and kept there. Trials run one after another, and go on where an earlier call was killed; each is appended
to a CSV of results as it ends, and what stands there is not trained again.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from analysis.report import write_report
from benchmarks.results import append_row, read_rows
from benchmarks.setting_up import learner_of
from search.launch import begin
from search.records.results import write_trial
from search.records.study import StudyPaths, StudySpec, close, open_study
from search.running.single import spec_of
from spaces.config import TrialConfig
from spaces.protocol import METRICS
from trainables.images.domains import open_domain
from trainables.machine.devices import use_cores
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.storage.json_files import read_json
from trainables.training.loop import Evaluation, evaluations
from trainables.training.trial_files import TrialFiles
from verbs.reports import exhibited, read

_QUARTERS, _STEPS = 4, 4
"""Of the short training that an arm's iteration is timed by: quarters, and iterations of each."""
CPU = torch.device("cpu")
Row = Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """Ways to train on one target, which stand in one study of a home."""

    table: str
    """What its rows are called in the results."""
    study: str
    arms: Sequence[str]
    config_of: Callable[[str, int, int], TrialConfig]
    """Of an arm, a seed and a budget of images: the trial."""
    base: str
    """The arm whose configuration is the study's, and whose images what trains nothing is given as budget."""
    untrained: Sequence[str]
    """Arms that train nothing: they are run with one seed."""
    domains: Sequence[str]
    """Whose images are learnt from beside the target's."""
    results: Path
    scores: Sequence[str]
    """Of these metrics there is a column."""
    costs_as: Mapping[str, str] = field(default_factory=dict)
    """Arms that take as long as another one, which is measured for both."""
    seeds: int = 2

    @property
    def columns(self) -> Sequence[str]:
        """The results' columns."""
        return ("table", "arm", "seed", "seconds", "iterations", "images_seen", "wall_seconds", *self.scores)

    def plan(self) -> Iterator[tuple[str, int]]:
        """Arm and seed of each trial, in the order of their numbers: a seed is whole before the next begins."""
        for seed in range(self.seeds):
            yield from ((arm, seed) for arm in self.arms if not (seed and arm in self.untrained))

    def run(self, home: Home, seconds: float, arms: Sequence[str], seeds: int) -> None:
        """Train what is not in the results yet of these arms and seeds, each for so many seconds."""
        use_cores(1)
        paths, spec = self._opened(home, seconds)
        for number, (arm, seed) in enumerate(self.plan()):
            done = any([row[name] for name in self.columns[:3]] == [self.table, arm, str(seed)] for row in self._rows())
            if done or arm not in arms or seed >= seeds:
                continue
            config = self.config_of(arm, seed, self._images(home, arm, seconds))
            last = _trained(home, config, paths, spec, number)
            self._append(arm, seed, 0 if arm in self.untrained else seconds, last)

    def means(self, names: Sequence[str], order: str) -> Iterator[str]:
        """The lines of a table in Markdown, of the columns `names`: means over seeds, and each; the best by `order` is first."""
        yield f"\n| {self.table} | seeds | iterations | {' | '.join(names)} |\n|---|---|---|{'---|' * len(names)}"
        by_arm = {arm: [row for row in self._rows() if row["arm"] == arm] for arm in self.arms}
        for arm, found in sorted(by_arm.items(), key=lambda item: _cost_by(order, item[1])):
            if found:
                iterations = " / ".join(dict.fromkeys(row["iterations"] for row in found))
                cells = " | ".join(_cell(found, name) for name in names)
                yield f"| `{arm}` | {len(found)} | {iterations} | {cells} |"

    def report(self, home: Home, place: Path) -> Path:
        """Write the report of the study, which is through as it stands: `resume` has nothing to add to it."""
        close(StudyPaths.of(home, self.study), "each arm was trained for its seconds")
        with exhibited(read(home, [self.study])) as shown:
            return write_report(shown, place)

    def _rows(self) -> list[dict[str, str]]:
        return [row for row in read_rows(self.results) if row["table"] == self.table]

    def _opened(self, home: Home, seconds: float) -> tuple[StudyPaths, StudySpec]:
        """The study; its digests are of all sources."""
        if self.study not in home.names("studies"):
            config = self.config_of(self.base, 0, self._images(home, self.base, seconds))
            spec = spec_of(home, config, self.study, 1)
            digests = {f"domain:{name}": open_domain(home, name).facts.digest for name in self.domains}
            update = {"trials": len([*self.plan()]), "domains": self.domains, "digests": spec.digests | digests}
            begin(home, spec.model_copy(update=update))
        return open_study(home, self.study)

    def _images(self, home: Home, arm: str, seconds: float) -> int:
        """What the arm is shown in so many seconds of one thread's processor time."""
        if arm in self.untrained:
            return self._images(home, self.base, seconds)
        file = home.root / "costs.json"
        costs = read_json(file) if file.exists() else {}
        arm = self.costs_as.get(arm, arm)
        if arm not in costs:
            costs[arm] = cost(home, partial(self.config_of, arm, 0))
            file.write_text(json.dumps(costs))
        taken, images = costs[arm]
        return max(1, round(seconds / taken)) * int(images)

    def _append(self, arm: str, seed: int, seconds: float, last: Evaluation) -> None:
        found = {name: last.metrics.get(name, math.nan) for name in self.scores}
        scores = ["" if math.isnan(value) else f"{value:.5g}" for value in found.values()]
        spent = [f"{seconds:g}", last.iterations, last.images_seen, f"{last.train_seconds:.1f}"]
        append_row(self.results, self.columns, [self.table, arm, seed, *spent, *scores])
        print(self.table, arm, seed, spent, scores, flush=True)


def command_line(
    doc: str | None, tables: Collection[str], arms: Collection[str], seconds: float, seeds: int
) -> argparse.ArgumentParser:
    """What benchmarks of such studies have in common on the command line."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table", "report"))
    parser.add_argument("table", nargs="?", choices=tables, help="what to run")
    parser.add_argument("--home", type=Path, help="for domains and studies; the same one goes on")
    parser.add_argument("--seconds", type=float, default=seconds, help="of training, of each trial")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--arms", default=";".join(arms), help="by name, ';' between them; by default all")
    return parser


def _trained(home: Home, config: TrialConfig, paths: StudyPaths, spec: StudySpec, number: int) -> Evaluation:
    """Train the trial of that number, or go on with it; gives its last evaluation."""
    files, found = TrialFiles(paths.trial(number), paths.samples(number)), list[Evaluation]()
    for evaluation in evaluations(run_trial(config, home, files, CPU, spec.digests)):
        found.append(evaluation)
        rows = [each.row() | {"device": "cpu", "threads": 1} for each in found]
        status = evaluation.status
        write_trial(paths.evaluation(number), config, study=spec.name, trial=number, status=status, evaluations=rows)
    return found[-1]


def cost(home: Home, config_of: Callable[[int], TrialConfig]) -> tuple[float, int]:
    """Processor seconds of an iteration, and the images that it takes, of a config whose budget is so many images.

    Timed over all of a short training, as some methods train in stages that take longer or shorter: the mean over quarters of
    the fastest step of each.
    """
    images = learner_of(config_of(10**6), home)[0].images_per_iteration
    learner, batches = learner_of(config_of(_QUARTERS * _STEPS * images), home)
    quarters = []
    for _ in range(_QUARTERS):
        taken = []
        for _ in range(_STEPS):
            start = time.process_time()
            learner.step(next(batches))
            taken.append(time.process_time() - start)
        quarters.append(min(taken))
    return statistics.mean(quarters), images


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row[name]]


def _cost_by(metric: str, rows: Sequence[Row]) -> float:
    values = _values(rows, metric)
    return METRICS[metric].sign * statistics.mean(values) if values else math.inf


def _cell(rows: Sequence[Row], name: str) -> str:
    values, digits = _values(rows, name), 0 if name == "fd" else 3
    each = f" ({', '.join(f'{value:,.{digits}f}' for value in values)})" if len(values) > 1 else ""
    return f"{statistics.mean(values):,.{digits}f}{each}" if values else ""
