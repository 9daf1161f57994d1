"""The generator that a study leaves: the best trial's, or a named trial's."""

import json
import shutil
from pathlib import Path

from analysis.tables import summary
from search.records.results import load
from search.records.study import open_study
from spaces.errors import UserError
from trainables.storage.home import Home, fetch, writing_folder
from trainables.storage.weights import read_tensors
from trainables.training.trial_files import TrialFiles


def generator_file(home: Home, study: str) -> Path:
    """The weights of STUDY's best trial, or of STUDY:TRIAL; UserError if there are none."""
    name, _, number = study.partition(":")
    paths, spec = open_study(home, name)
    if number and not number.isdecimal():
        raise UserError(f"{study!r}: the trial is {number!r}, a number was expected, as in {name}:3")
    best = summary(load(paths.evaluations), spec).best
    if not number and best is None:
        raise UserError(f"study {name!r} has no trial with a score yet; see `understock status {name}`")
    trial = int(number) if number else best.trial if best else 0
    path = TrialFiles(paths.trial(trial), paths.samples(trial)).generator
    fetch(path)
    if not path.is_file():
        raise UserError(f"trial {trial} of study {name!r} left no generator; see `understock status {name}`")
    return path


def export_generator(path: Path, folder: Path) -> None:
    """Copy a generator to a new folder, as `generator.safetensors` and the trial's `config.json`."""
    if folder.exists():
        raise UserError(f"{folder} is there already; give a folder that is not")
    with writing_folder(folder) as beside:
        shutil.copyfile(path, beside / "generator.safetensors")
        (beside / "config.json").write_text(json.dumps(json.loads(read_tensors(path)[1]["config"]), indent=1) + "\n")
