"""`understock status`: how one study stands, and how all do."""

import json
from collections.abc import Callable

from search.launch import resolve_study
from search.records.study import StudyPaths, only_driver, write_spec
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

Run = Callable[..., tuple[int, str, str]]


def begin(home: Home) -> None:
    """Study "begun", of which nothing ran yet."""
    paths = StudyPaths.of(home, "begun")
    write_spec(paths, resolve_study(home, "dots", "quickstart", name="begun", sources="seed-7").spec)


def test_status_tells_the_size_of_the_folder(run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    begin(home)
    root = StudyPaths.of(home, "begun").root
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert json.loads(run("status begun --json")[1])["bytes"] == size
    assert run("status begun")[1].splitlines()[-1] == f"{size / 1000:.1f} kB in {root}"


def test_status_lists_how_every_study_stands(run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    assert run("status")[1].endswith("begin one with: understock search TARGET\n")
    begin(home)
    heading, line = run("status")[1].splitlines()
    assert heading.split() == ["study", "target", "state", "trials", "best", "by"]
    assert line.split() == ["begun", "dots", "interrupted", "0", "of", "24", "FD", "(efficientnet_lite0)"]
    with only_driver(StudyPaths.of(home, "begun")):
        assert json.loads(run("status --json")[1]) == [
            {
                "study": "begun",
                "target": "dots",
                "state": "running",
                "trials_through": 0,
                "trials_wanted": 24,
                "best": None,
                "metric": "FD (efficientnet_lite0)",
            }
        ]


def test_the_status_of_a_study_says_how_it_stands_and_how_to_go_on(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    begin(home)
    go_on = f"go on with: understock resume begun --home {home.root}"
    said = run("status begun")[1].splitlines()
    assert "study begun, interrupted: 0 trials (none has started), 0.0 min in all" in said and go_on in said
    assert json.loads(run("status begun --json")[1])["state"] == "interrupted"
    with only_driver(StudyPaths.of(home, "begun")):
        said = run("status begun")[1].splitlines()
        assert "study begun, running: 0 trials (none has started), 0.0 min in all" in said and go_on not in said


def test_a_study_that_can_not_be_read_hides_no_other(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    begin(home)
    (home.study("broken")).mkdir()
    StudyPaths.of(home, "broken").spec.write_text("{")
    code, said, complaint = run("status")
    assert (code, "begun" in said, len(complaint.splitlines())) == (0, True, 1)
    assert "broken/study.json is not JSON" in complaint
