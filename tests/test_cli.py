"""What holds for verbs of every kind: their help, how they are interrupted, and homes that are damaged or only read."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import understock
from search.launch import resolve_study
from search.records.study import StudyPaths, write_spec
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

Run = Callable[..., tuple[int, str, str]]


def verbs() -> list[str]:
    found = []
    groups = (
        (understock.studies, ""),
        (understock.reports, ""),
        (understock.picking, ""),
        (understock.watching, ""),
        (understock.domains, "domains "),
        (understock.sources, "sources "),
    )
    for group, prefix in groups:
        found += [
            prefix + (c.name or c.callback.__name__.replace("_", "-")) for c in group.registered_commands if c.callback
        ]
    return found


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_has_help_with_an_example_and_stands_in_the_readme(run: Run, verb: str) -> None:
    code, said, _ = run(f"{verb} --help")
    assert code == 0
    assert f"Example: understock {verb}" in " ".join(said.replace("│", " ").split())
    assert f"understock {verb}" in (Path(understock.__file__).parent / "README.md").read_text()


def test_a_bug_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(typer.Typer, "__call__", broken)
    with pytest.raises(ZeroDivisionError):
        run("domains list")


@pytest.mark.parametrize("line", ["", "domains", "sources"])
def test_without_a_verb_there_is_help_and_no_complaint(run: Run, line: str) -> None:
    code, said, complaint = run(line)
    assert (code, complaint) == (2, "")
    assert "Usage: understock" in said


@pytest.mark.slow
def test_a_ranking_is_a_table_and_json(run: Run, tiny_domain: str, tiny_source: SourceModel) -> None:
    code, said, _ = run("rank dots --sources seed-7")
    assert code == 0
    assert {"rank", "fd", "kd", "recall", "coverage", "critic"} <= {line.split(" ")[0] for line in said.splitlines()}
    rows = json.loads(run("rank dots --sources seed-7 --json")[1])["rows"]
    assert rows[0]["source"] == "seed-7"
    assert {"value", "floor", "rank"} <= rows[0]["parts"]["fd"].keys()


TRAIN = "train dots --config {home}/config.json --threads 1"


INTERRUPTED = {
    TRAIN: (
        "studies/dots-config/trials/00000/checkpoint-1.safetensors",
        "interrupted; the same command goes on",
    ),
    "sources train dots --max-images 640 --threads 1": (
        "sources/.training-dots/checkpoint-1.safetensors",
        "interrupted; the same command goes on",
    ),
    "domains add icons builtin:mdi --resolution 128": ("domains", "interrupted; nothing was imported"),
}


SLOW = {TRAIN: pytest.mark.ray}  # no Ray in it, but seconds of another process


@pytest.mark.parametrize("line", [pytest.param(line, marks=SLOW.get(line, ())) for line in INTERRUPTED])
@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(home: Home, line: str, request: pytest.FixtureRequest) -> None:
    if "dots" in line:
        config = request.getfixturevalue("tiny_config")(budget={"images": 8_000, "eval_every_images": 16})
        (home.root / "config.json").write_text(config.model_dump_json())
    begun, said = INTERRUPTED[line]
    words = shlex.split(line.replace("{home}", str(home.root)))
    command = [sys.executable, "-m", "understock", *words, "--home", str(home.root)]
    root = Path(understock.__file__).parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not (home.root / begun).exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaint.splitlines()[-1] == said
    assert "Traceback" not in complaint


@pytest.mark.parametrize("kind", ["domains", "sources"])
def test_one_damaged_thing_does_not_hide_the_others(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, kind: str
) -> None:
    whole = home.root / kind / {"domains": "dots", "sources": "seed-7"}[kind]
    shutil.copytree(whole, whole.with_name("broken"))
    next(whole.with_name("broken").glob("*.json")).write_text("{")
    code, said, complaint = run(f"{kind} list --json")
    assert code == 0
    assert whole.name in {item["name"] for item in json.loads(said)}
    assert "'broken'" in complaint
    assert len(complaint.splitlines()) == 1


READING = (
    "domains list",
    "domains show dots",
    "sources list",
    "sources show seed-7",
    "status",
    "status begun",
    "rank dots --sources seed-7",
    "search dots --sources seed-7 --dry-run",
)


@pytest.mark.slow
def test_what_only_reads_works_in_a_home_that_can_not_be_written_and_the_rest_is_refused(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path
) -> None:
    write_spec(StudyPaths.of(home, "begun"), resolve_study(home, "dots", "quickstart", sources="seed-7").spec)
    if subprocess.run(["mount", "--bind", home.root, home.root], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    subprocess.run(["mount", "-o", "remount,ro,bind", home.root], check=True)
    try:
        for line in READING:
            code, said, complaint = run(line)
            assert (code, bool(said)) == (0, True), f"{line}: {complaint}"
        for line in (
            "domains add new builtin:mdi",
            "domains rm dots",
            "sources rm seed-7",
            "sources train dots",
            "search dots --sources seed-7 --name new",
        ):
            code, _, complaint = run(line)
            assert code == 2, line
            assert complaint.splitlines()[-1].startswith(f"understock: home {home.root} can't be written (Read-only"), (
                line
            )
    finally:
        subprocess.run(["umount", "-l", home.root], check=True)


def test_a_process_does_not_look_for_garbage_at_its_end(home: Home) -> None:
    """With torch and Ray that takes a second, and many after Ctrl-C where memory is short."""
    code = (
        "import atexit, gc, understock\n"
        "atexit.register(lambda: print(len(gc.get_objects()) < 1_000))  # registered first, called last\n"
        "understock.main()"
    )
    command = [sys.executable, "-c", code, "status", "--home", str(home)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "True"


def test_strangers_in_the_home_s_folders_stop_no_verb(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    for kind in ("domains", "sources", "studies"):
        for stray in ("lost+found", "backup"):
            (home.root / kind / stray).mkdir(parents=True)
        (home.root / kind / "notes.txt").write_text("")
    for line in ("domains list", "sources list", "status", "search dots --dry-run"):
        code, said, complaint = run(line)
        assert code == 0 and said, f"{line}: {complaint}"
        assert "lost+found" not in said + complaint
    assert run("status --json")[1] == "[]\n"
