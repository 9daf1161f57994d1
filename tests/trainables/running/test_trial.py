import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.images.domains import open_domain, remove_domain, write_domain
from trainables.methods.registry import open_sampler
from trainables.networks.models import Model
from trainables.running import trial
from trainables.running.given import ChangedDataError
from trainables.running.tune_trial import DATA_CHANGED, OUT_OF_STORAGE, TrialJob
from trainables.sources.shelf import SourceModel, open_source, remove_source, save_source
from trainables.storage import store
from trainables.storage.home import Home
from trainables.storage.store import ObjectStore, StoreError, UnreachableError
from trainables.training.checkpoints import last_state
from trainables.training.loop import Evaluation, evaluations
from trainables.training.trial_files import TrialBusyError, TrialFiles

CPU = torch.device("cpu")
Make = Callable[..., TrialConfig]
LONG = {"images": 80, "eval_every_images": 16}


def run_trial(*given: Any) -> Iterator[Evaluation]:
    """The evaluations of a trial, without the progress between them."""
    return evaluations(trial.run_trial(*given))


def without_seconds(evaluations: list[Evaluation]) -> list[tuple[object, ...]]:
    return [(e.status, e.images_seen, e.losses, e.metrics, e.record) for e in evaluations]


@pytest.mark.slow
def test_a_resumed_trial_equals_an_unbroken_one_bit_for_bit(
    home: Home, tiny_config: Make, files: TrialFiles, tmp_path: Path
) -> None:
    config, other = tiny_config(budget=LONG), TrialFiles(tmp_path / "b", tmp_path / "b-samples")
    unbroken = list(run_trial(config, home, files, CPU))
    broken = run_trial(config, home, other, CPU)
    for _ in range(2):
        next(broken)
    broken.close()
    resumed = list(run_trial(config, home, other, CPU))
    assert without_seconds(resumed) == without_seconds(unbroken)
    one, two = last_state(files), last_state(other)
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_a_killed_trial_goes_on_where_its_last_evaluation_was(home: Home, tiny_config: Make, files: TrialFiles) -> None:
    config = tiny_config(budget={"images": 100_000, "eval_every_images": 16})
    script = (
        "import sys, torch; from pathlib import Path; from spaces.trials import parse_trial_json; "
        "from trainables.storage.home import Home; from trainables.training.trial_files import TrialFiles; "
        "from trainables.running.trial import run_trial; torch.set_num_threads(1); "
        "list(run_trial(parse_trial_json(sys.argv[1], 'test'), Home(Path(sys.argv[2])), "
        "TrialFiles(Path(sys.argv[3]), Path(sys.argv[4])), torch.device('cpu')))"
    )
    arguments = [config.model_dump_json(), str(home.root), str(files.folder), str(files.samples)]
    process = subprocess.Popen([sys.executable, "-c", script, *arguments])
    deadline = time.monotonic() + 60
    while len(list(files.samples.glob("[!.]*.png"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    trial = run_trial(config, home, files, CPU)
    first_three = [next(trial) for _ in range(4)]
    trial.close()
    whole = run_trial(config, home, TrialFiles(files.folder / "c", files.folder / "d"), CPU)
    assert without_seconds(first_three) == without_seconds([next(whole) for _ in range(4)])


def test_a_finished_trial_is_not_trained_again(home: Home, tiny_config: Make, files: TrialFiles) -> None:
    first = list(run_trial(tiny_config(), home, files, CPU))
    changed = [path.stat().st_mtime_ns for path in files.slots]
    assert list(run_trial(tiny_config(), home, files, CPU)) == first
    assert [path.stat().st_mtime_ns for path in files.slots] == changed


def test_every_evaluation_leaves_a_grid_and_says_how_it_was_measured(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    evaluations = list(run_trial(tiny_config(), home, files, CPU))
    assert sorted(path.stem for path in files.samples.iterdir()) == ["000000016", "000000032"]
    expected = {"extractor": "efficientnet_lite0", "n_fake": 24, "n_real": 40, "split": "train", "metric_seed": 0}
    assert expected.items() <= evaluations[-1].record.items()
    assert {"fd", "fd_floor", "iw", "iw_se", "iw_floor", "iw_floor_se"} == evaluations[-1].metrics.keys()


def test_a_rung_measures_one_number_of_few_images_and_the_end_all_of_it(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    protocol = tiny_config().protocol.model_dump() | {"n_rung": 8}
    budget = {"images": 48, "eval_every_images": 16, "eval_start": True}
    *rungs, last = run_trial(tiny_config(protocol=protocol, budget=budget), home, files, CPU)
    assert [(e.images_seen, e.record["n_drawn"], e.record["n_fake"]) for e in rungs] == [
        (n, 8, 24) for n in (0, 16, 32)
    ]
    assert all(e.metrics.keys() == {"fd", "fd_floor"} for e in rungs)
    assert (last.record["n_drawn"], last.record["n_fake"]) == (24, 24)
    assert last.metrics.keys() == {"fd", "fd_floor", "iw", "iw_se", "iw_floor", "iw_floor_se"}


@pytest.mark.slow
def test_a_trial_with_rungs_that_was_killed_ends_like_an_unbroken_one(
    home: Home, tiny_config: Make, files: TrialFiles, tmp_path: Path
) -> None:
    protocol = tiny_config().protocol.model_dump() | {"n_rung": 8}
    budget = {"images": 54, "eval_every_images": 16, "eval_growth": 2, "eval_start": True}
    config = tiny_config(protocol=protocol, budget=budget)
    unbroken = list(run_trial(config, home, files, CPU))
    for stop in (1, 2, 3):
        other = TrialFiles(tmp_path / f"{stop}", tmp_path / f"{stop}-samples")
        begun = run_trial(config, home, other, CPU)
        for _ in range(stop):
            next(begun)
        begun.close()
        assert without_seconds(list(run_trial(config, home, other, CPU))) == without_seconds(unbroken)


def test_the_generator_file_samples_what_the_trial_was_scored_on(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    from PIL import Image

    from trainables.images.grids import image_grid

    list(run_trial(tiny_config(), home, files, CPU))
    expected = image_grid(open_sampler(files.model)(24, seed=0).images.numpy())
    assert expected.tobytes() == Image.open(files.samples / "000000032.png").convert("RGB").tobytes()


def test_a_trial_of_a_source_grafts_it(
    home: Home, tiny_config: Make, tiny_source: SourceModel, files: TrialFiles
) -> None:
    scratch = next(run_trial(tiny_config(), home, files, CPU))
    grafted = next(run_trial(tiny_config(source="seed-7"), home, TrialFiles(files.folder / "b", files.samples), CPU))
    assert scratch.losses != grafted.losses
    assert scratch.record["origin"] == "random weights"
    assert "re-initialised 0, left 0 unused, froze 0" in grafted.record["origin"]


def test_a_checkpoint_of_another_config_is_refused(home: Home, tiny_config: Make, files: TrialFiles) -> None:
    list(run_trial(tiny_config(), home, files, CPU))
    with pytest.raises(UserError, match="of another configuration"):
        list(run_trial(tiny_config(seed=1), home, files, CPU))


def test_a_trial_that_another_process_still_trains_is_waited_for(
    home: Home, tiny_config: Make, files: TrialFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_trial(tiny_config(), home, files, CPU)
    next(first)
    monkeypatch.setattr("trainables.training.trial_files._PATIENCE_SECONDS", 0.2)
    with pytest.raises(TrialBusyError, match="another process still trains"):
        next(run_trial(tiny_config(), home, files, CPU))
    first.close()
    assert len(list(run_trial(tiny_config(), home, files, CPU))) == 2


@pytest.mark.slow
def test_a_metric_that_is_no_number_ends_the_trial_as_diverged(
    home: Home, tiny_config: Make, files: TrialFiles
) -> None:
    trial = run_trial(tiny_config(budget=LONG), home, files, CPU)
    before = [next(trial), next(trial)]
    (stored,) = (home.domain("dots") / "moments").glob("*-train-*.npz")
    values = dict(np.load(stored))
    np.savez(stored, **values | {"mean": np.full_like(values["mean"], np.nan)})
    (last,) = trial
    assert (last.status, math.isnan(last.metrics["fd"])) == ("diverged", True)
    again = list(run_trial(tiny_config(budget=LONG), home, files, CPU))
    assert [item.status for item in again] == [*(item.status for item in before), "diverged"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": "nope"}, "dots"),
        ({"source": "nope"}, "unknown source model 'nope'"),
        ({"method": "nope"}, "unknown method 'nope'; known: as_is, augmented"),
        ({"data": {"target_images": 41}}, "40"),
        ({"network": {"resolution": 64}}, "domain 'dots' has 32 pixels, the network 64"),
    ],
)
def test_what_is_not_there_is_named(
    home: Home, tiny_config: Make, files: TrialFiles, change: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        next(run_trial(tiny_config(**change), home, files, CPU))


def test_divergence_is_a_status(home: Home, tiny_config: Make, files: TrialFiles) -> None:
    config = tiny_config(optim={"batch": 4, "lr_g": 1e6, "lr_d": 1e6}, budget=LONG)
    *_, last = run_trial(config, home, files, CPU)
    assert last.status == "diverged"


def changed(home: Home, what: str) -> None:
    """Other data under the name that a trial was planned with, or none."""
    if what == "domain replaced":
        old = open_domain(home, "dots")
        write_domain(old.path, 255 - old.images, old.labels, old.is_val, origin="test", resizer="none")
    elif what == "domain removed":
        remove_domain(home, "dots")
    elif what == "source replaced":
        old = open_source(home, "seed-7")
        weights = {name: {key: t + 1 for key, t in tensors.items()} for name, tensors in old.weights().items()}
        facts = old.facts.model_dump(exclude={"digest", "networks"})
        save_source(old.path, facts, Model(old.facts.networks, weights), b"png")
    else:
        remove_source(home, "seed-7")


def test_a_node_that_the_store_refuses_ends_no_trial_for_good(
    home: Home, tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TrialJob(0, False, 0, tiny_config().model_dump_json(), str(home), "t", "s", 1, 1, 0.0)
    refused = StoreError("home s3://cats/home: Unable to locate credentials")
    assert job.ending(refused) == {"status": OUT_OF_STORAGE, "error": str(refused)}
    with pytest.raises(UnreachableError):
        job.ending(UnreachableError("home s3://cats/home is out of reach"))
    monkeypatch.setitem(sys.modules, "boto3", None)
    store._client.cache_clear()
    with pytest.raises(StoreError, match="needs boto3") as missing:
        ObjectStore.at("s3://cats/home").objects("")
    assert job.ending(missing.value)["status"] == OUT_OF_STORAGE


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("domain replaced", r"domain 'dots' is another than its trials were planned with \(digest .{12}, was .{12}\)"),
        ("domain removed", "domain 'dots', which its trials were planned with, can't be had any more .unknown domain"),
        ("source replaced", "source model 'seed-7' is another than"),
        ("source removed", "source model 'seed-7', which its trials .* any more .unknown source model"),
    ],
)
@pytest.mark.slow
def test_a_trial_does_not_go_on_with_other_data_than_it_was_planned_with(
    home: Home, tiny_config: Make, tiny_source: SourceModel, files: TrialFiles, what: str, said: str
) -> None:
    config = tiny_config(source="seed-7")
    planned = {"domain:dots": open_domain(home, "dots").facts.digest, "source:seed-7": tiny_source.facts.digest}
    trial = run_trial(config, home, files, CPU, planned)
    next(trial)  # and then it is cut off
    trial.close()
    changed(home, what)
    before = {path: path.read_bytes() for path in files.folder.glob("*.safetensors")}
    with pytest.raises(ChangedDataError, match=said) as error:
        next(run_trial(config, home, files, CPU, planned))
    assert {path: path.read_bytes() for path in files.folder.glob("*.safetensors")} == before
    job = TrialJob(0, False, 0, config.model_dump_json(), str(home), "t", "s", 1, 1, 0.0, digests=planned)
    assert job.ending(error.value) == {"status": DATA_CHANGED, "error": str(error.value)}
    with pytest.raises(ChangedDataError, match=said):
        next(job.rows())


@pytest.mark.slow
def test_a_job_of_an_earlier_version_names_no_digests_and_takes_what_is_there(home: Home, tiny_config: Make) -> None:
    job = TrialJob(0, False, 0, tiny_config().model_dump_json(), str(home), "t", "s", 1, 1, 0.0)
    changed(home, "domain replaced")
    rows = list(job.rows())
    assert [row["status"] for row in rows] == ["running", "completed"]
    ip_address(rows[-1]["node"])  # without a Ray a node has no id, and asking for one would start or join a Ray


@pytest.mark.slow
def test_images_that_are_replaced_while_a_trial_trains_change_nothing_of_it(
    home: Home, tiny_config: Make, files: TrialFiles, tmp_path: Path
) -> None:
    unbroken = list(run_trial(tiny_config(), home, TrialFiles(tmp_path / "c", tmp_path / "d"), CPU))
    trial = run_trial(tiny_config(), home, files, CPU)
    first = next(trial)
    changed(home, "domain replaced")
    assert without_seconds([first, *trial]) == without_seconds(unbroken)
