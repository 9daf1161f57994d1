"""`search --space methods`: each source fine-tuned or as it is, from the first trial to the evidence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from search.records.results import load
from search.records.study import open_study
from search.transfer_sampler import CONTROL
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

Run = Callable[..., tuple[int, str, str]]

SETTINGS = "--max-images 64 --concurrency 1 --threads-per-trial 1 --name s"


@pytest.mark.ray
def test_a_search_of_methods_runs_and_its_evidence_is_read(
    run: Run, home: Home, tiny_domain: str, new_source: Callable[..., SourceModel], tmp_path: Path
) -> None:
    new_source("a", seed=1), new_source("b", seed=2)
    code, _, complaint = run(f"search dots --space methods --sources a,b --trials {CONTROL + 1} --seed 2 {SETTINGS}")
    assert code == 0, complaint
    paths, spec = open_study(home, "s")
    rows = load(paths.evaluations).to_pylist()
    first = {row["trial"]: (row["source"], row["method"]) for row in rows if row["trial"] < 2}
    assert (spec.sampler, [first[number] for number in range(2)]) == (
        "transfer",
        [(each, "finetune") for each in spec.sources],
    )
    as_is = [row for row in rows if row["method"] == "as_is"]
    tuned = [row for row in rows if row["method"] == "finetune"]
    assert {row["source"] for row in as_is} == {"a", "b"}
    assert {row["source"] for row in tuned} == {"a", "b", "scratch"}
    assert all((row["status"], row["images_seen"], row["optim/lr_g"]) == ("completed", 0, None) for row in as_is)
    assert all(row["optim/lr_g"] and (row["loss_d"] is not None or not row["images_seen"]) for row in tuned)
    trials = json.loads(run("status s --json")[1])["trials"]
    assert len(trials) == CONTROL + 1
    code, said, complaint = run("pick dots --json")
    assert code == 0, complaint
    assert json.loads(said)["config"]["method"] in ("finetune", "as_is")
    assert run(f"report s -o {tmp_path / 'report.html'}")[0] == 0
    assert run(f"sample s:{as_is[0]['trial']} -n 4 -o {tmp_path / 'grid.png'}")[0] == 0
    code, said, _ = run("resume s")
    assert (code, "complete already" in said) == (0, True)
