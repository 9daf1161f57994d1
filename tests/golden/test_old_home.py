"""A home that version 0.1.0 of November 2026 left (`home/`), with what it said of it (`home.json`): opened as it is.

The pick is that of the model of transfer since 27 November, which knows more of learning rates, and counts a training once.

It has a domain, a source model, a finished study "five", and a training "begun" whose process was killed at its sixth of 20
evaluations; "whole" in the JSON are the rows of the same training unbroken.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from golden_numbers import machine

from analysis.study_data import StudyData
from analysis.tables import arms, trials_frame
from analysis.using.winner import model_path
from search.recommendation import recommend
from search.records.results import load
from search.records.study import open_study
from search.running.single import train_one
from spaces.config import TrialConfig
from trainables.methods.registry import open_sampler
from trainables.storage.home import Home

HERE = Path(__file__).parent
SAID = json.loads((HERE / "home.json").read_text())
EXACT = SAID["machine"] == machine()


@pytest.fixture
def old(tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(HERE / "home", tmp_path / "home")))


def same(found: Any, said: Any) -> bool:
    """Bit for bit where numbers can be; else whatever they are rounded to elsewhere."""
    return bool(found == said if EXACT else found == pytest.approx(said, rel=0.05))


def test_its_table_reads_as_it_did(old: Home) -> None:
    paths, spec = open_study(old, "five")
    frame = trials_frame(load(paths.evaluations), spec)
    assert frame["fd"].tolist() == [trial["fd"] for trial in SAID["trials"]]
    assert frame["source"].tolist() == [trial["source"] for trial in SAID["trials"]]
    assert frame["status"].tolist() == [trial["status"] for trial in SAID["trials"]]
    found = [(arm["method"], arm["transfer/parts"]) for arm in arms(load(paths.evaluations))]
    assert found == [("finetune", trial["transfer/parts"]) for trial in SAID["trials"]]
    assert frame["optim/lr_g"].tolist() == [trial["optim/lr_g"] for trial in SAID["trials"]]


def test_its_generator_draws_the_same_images(old: Home) -> None:
    images = open_sampler(model_path(old, "five"))(16, 0).images.numpy()
    assert images.mean() == pytest.approx(SAID["samples_mean"], abs=0.1)
    if EXACT:
        assert hashlib.sha256(images.tobytes()).hexdigest() == SAID["samples"]


@pytest.mark.slow
def test_its_evidence_gives_the_same_pick(old: Home) -> None:
    picked = json.loads(recommend(old, "dots")[0].model_dump_json())
    said = SAID["pick"]
    assert (picked["source"], picked["parts"], picked["lr_g"]) == (said["source"], said["parts"], said["lr_g"])
    assert picked["measured"] == said["measured"]
    assert picked["says"] == said["says"]
    assert same(picked["score"], said["score"])


@pytest.mark.slow  # on as many threads as it had, which the fast tests share
def test_a_training_that_it_began_goes_on_and_ends_as_an_unbroken_one(old: Home) -> None:
    paths, spec = open_study(old, "begun")
    config = spec.base
    assert isinstance(config, TrialConfig)
    train_one(old, config, "begun", threads=spec.threads_per_trial)
    rows = load(paths.evaluations).to_pylist()
    assert [row["images_seen"] for row in rows] == [row["images_seen"] for row in SAID["whole"]]
    assert [row["iw_protocol"] is None for row in rows] == [True] * 6 + [False] * (len(rows) - 6)  # another IW since
    for name, known in (("fd", None), ("kd", None), ("loss_d", 7), ("loss_g", 7)):
        found, said = [row[name] for row in rows], [row[name] for row in SAID["whole"]]
        assert found[:6] == said[:6]
        until = (
            None if EXACT else known
        )  # another processor's last bits part the losses, which pass through 0, soon after
        assert same(found[:until], said[:until])


def test_its_report_is_written(old: Home) -> None:
    data = StudyData.of(old, [open_study(old, "five")])[0]
    assert data.answer.best is not None
    assert data.answer.best.trial == 2
