import subprocess
from types import SimpleNamespace

import pytest
import torch

from analysis.contents import contents
from analysis.exhibits import neighbours, prepare, source_grid, writable
from analysis.study_data import StudyData
from search.records.results import write_trial
from search.records.study import StudyPaths, StudySpec, write_spec
from spaces.trials import parse_trial
from trainables.images.domains import remove_domain
from trainables.running.trial import run_trial
from trainables.training.loop import evaluations
from trainables.training.trial_files import TrialFiles


def study_of(home, config):
    """A study "s" of one trial of this config, which really is run."""
    paths = StudyPaths.of(home, "s")
    about = {
        "name": "s",
        "target": "dots",
        "space": "quickstart",
        "trials": 1,
        "sources": ["seed-7"],
        "train_images": 40,
    }
    spec = StudySpec.parse(
        about | {"base": config.model_dump(), "digests": {}, "versions": {}, "created": "2026"}, "test"
    )
    write_spec(paths, spec)
    files = TrialFiles(paths.trial(0), paths.samples(0))
    rows = [evaluation.row() for evaluation in evaluations(run_trial(config, home, files, torch.device("cpu")))]
    write_trial(paths.evaluation(0), config, study="s", trial=0, status="completed", evaluations=rows)
    return SimpleNamespace(home=home, paths=paths, config=config, read=lambda: StudyData.of(home, [(paths, spec)])[0])


@pytest.fixture
def trained(home, tiny_config, tiny_source):
    """A study of one trial from "seed-7", which really was trained."""
    return study_of(home, tiny_config(source="seed-7"))


@pytest.mark.slow
def test_a_real_studys_exhibits_are_made_once_and_shown(trained):
    assert list(prepare(trained.read())) == []
    found = neighbours(trained.paths, 0)
    assert (found.train_images, len(found.samples), len(found.held_out)) == (40, 24, 8)
    times = [path.stat().st_mtime_ns for path in sorted(trained.paths.exhibits.iterdir())]
    assert list(prepare(trained.read())) == []
    assert [path.stat().st_mtime_ns for path in sorted(trained.paths.exhibits.iterdir())] == times
    captions = [image.caption for image in contents([trained.read()])[8].blocks[0].images]
    assert captions[1] == "source model seed-7, before any training"
    assert captions[2].endswith("8 z; from top to bottom: the source model, then after 16, 32 images seen")
    assert captions[3].startswith("top row: the 8 samples of trial 0 (seed-7, both networks)")


def test_a_trials_config_is_read_back_whole_from_its_row(trained):
    assert trained.read().config(0) == trained.config


@pytest.mark.slow
def test_what_can_not_be_made_is_told_and_the_report_does_without(trained):
    remove_domain(trained.home, "dots")
    (trained.home.source("seed-7") / "generator.safetensors").unlink()
    source, near = prepare(trained.read())
    assert source.startswith("no grid of source model 'seed-7': ")
    assert near.startswith("no nearest training images of trial 0: ")
    assert not source_grid(trained.paths, "seed-7").exists()
    assert len(contents([trained.read()])[8].blocks[0].notes) == 2


def test_damaged_exhibits_count_as_none(trained):
    list(prepare(trained.read()))
    (damaged,) = trained.paths.exhibits.glob("*.json")
    damaged.write_text("{")
    assert neighbours(trained.paths, 0) is None


def test_a_source_as_it_is_is_shown_once_by_its_own_samples(home, tiny_config, tiny_source):
    values = tiny_config().model_dump()
    common = {name: values[name] for name in ("target", "network", "budget", "protocol")}
    study = study_of(home, parse_trial({**common, "method": "as_is", "source": "seed-7"}, "test"))
    data = study.read()
    assert (data.ranked["way"].tolist(), data.rows["images_seen"].tolist()) == (["as is"], [0])
    assert data.rows["seconds"].equals(data.rows["wall_seconds"])
    assert data.config(0) == study.config
    assert list(prepare(data)) == []
    assert not source_grid(study.paths, "seed-7").exists()
    captions = [image.caption for image in contents([study.read()])[8].blocks[0].images]
    assert captions[0] == "trial 0 (seed-7, as it is), no training"
    assert len(captions) == 2  # with the nearest training images


@pytest.mark.slow
def test_a_study_that_can_only_be_read_is_shown_with_its_exhibits_and_they_go_afterwards(trained):
    root = str(trained.home.root)
    if subprocess.run(["mount", "--bind", root, root], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", root], check=True)
        with writable(trained.read()) as study:
            assert list(prepare(study)) == []
            assert [len(contents([study])[8].blocks[0].images), len(list(study.paths.exhibits.iterdir()))] == [4, 3]
        assert not study.paths.exhibits.exists()
        assert not trained.paths.exhibits.exists()
    finally:
        subprocess.run(["umount", "-l", root], check=True)
    with writable(trained.read()) as study:
        assert study.paths.exhibits == trained.paths.root / "exhibits"
