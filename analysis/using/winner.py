"""The best trial of a study, or a named one, and the generator that it leaves."""

from pathlib import Path

from analysis.tables import summary
from search.records.results import load
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.errors import UserError
from trainables.storage.home import Home, fetch
from trainables.training.trial_files import TrialFiles


def chosen(home: Home, study: str) -> tuple[StudyPaths, StudySpec, int]:
    """STUDY and its best trial, or STUDY:TRIAL; UserError if there is none."""
    name, _, number = study.partition(":")
    paths, spec = open_study(home, name)
    if number and not number.isdecimal():
        raise UserError(f"{study!r}: the trial is {number!r}, a number was expected, as in {name}:3")
    best = summary(load(paths.evaluations), spec).best
    if not number and best is None:
        raise UserError(f"study {name!r} has no trial with a score yet; see `understock status {name}`")
    return paths, spec, int(number) if number else best.trial if best else 0


def model_path(home: Home, study: str) -> Path:
    """Where the model of STUDY's best trial lies, or of STUDY:TRIAL; UserError if there is none."""
    paths, spec, trial = chosen(home, study)
    return model_of(paths, spec.name, trial)


def model_of(paths: StudyPaths, study: str, trial: int) -> Path:
    """Where the model of that trial lies; UserError if it left none."""
    files = TrialFiles(paths.trial(trial), paths.samples(trial))
    for place in (files.model, files.generator_alone):
        fetch(place)
    path = files.left()
    if path is None:
        raise UserError(f"trial {trial} of study {study!r} left no generator; see `understock status {study}`")
    return path
