"""Translation, fine-tuning and training from scratch at equal seconds, scored alike, on one target of icons and one of photos.

    python -m benchmarks.translation_study run icons --home HOME     # phosphor's filled icons, translated from its thin ones
    python -m benchmarks.translation_study run photos --home HOME    # cats from dogs: HOME has both, 32 pixels, and source dogs
    python -m benchmarks.translation_study table                     # the tables of docs/translation.md
    python -m benchmarks.translation_study report --home HOME        # docs/translation-icons.html

A budget counts images, so seconds become images by what an iteration of the method takes: the least processor time of a few,
measured once a home and kept there. Trials are a study of the home, one thread each and one after another, and go on where an
earlier call was killed; each is appended to docs/translation-study.csv as it ends. What trains nothing is run with one seed.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from analysis.report import write_report
from benchmarks.results import append_row, read_rows
from search.launch import begin
from search.records.results import merged, write_trial
from search.records.study import StudyPaths, StudySpec, open_study
from search.running.single import spec_of
from spaces.config import TrialConfig
from spaces.trials import parse_trial, takes_domains
from trainables.images.domains import open_domain
from trainables.images.importing.importers import add_domain
from trainables.machine.devices import native_precision, use_cores
from trainables.methods.registry import method_of
from trainables.running.given import gather
from trainables.running.trial import run_trial
from trainables.storage.home import Home
from trainables.storage.json_files import read_json
from trainables.training.loop import Evaluation, evaluations
from trainables.training.parallel import Group
from trainables.training.trial_files import TrialFiles
from verbs.reports import exhibited, read

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "translation-study.csv"
CPU = torch.device("cpu")
SEEDS = 2
SCORES = ("iw", "iw_se", "fd", "kd", "content_shift", "pair_error", "copy_rate")
COLUMNS = ("table", "arm", "seed", "seconds", "iterations", "images_seen", "wall_seconds", *SCORES)


@dataclass(frozen=True)
class Question:
    """A target of few images, and what there is to start from."""

    target: str
    images: int
    """Of the target, that a trial may train on."""
    domain: str
    """Whose images are translated."""
    model: str
    """The source model that is fine-tuned."""
    metrics: tuple[str, ...]
    flip: bool


QUESTIONS: Mapping[str, Question] = {
    "icons": Question(
        "phosphor-fill",
        300,
        "phosphor-thin",
        "mdi",
        ("iw", "fd", "kd", "copy_rate", "content_shift", "pair_error"),
        False,
    ),
    "photos": Question("cats", 300, "dogs", "dogs", ("iw", "fd", "kd", "copy_rate", "content_shift"), True),
}
"""By table. IW comes first, as one method trains by the features of FD and KD."""

GAN: Mapping[str, Any] = {
    "network": {"resolution": 32, "width": 16},
    "loss": {"n_critic": 2},
    "optim": {
        "lr_g": 1e-3,
        "lr_d": 1e-3,
        "batch": 32,
        "ema_halflife_images": 1_000,
        "precision": native_precision(CPU),
    },
}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "untranslated": {"method": "untranslated"},
    "as_is": {"method": "as_is", "network": GAN["network"]},
    "scratch": {"method": "finetune", **GAN, "source": "scratch"},
    "finetune": {"method": "finetune", **GAN},
    "cyclegan": {"method": "cyclegan"},
    "direct": {"method": "direct"},
    "unit": {"method": "unit"},
    "feature_consistency": {"method": "feature_consistency"},
    "xgan": {"method": "xgan"},
    "combogan": {"method": "combogan"},
    "domain_confusion": {"method": "domain_confusion"},
    "stargan": {"method": "stargan"},
    "dtn": {"method": "dtn"},
    "cogan": {"method": "cogan"},
}
"""Settings beside the defaults, by what an arm is called."""
UNTRAINED = ("untranslated", "as_is")


def config_of(table: str, arm: str, seed: int, images: int) -> TrialConfig:
    """The trial of an arm whose budget is so many images."""
    asked, settings = QUESTIONS[table], ARMS[arm]
    flip = {"training/flip": asked.flip} if takes_domains(settings["method"]) else {"augment/flip": asked.flip}
    common = {
        "target": asked.target,
        "source": asked.domain if takes_domains(settings["method"]) else asked.model,
        "seed": seed,
        "data": {"target_images": asked.images},
        "budget": {"images": images, "eval_every_images": images},
        "protocol": {"metrics": asked.metrics},
    }
    return parse_trial(merged({**common, **settings}, {} if arm in UNTRAINED else flip), f"benchmark {arm!r}")


def images_in(home: Home, table: str, arm: str, seconds: float) -> int:
    """Target images that the arm is shown in so many seconds of one thread's processor time.

    What trains nothing has the budget of what is fine-tuned.
    """
    if arm in UNTRAINED:
        return images_in(home, table, "finetune", seconds)
    file = home.root / "translation-costs.json"
    costs = read_json(file) if file.exists() else {}
    method = str(ARMS[arm]["method"])
    if method not in costs:
        costs[method] = _cost(home, config_of(table, arm, 0, 10**6))
        file.write_text(json.dumps(costs))
    taken, images = costs[method]
    return max(1, round(seconds / taken)) * int(images)


def _cost(home: Home, config: TrialConfig, steps: int = 8) -> tuple[float, int]:
    """Processor seconds of an iteration, and the images that it takes."""
    method, given = method_of(config.method), gather(config, home)
    learner, batches = method.build(config, given, CPU, Group()), method.batches(config, given, 0, CPU)
    taken = []
    for _ in range(steps):
        start = time.process_time()
        learner.step(next(batches))
        taken.append(time.process_time() - start)
    return min(taken), learner.images_per_iteration


def study_of(home: Home, table: str, seconds: float) -> tuple[StudyPaths, StudySpec]:
    """The study that a table's trials are in; its base is the arm that is fine-tuned, and its digests are of all sources."""
    asked, name = QUESTIONS[table], f"translation-{table}"
    if name not in home.names("studies"):
        spec = spec_of(home, config_of(table, "finetune", 0, images_in(home, table, "finetune", seconds)), name, 1)
        digests = spec.digests | {f"domain:{asked.domain}": open_domain(home, asked.domain).facts.digest}
        trials = len([*plan()])
        begin(home, spec.model_copy(update={"trials": trials, "domains": (asked.domain,), "digests": digests}))
    return open_study(home, name)


def plan() -> Iterator[tuple[str, int]]:
    """Arm and seed of each trial, in the order of their numbers: a seed is whole before the next begins."""
    return ((arm, seed) for seed in range(SEEDS) for arm in ARMS if not (seed and arm in UNTRAINED))


def run(table: str, home: Home, seconds: float, arms: list[str], seeds: int) -> None:
    """Train what is not in the results yet of these arms and seeds."""
    use_cores(1)
    if table == "icons":
        for name in ("phosphor-fill", "phosphor-thin"):
            if name not in home.names("domains"):
                add_domain(home, name, f"builtin:{name}", 32)
    paths, spec = study_of(home, table, seconds)
    for number, (arm, seed) in enumerate(plan()):
        done = any(_is(row, table, arm, seed) for row in read_rows(RESULTS))
        if done or arm not in arms or seed >= seeds:
            continue
        config = config_of(table, arm, seed, images_in(home, table, arm, seconds))
        files, found = TrialFiles(paths.trial(number), paths.samples(number)), list[Evaluation]()
        for evaluation in evaluations(run_trial(config, home, files, CPU, spec.digests)):
            found.append(evaluation)
            rows = [each.row() | {"device": "cpu", "threads": 1} for each in found]
            write_trial(
                paths.evaluation(number),
                config,
                study=spec.name,
                trial=number,
                status=evaluation.status,
                evaluations=rows,
            )
        _append(table, arm, seed, 0 if arm in UNTRAINED else seconds, found[-1])


def _is(row: Mapping[str, str], *run: object) -> bool:
    return [row[name] for name in COLUMNS[:3]] == [str(each) for each in run]


def _append(table: str, arm: str, seed: int, seconds: float, last: Evaluation) -> None:
    found = {name: last.metrics.get(name, math.nan) for name in SCORES}
    scores = ["" if math.isnan(value) else f"{value:.5g}" for value in found.values()]
    spent = [f"{seconds:g}", last.iterations, last.images_seen, f"{last.train_seconds:.1f}"]
    append_row(RESULTS, COLUMNS, [table, arm, seed, *spent, *scores])
    print(table, arm, seed, spent, scores, flush=True)


def tables() -> Iterator[str]:
    """The lines of a table a target in Markdown, the best by IW first: means over seeds, and each seed's number."""
    for table in QUESTIONS:
        rows = [row for row in read_rows(RESULTS) if row["table"] == table]
        yield f"\n| {table} | seeds | iterations | IW | FD | KD | content shift | pair error |\n|---|---|---|---|---|---|---|---|"
        by_arm = {arm: [row for row in rows if row["arm"] == arm] for arm in ARMS}
        for arm, found in sorted(by_arm.items(), key=lambda item: -_mean(item[1], "iw")):
            if found:
                cells = [_cell(found, name) for name in ("iw", "fd", "kd", "content_shift", "pair_error")]
                iterations = " / ".join(dict.fromkeys(row["iterations"] for row in found))
                yield f"| `{arm}` | {len(found)} | {iterations} | {' | '.join(cells)} |"


def _mean(rows: list[dict[str, str]], name: str) -> float:
    values = [float(row[name]) for row in rows if row[name]]
    return statistics.mean(values) if values else float("-inf")


def _cell(rows: list[dict[str, str]], name: str) -> str:
    values = [float(row[name]) for row in rows if row[name]]
    digits = 0 if name == "fd" else 3
    each = f" ({', '.join(f'{value:,.{digits}f}' for value in values)})" if len(values) > 1 else ""
    return f"{statistics.mean(values):,.{digits}f}{each}" if values else ""


def report(home: Home) -> None:
    """Write the report of the icons' study; that of photos would hold photos."""
    with exhibited(read(home, ["translation-icons"])) as shown:
        print(write_report(shown, DOCS / "translation-icons.html"))


def main() -> None:
    """What the first argument says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "table", "report"))
    parser.add_argument("table", nargs="?", choices=QUESTIONS, help="what to run")
    parser.add_argument("--home", type=Path, help="for domains and studies; the same one goes on")
    parser.add_argument("--seconds", type=float, default=60.0, help="of training, of each trial")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--arms", default=";".join(ARMS), help="by name, ';' between them; by default all")
    given = parser.parse_args()
    if given.what == "table":
        print("\n".join(tables()))
    elif given.home is None or (given.what == "run" and given.table is None):
        sys.exit("give --home, and with run a table")
    elif given.what == "run":
        run(given.table, Home.find(given.home), given.seconds, given.arms.split(";"), given.seeds)
    else:
        report(Home.find(given.home))


if __name__ == "__main__":
    main()
