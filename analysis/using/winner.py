"""The best trial of a study, or a named one, and the generator that it leaves."""

from pathlib import Path

from analysis.tables import summary
from search.records.results import load
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.counts import plural
from spaces.errors import UserError
from trainables.storage.home import Home, fetch
from trainables.training.trial_files import TrialFiles


def chosen(home: Home, study: str) -> tuple[StudyPaths, StudySpec, int]:
    """STUDY and its best trial, or STUDY:TRIAL; UserError if there is no such study, or none of its trials has a score."""
    name, colon, number = study.partition(":")
    if not name:
        raise UserError(f"{study!r} names no study; give STUDY or STUDY:TRIAL, as in cats-quickstart:3")
    paths, spec = open_study(home, name)
    if colon:
        if not number.isdecimal() or len(number) > 9:
            raise UserError(f"{study!r}: the trial is {number!r}, a number was expected, as in {name}:3")
        return paths, spec, int(number)
    best = summary(load(paths.evaluations), spec).best
    if best is None:
        raise UserError(f"study {name!r} has no trial with a score yet; see `understock status {name}`")
    return paths, spec, best.trial


def check_trial(paths: StudyPaths, trial: int) -> None:
    """UserError if nothing was ever recorded of a trial."""
    there, name = set(load(paths.evaluations)["trial"].to_pylist()), paths.root.name
    if trial not in there:
        known = (
            f"its trials are {min(there)} to {max(there)}"
            if len(there) > 1
            else f"it has {plural(len(there), 'trial')}"
        )
        raise UserError(f"study {name!r} has no trial {trial}: {known}; see `understock status {name}`")


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
        check_trial(paths, trial)
        raise UserError(f"trial {trial} of study {study!r} left no generator; see `understock status {study}`")
    return path
