"""Pictures that torch has to make for a report: made once, where the models and images are, and kept with the study."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.study_data import StudyData
from analysis.tables import AS_IS, WAY
from search.records.study import StudyPaths
from spaces.config import SCRATCH
from spaces.errors import UserError
from trainables.images.grids import BY_CLASS
from trainables.storage.home import StorageError, fetch, storage_errors
from trainables.storage.json_files import read_json


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images of a trial's samples."""

    picture: Path
    samples: list[float]
    """The distance of each sample to its nearest training image, in features."""
    held_out: list[float]
    """The distances of real images that were not trained on to their nearest training images."""
    train_images: int
    extractor: str


def source_grid(paths: StudyPaths, source: str) -> Path:
    """Where the grid of a source model, from the z of the study's trials, lies if it was made."""
    return paths.exhibits / f"source-{source}.png"


def inputs_grid(paths: StudyPaths, domain: str) -> Path:
    """Where the grid of a source domain's images, those that the study's trials translate in the same places, lies if it was
    made."""
    return paths.exhibits / f"inputs-{domain}.png"


def start_grid(study: StudyData, trial: int) -> Path:
    """The grid of what a trial's samples are made from: the images that it translates, or else its source model's samples."""
    source = study.row(trial)["source"]
    return inputs_grid(study.paths, source) if study.translates(trial) else source_grid(study.paths, source)


def neighbours(paths: StudyPaths, trial: int) -> Neighbours | None:
    """What was found for a trial's last samples; None if nothing was, or if it is damaged."""
    latest = _latest_grid(paths, trial)
    if latest is None:
        return None
    picture = _neighbours_picture(paths, trial, latest)
    try:
        found = read_json(picture.with_suffix(".json"))
        return Neighbours(picture, found["samples"], found["held_out"], found["train_images"], found["extractor"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def writable(study: StudyData) -> Iterator[StudyData]:
    """The study with a place for its exhibits: its own, or for the length of the block a copy, if that can't be written."""
    own = study.paths.exhibits
    try:
        with storage_errors(own):
            own.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=own):
                pass
    except StorageError:
        with tempfile.TemporaryDirectory(prefix="understock-") as folder:
            if own.is_dir():
                shutil.copytree(own, folder, dirs_exist_ok=True)
            yield replace(study, paths=replace(study.paths, beside=Path(folder)))
    else:
        yield study


def prepare(study: StudyData) -> Iterator[str]:
    """Make what is missing for the study's best trial; yields a line on what can't be made, and why.

    The domain and the source model may be elsewhere, as for a study that was copied; a report does without.
    """
    if study.ranked.empty:
        return
    best = study.ranked.iloc[0]
    trial, source, protocol = int(best["trial"]), str(best["source"]), study.spec.base.protocol
    is_source = best[WAY] == AS_IS  # whose own samples are the source's
    start, translates = start_grid(study, trial), study.translates(trial)
    has_start = source != SCRATCH and not is_source and study.has_start(trial)
    if has_start and not start.is_file():
        from trainables.sources.pictures import write_source_grid
        from trainables.using.drawing import write_inputs_grid

        write = write_inputs_grid if translates else write_source_grid
        try:
            write(study.home, source, protocol, start)
        except (UserError, OSError) as error:
            yield f"no grid of source {'domain' if translates else 'model'} {source!r}: {error}"
    latest = _latest_grid(study.paths, trial)
    if latest is None or neighbours(study.paths, trial) is not None:
        return
    # said without torch, which takes seconds to start
    if study.spec.target not in study.home.names("domains"):
        yield f"no nearest training images of trial {trial}: domain {study.spec.target!r} is not in {study.home.root}"
    else:
        from trainables.sources.pictures import write_neighbours

        try:
            write_neighbours(study.home, study.config(trial), latest, _neighbours_picture(study.paths, trial, latest))
        except (UserError, OSError) as error:
            yield f"no nearest training images of trial {trial}: {error}"


def grids(paths: StudyPaths, trial: int) -> list[Path]:
    """The grids that a trial has left, one an evaluation, the first one first."""
    folder = paths.samples(trial)
    fetch(folder)
    return sorted(path for path in folder.glob("[0-9]*.png") if path.stem.isdigit())


def class_grid(paths: StudyPaths, trial: int) -> Path | None:
    """The grid of classes that a conditional trial left at its end, a row a class; None of another."""
    return max(paths.samples(trial).glob(f"{BY_CLASS}*.png"), default=None)


def _latest_grid(paths: StudyPaths, trial: int) -> Path | None:
    return max(grids(paths, trial), default=None)


def _neighbours_picture(paths: StudyPaths, trial: int, grid: Path) -> Path:
    return paths.exhibits / f"neighbours-{trial:05d}-{grid.stem}.png"
