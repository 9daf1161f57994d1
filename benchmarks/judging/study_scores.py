"""Scores what the trials of a home's studies ended with anew, by any metrics.

    python -m benchmarks.judging.study_scores --home HOME --out CSV --metrics fd,kd,iw,copy_rate --studies cats,dogs

For studies from before a metric, or whose trials were run without it. Samples are of the protocol's own z, as a trial's are.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from search.records.results import config_of, load
from search.records.study import open_study
from spaces.protocol import METRICS
from trainables.images.domains import open_domain
from trainables.machine.devices import use_cores
from trainables.methods.registry import open_sampler
from trainables.metrics.context import EvalContext
from trainables.metrics.features import load_extractor
from trainables.metrics.metrics import measure
from trainables.storage.home import Home, writing
from trainables.training.trial_files import TrialFiles

ABOUT = ("study", "trial", "target", "source", "method", "transfer/parts", "seed", "images_seen")


def scored(home: Home, studies: Sequence[str], metrics: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """A row a trial that left a model."""
    for name in studies:
        paths, spec = open_study(home, name)
        protocol = spec.base.protocol.model_copy(update={"metrics": metrics})
        domain = open_domain(home, spec.target)
        extractor = load_extractor(protocol.extractor, protocol.input_size, home, torch.device("cpu"))
        last = {row["trial"]: row for row in load(paths.evaluations).to_pylist()}  # rows stand by images seen
        for trial, row in last.items():
            model = TrialFiles(paths.trial(trial), paths.samples(trial)).model
            if not model.is_dir():
                continue
            config = config_of(row)
            samples = open_sampler(model)(protocol.n_fake, protocol.seed)
            rows = domain.chosen(config.data)
            left_out = rows if config.data.shots else None
            about = domain, domain.path, protocol, extractor
            measured = measure(EvalContext(samples, *about, rows, left_out, config.mirrors))
            yield {key: row[key] for key in ABOUT} | dict(measured.values) | dict(measured.record)


def main() -> None:
    """Write the rows as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--metrics", default="fd,kd,iw,copy_rate", help=", ".join(METRICS))
    parser.add_argument("--studies", default="", help="with commas between; all of the home by default")
    given = parser.parse_args()
    use_cores(1)
    home = Home(given.home)
    studies = [name for name in given.studies.split(",") if name] or home.names("studies")
    rows = list(scored(home, studies, tuple(given.metrics.split(","))))
    with writing(given.out) as beside, beside.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    print(f"{given.out}: {len(rows)} trials")


if __name__ == "__main__":
    main()
