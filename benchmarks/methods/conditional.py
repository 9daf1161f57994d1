"""Conditional GANs against unconditional ones, and what they gain from a source: the smallest test, and a figure's numbers.

    python -m benchmarks.methods.conditional smallest --home HOME
    python -m benchmarks.methods.conditional figure --home HOME
    python -m benchmarks.methods.conditional draw                      # docs/conditional-transfer.png, of that table

`smallest` is METHODS.md's test of AC-GAN: domain `mnist` of the home (`domains add mnist builtin:mnist --resolution 32`), from
scratch, 1,200 generator steps (300 are too few), three seeds; class accuracy should pass 0.8, where an unconditional GAN's,
with labels by the data's prior, is that of guessing. `figure` is section 5 of "Transferring GANs" at our scale: a conditional
target from scratch, from an unconditional and from a conditional source of the same images and training; score against
images seen, two seeds.

Rows go to docs/conditional-smallest.csv and docs/conditional-transfer.csv (or --output) as they are measured; a run that is
there is not trained again, and one that was killed goes on.
"""

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import plotly.graph_objects as go
import torch
from plotly.colors import qualitative

from analysis.page import Plot
from analysis.pictures import draw as draw_plots
from spaces.config import SCRATCH, TrialConfig
from spaces.trials import parse_trial
from trainables.images.domains import Domain, open_domain
from trainables.images.samples import Samples
from trainables.machine.randomness import random_numbers
from trainables.methods.registry import open_sampler
from trainables.metrics.context import EvalContext
from trainables.metrics.features import load_extractor
from trainables.metrics.metrics import measure
from trainables.networks.conditional import labels_by
from trainables.networks.models import read_model
from trainables.running.trial import run_trial
from trainables.sources.shelf import save_source
from trainables.storage.home import Home
from trainables.training.loop import Evaluation, evaluations
from trainables.training.trial_files import TrialFiles

BATCH, N_CRITIC = 32, 2
HEEDED = 1.0
"""Weight of the classifier in the generator's loss, as "Transferring GANs" has it."""
COLUMNS = ("run", "seed", "images_seen", "train_seconds", "fd", "fd_floor", "kd", "mkd", "mkd_floor")
ACCURACY = ("class_accuracy", "class_accuracy_se", "class_accuracy_floor", "class_chance", "class_n")
SMALLEST = {"steps": 1_200, "evaluations": 4, "images": 3_000, "seeds": 3}
FIGURE = {"steps": 128, "evaluations": 4, "images": 1_000, "seeds": 2}
SOURCE_STEPS = 160


def config_of(target: str, seed: int, plan: Mapping[str, int], classes: int | None, **fields: Any) -> TrialConfig:
    """A training by the recipe of the small spaces (docs/recipe.md), width 16 at 32 pixels."""
    per_step = BATCH * N_CRITIC
    images = plan["steps"] * per_step
    values = {
        "target": target,
        "source": SCRATCH,
        "network": {"resolution": 32, "width": 16, "classes": classes},
        "loss": {"n_critic": N_CRITIC},
        "optim": {"batch": BATCH, "lr_g": 1e-3, "lr_d": 1e-3, "ema_halflife_images": 1_000},
        "data": {"target_images": plan["images"]},
        "budget": {"images": images, "eval_every_images": images // plan["evaluations"], "eval_start": True},
        "protocol": {"metrics": ("fd", "kd", *(("class_accuracy", "mkd") if classes else ())), "n_rung": 256},
        "seed": seed,
    }
    return parse_trial(values | fields, "benchmark")


def smallest(home: Home, work: Path, table: "Table", seeds: Sequence[int]) -> None:
    """Conditional GANs, then unconditional ones, whose samples get labels by the data's prior."""
    domain, plan = open_domain(home, "mnist"), SMALLEST
    runs = (("conditional", HEEDED), ("unconditional", None))
    for seed in seeds:
        for name, weight in runs:
            if table.has(name, seed):
                continue
            classes = domain.labels_known if weight else None
            heeded = {"classifier": {"generator": weight}} if weight else {}
            config = config_of("mnist", seed, plan, classes, **heeded)
            folder = work / f"smallest-{'unconditional' if weight is None else f'weight-{weight:g}'}-{seed}"
            *_, last = trained(home, config, folder)
            scores = dict(last.metrics) | dict(last.record)
            if classes is None:
                scores |= labelled_by_prior(home, domain, config, folder)
            table.add(name, seed, last, scores)


def labelled_by_prior(home: Home, domain: Domain, config: TrialConfig, folder: Path) -> dict[str, Any]:
    """The class scores of an unconditional GAN's samples, had they been asked for classes by the data's prior."""
    rows = domain.subset(config.data.target_images, config.data.seed)
    prior = torch.bincount(torch.from_numpy(domain.labels[rows])).float()
    protocol = config.protocol.model_copy(update={"metrics": ("kd", "class_accuracy", "mkd")})
    images = open_sampler(files_of(folder).model)(protocol.n_fake, protocol.seed).images
    labels = labels_by(prior, torch.rand(len(images), generator=random_numbers("benchmark's labels", config.seed)))
    extractor = load_extractor(protocol.extractor, protocol.input_size, home, torch.device("cpu"))
    measured = measure(EvalContext(Samples(images, labels), domain, domain.path, protocol, extractor, rows))
    return dict(measured.values) | dict(measured.record)


def figure(home: Home, work: Path, table: "Table", target: str, source: str, seeds: Sequence[int]) -> None:
    """The source models, unconditional and conditional, then all arms, seed by seed."""
    classes = open_domain(home, target).labels_known
    kinds = {"unconditional": None, "conditional": open_domain(home, source).labels_known}
    for kind, count in kinds.items():
        shelve(home, work, f"{source}-{kind}", source, count)
    arms = {"scratch": SCRATCH} | {f"from {kind}": f"{source}-{kind}" for kind in kinds}
    for seed in seeds:
        for name, start in arms.items():
            if table.has(name, seed):
                continue
            config = config_of(target, seed, FIGURE, classes, source=start, classifier={"generator": HEEDED})
            folder = work / f"figure-{name.replace(' ', '-')}-{seed}"
            for evaluation in list(trained(home, config, folder)):
                table.add(name, seed, evaluation, dict(evaluation.metrics) | dict(evaluation.record))


def shelve(home: Home, work: Path, name: str, domain: str, classes: int | None) -> None:
    """Train a source model of the whole domain with the figure's recipe, unless it is on the shelf."""
    if name in home.names("sources"):
        return
    facts = open_domain(home, domain).facts
    plan = {"steps": SOURCE_STEPS, "evaluations": 1, "images": facts.train}
    config = config_of(domain, 0, plan, classes, **({"classifier": {"generator": HEEDED}} if classes else {}))
    *_, last = trained(home, config, work / name)
    about = {
        "name": name,
        "domain": domain,
        "images": facts.train,
        "classes": facts.classes,
        "images_per_class": facts.train / facts.classes,
        "images_seen": last.images_seen,
        "scores": dict(last.metrics),
        "protocol": {},
        "origin": "benchmarks.methods.conditional",
        "created": "",
    }
    save_source(home.source(name), about, read_model(files_of(work / name).model)[0], b"")


def trained(home: Home, config: TrialConfig, folder: Path) -> Iterator[Evaluation]:
    """Train, going on where a killed run was; prints as it goes."""
    for evaluation in evaluations(run_trial(config, home, files_of(folder), torch.device("cpu"))):
        scores = ", ".join(f"{name} {value:.4g}" for name, value in evaluation.metrics.items())
        print(f"{folder.name}: {evaluation.images_seen:,} images, {scores or evaluation.status}", flush=True)
        yield evaluation


def files_of(folder: Path) -> TrialFiles:
    """Where a run leaves its files."""
    return TrialFiles(folder, folder / "samples")


def draw(table: "Table", path: Path) -> None:
    """Score against images seen, a line an arm and a thin one a seed, as a PNG (by Chromium)."""
    figure = go.Figure()
    for place, (arm, by_seed) in enumerate(table.curves().items()):
        colour = qualitative.D3[place]
        for seed, curve in by_seed.items():
            line = {"color": colour, "width": 1, "dash": "dot"}
            figure.add_scatter(
                x=list(curve), y=list(curve.values()), line=line, name=f"{arm}, seed {seed}", showlegend=False
            )
        means = {seen: fmean(curve[seen] for curve in by_seed.values()) for seen in next(iter(by_seed.values()))}
        figure.add_scatter(x=list(means), y=list(means.values()), line={"color": colour, "width": 3}, name=arm)
    figure.update_xaxes(title="images seen")
    figure.update_yaxes(title="FD (efficientnet_lite0)", rangemode="tozero")
    figure.update_layout(template="plotly_white", height=420, title="Conditional structures: where they start from")
    (png,) = draw_plots([Plot("conditional", figure, "")])
    path.write_bytes(png)


class Table:
    """A CSV of what was measured, appended to row by row."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def has(self, run: str, seed: int) -> bool:
        """Whether a run's last evaluation is there, which alone has class scores."""
        return any((row["run"], row["seed"]) == (run, str(seed)) and row["class_accuracy"] for row in self._rows())

    def add(self, run: str, seed: int, evaluation: Evaluation, scores: Mapping[str, Any]) -> None:
        """A row, unless it is there."""
        row = {"run": run, "seed": seed, "images_seen": evaluation.images_seen}
        if any(all(there[name] == str(value) for name, value in row.items()) for there in self._rows()):
            return
        row |= {name: scores[name] for name in (*COLUMNS, *ACCURACY) if name in scores}
        row["train_seconds"] = round(evaluation.train_seconds)
        new = not self._path.exists()
        with self._path.open("a", newline="") as file:
            writer = csv.DictWriter(file, [*COLUMNS, *ACCURACY])
            if new:
                writer.writeheader()
            writer.writerow({name: f"{v:.4g}" if isinstance(v, float) else v for name, v in row.items()})

    def curves(self) -> dict[str, dict[str, dict[int, float]]]:
        """FD by images seen, by run and seed."""
        found: dict[str, dict[str, dict[int, float]]] = {}
        for row in self._rows():
            found.setdefault(row["run"], {}).setdefault(row["seed"], {})[int(row["images_seen"])] = float(row["fd"])
        return found

    def _rows(self) -> list[dict[str, str]]:
        if not self._path.exists():
            return []
        with self._path.open(newline="") as file:
            return list(csv.DictReader(file))


def main() -> None:
    """Train what is missing, and leave the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=("smallest", "figure", "draw"))
    parser.add_argument("--home", help="for the trainings")
    parser.add_argument("--target", default="structures")
    parser.add_argument("--source", default="nature_scenes", help="a domain with classes")
    parser.add_argument("--work", type=Path, default=Path("/tmp/conditional"), help="where trainings are kept")
    parser.add_argument("--output", type=Path)
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="these alone, so that several processes may share the work"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    name = "smallest" if given.part == "smallest" else "transfer"
    table = Table(given.output or Path(f"docs/conditional-{name}.csv"))
    if given.part == "draw":
        return draw(table, Path("docs/conditional-transfer.png"))
    home = Home.make(given.home)
    if given.part == "smallest":
        smallest(home, given.work, table, given.seeds or range(SMALLEST["seeds"]))
    else:
        figure(home, given.work, table, given.target, given.source, given.seeds or range(FIGURE["seeds"]))


if __name__ == "__main__":
    main()
