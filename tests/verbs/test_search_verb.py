"""`understock search`: what it plans, how it ends, and what it says of it."""

import json
from collections.abc import Callable

import pytest

from search.launch import begin, resolve_study
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

Run = Callable[..., tuple[int, str, str]]


def test_a_dry_run_prints_the_study_and_writes_nothing(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    code, said, _ = run("search dots --sources seed-7 --trials 3 --dry-run")
    printed = json.loads(said)
    assert (code, printed["study"]["trials"], printed["study"]["sources"]) == (0, 3, ["seed-7"])
    assert printed["an example trial"]["target"] == "dots"
    assert home.names("studies") == []


@pytest.mark.ray
def test_a_search_whose_time_is_up_says_how_to_go_on_and_is_no_failure(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    settings = "--sources seed-7 --trials 3 --concurrency 1 --threads-per-trial 1 --max-minutes 0.01"
    code, said, _ = run(f"search dots {settings}")
    assert code == 0
    last = f"of 3 trials are through; go on with: understock resume dots-quickstart --home {home.root}"
    assert said.splitlines()[-1].startswith("time is up: ")
    assert said.splitlines()[-1].endswith(last)


@pytest.mark.ray
def test_a_search_that_has_cost_what_it_may_is_complete(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    code, said, _ = run("search dots --sources seed-7 --concurrency 1 --threads-per-trial 1 --core-hours 0.0005")
    assert code == 0
    assert "enough: its 0.0005 core-hours are spent\n" in said and "report: " in said
    code, said, _ = run("resume dots-quickstart")
    assert (code, said.splitlines()[0]) == (0, "study dots-quickstart is complete already: nothing was trained")
    rows = json.loads(run("status dots-quickstart --json")[1])
    assert rows["trials_wanted"] is None and "running" not in {trial["status"] for trial in rows["trials"]}


def test_what_a_search_leaves_out_is_noted(run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    code, said, notes = run("search dots --dry-run")
    left_out = {"mdi", "mnist", "twemoji", "seed-7"} - set(json.loads(said)["study"]["sources"])
    assert code == 0
    assert left_out
    assert all(line.startswith("note: ") for line in notes.splitlines())
    assert all(repr(name) in notes or name in notes for name in left_out)


@pytest.mark.slow
def test_a_study_whose_ranking_failed_is_none_and_the_same_command_begins_it(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    weights = home.source("seed-7") / "generator.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    code, _, complaint = run("search dots --sources seed-7 --name x --trials 1")
    assert code == 2 and "were changed or damaged" in complaint
    assert run("status x")[2].endswith("known: none yet\n")
    assert json.loads(run("status --json")[1]) == []
    weights.write_bytes(whole)
    assert begin(home, resolve_study(home, "dots", "quickstart", sources="seed-7", name="x", trials=1).spec) == "x"
    assert [study["study"] for study in json.loads(run("status --json")[1])] == ["x"]
