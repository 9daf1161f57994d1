"""Every mistake that a user can make at the command line ends in one line that helps, and exit code 2."""

import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image

import understock
from search.launch import begin, resolve_study
from search.records.study import StudyPaths, write_spec
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home, claim
from trainables.storage.weights import write_tensors

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


MISTAKES = {
    "domains add cats {tmp}/empty": "no",
    "domains add cats {tmp}/texts": "no",
    "domains add cats {tmp}/nowhere": "nowhere",
    "domains add cats {tmp}/images --resolution 48": "48",
    "domains add ../cats {tmp}/images": "'../cats' will not do",
    "domains add dots {tmp}/images --resolution 32": "--replace",
    "domains add cats builtin:nope": "known: glyphs, mdi, mnist, phosphor, phosphor-bold",
    "domains add cats {tmp}/cut.parquet": "cut.parquet",
    "domains add cats {tmp}/images --val-fraction 2": "validation fraction 2.0 will not do",
    "domains add cats {tmp}/images --image-column a": "needs a Parquet file",
    "domains add cats": "Missing argument 'WHAT'; see: understock domains add --help",
    "domains add cats {tmp}/images --resolution big": "--resolution",
    "domains nope": "No such command 'nope'",
    "domains show nope": "known: cut, dots",
    "domains show cut": "cut",
    "domains rm nope": "nope",
    "sources train nope": "nope",
    "sources train dots --preset huge": "unknown preset 'huge'; known: paper, small",
    "sources train dots --name seed-7": "--replace",
    "sources train dots --max-images 0": "budget/images: Input should be greater than 0, got 0",
    "sources train dots --threads 0": "--threads",
    "sources train dots --threads -1": "--threads",
    "sources train dots --seed -1": "seed: Input should be greater than or equal to 0, got -1",
    "sources train dots --epochs 3": "No such option: --epochs",
    "sources add new {tmp}/pickle.pt --domain x --images 1": "give a --key-map FILE.json",
    "sources add new {tmp}/cut.safetensors --domain x --images 1": "not a whole safetensors file",
    "sources add new {tmp}/nowhere --domain x --images 1": "No such file or directory",
    "sources add new {model} --domain x --images 1 --resolution 48": "got 48",
    "sources add new {model} --domain x --images 1 --family stylegan9": "known: dcgan, mimicry, resnet, stylegan2",
    "sources add new {model} --domain x --images 1 --family dcgan": "by its tensors a resnet of resolution 32, width 2, z_dim 8",
    "sources add new {tmp}/both --domain x --images 0": "images: Input should be greater than 0, got 0",
    "sources add new {tmp}/both --domain x --images 1 --classes 0": "classes: Input should be greater than 0, got 0",
    "sources show nope": "known: ",
    "sources export seed-7 -o /proc/out": "output /proc/out can't be written",
    "sources export seed-7 -o {tmp}/pickle.pt/out": "(not a folder: ",
    "sources rm nope": "nope",
    "search nope": "nope",
    "search dots --space nope": "known: conditional, fewshot, from_a_source, limited_data, methods, methods_of_few",
    "search dots --sources seed-7 --trials 0": "trials: Input should be greater than 0, got 0",
    "search dots --sources seed-7 --workers-per-trial 0": "workers_per_trial: Input should be greater than 0, got 0",
    "search dots --sources seed-7 --threads-per-trial 0": "threads_per_trial: Input should be greater than 0, got 0",
    "search dots --sources seed-7 --concurrency 0": "concurrency: Input should be greater than 0, got 0",
    "search dots --sources nope": "unknown source model 'nope'",
    "search dots --sources seed-7 --metric nope": "unknown metric 'nope'; known: class_accuracy, content_shift, copy_rate",
    "search dots --sources seed-7 --target-images 41": "40",
    "search dots --sources seed-7 --shots 30": "has 16 training images of its smallest class, --shots 30 asks for more",
    "search dots --sources seed-7 --name ../x": "name",
    "search dots --sources seed-7 --home /proc/nowhere": "no home at /proc/nowhere; name another with --home",
    "domains add cats {tmp}/images --home /proc/nowhere": "home /proc/nowhere can't be written",
    "domains list --home {tmp}/pickle.pt": "can't be read (Not a directory); give another with --home",
    "search dots --sources seed-7 --track nope": "'nope' is not one of",
    "search dots --submit 127.0.0.1:8265": "expected the Ray dashboard's address, such as http://127.0.0.1:8265",
    "search dots --submit http://127.0.0.1:9 --address auto": "exclude each other",
    "search dots --submit http://127.0.0.1:9": "no Ray dashboard to submit to at http://127.0.0.1:9",
    "search dots --submit ''": "'--submit': it is empty",
    "search dots --address ''": "'--address': it is empty",
    "search dots --sources ''": "'--sources': it is empty",
    "domains list --home ''": "(env var: 'UNDERSTOCK_HOME'): it is empty",
    "search dots --sources seed-7 --memory-per-trial nan": "Input should be",
    "search dots --sources seed-7 --memory-per-trial 1e300": "'--memory-per-trial'",
    "search dots --sources seed-7 --gpus-per-worker nan": "Input should be",
    "search dots --sources seed-7 --max-minutes inf": "Input should be less than",
    "search dots --sources seed-7 --seed 4294967296": "seed: Input should be less than 4294967296",
    "search dots --sources seed-7 --trials 1e28": "'--trials': Input should be a valid integer",
    f"search dots --sources seed-7 --trials {10**28}": "trials: Input should be less than or equal to 1000000",
    f"search dots --sources seed-7 --max-images {10**30}": "images should be at most 9223372036854775807, got 1.000e+30",
    f"search dots --sources seed-7 --threads-per-trial {10**400}": "threads_per_trial: Input should be",
    f"search dots --sources seed-7 --workers-per-trial {10**400}": "workers_per_trial: Input should be",
    f"sources train dots --max-images {10**30}": "should be at most",
    f"sources train dots --threads {10**30}": "'--threads'",
    f"sources train dots --seed {10**30}": "seed should be at most",
    "sources train dots --gpus-per-worker nan": "'--gpus-per-worker'",
    "sources add new {tmp}/both --domain x --images 1 --width 1000000": "width: Input should be less than or equal to 1024",
    "sources add new {tmp}/both --domain x --images 1 --z-dim 1000000": "z_dim: Input should be less than or equal to 1024",
    "domains add cats {tmp}/images --val-fraction nan": "validation fraction nan will not do",
    "pick dots --hours nan": "'--hours'",
    "pick dots --hours inf": "'--hours'",
    f"pick dots --trials {10**30}": "'--trials'",
    f"train dots --config {{tmp}}/pickle.pt --threads {10**30}": "'--threads'",
    "train dots --config {tmp}/huge.json": "images should be at most 9223372036854775807, got 1.000e+30",
    "sample begun:0 -n 1000000000 -o {tmp}/grid.png": "'-n'",
    "search dots --sources seed-7 --space {tmp}/quits.py:exits": "SystemExit: 3 ({tmp}/quits.py, line 4)",
    "search dots --sources seed-7 --space {tmp}/quits.py:interrupts": "KeyboardInterrupt: it says so ({tmp}/quits.py, line 6)",
    "search dots --sources seed-7 --space {tmp}/interrupts.py:space": "KeyboardInterrupt: ({tmp}/interrupts.py, line 1)",
    "domains list --home ~nobody-here/x": "~nobody-here/x: there is no such home directory; name a folder with --home",
    "domains add cats ~nobody-here/x": "~nobody-here/x: there is no such home directory; give another folder",
    "dashboard nope": "unknown study 'nope'",
    "dashboard begun": "study 'begun' has not run yet",
    "domains list --home gs://bucket/x": "expected a folder, or s3://BUCKET/PREFIX",
    "rank nope": "unknown domain 'nope'",
    "rank dots --sources nope": "unknown source model 'nope'",
    "pick nope": "unknown domain 'nope'",
    "pick dots --trials 0": "'--trials'",
    "pick dots --trials 3 --hours 2": "--trials or --hours, one of them",
    "pick dots --hours 0": "above 0",
    "pick dots -o /proc/pick.json": "output /proc/pick.json can't be written",
    "regret nope": "unknown study 'nope'",
    "regret": "studies of two targets at least, measured alike",
    "train nope --config {tmp}/pickle.pt": "is not JSON",
    "train dots --config {tmp}/nowhere.json": "can't be read (No such file or directory); make one with: understock pick dots",
    "resume nope": "unknown study 'nope'",
    "status nope": "unknown study 'nope'",
    "status begun:1": "'begun:1' is one trial, and a whole study is asked for here; give begun",
    "resume begun:1": "'begun:1' is one trial, and a whole study",
    "report begun begun:1": "'begun:1' is one trial, and a whole study",
    "compare begun begun:1": "'begun:1' is one trial, and a whole study",
    "watch begun:1": "'begun:1' is one trial, and a whole study",
    "dashboard begun:1": "'begun:1' is one trial, and a whole study",
    "classify begun:1": "'begun:1' is one trial, and a whole study",
    "regret begun:1": "'begun:1' is one trial, and a whole study",
    "sample begun:9 -o {tmp}/grid.png": "study 'begun' has no trial 9: it has 0 trials; see `understock status begun`",
    "export begun:x -o {tmp}/out": "'begun:x': the trial is 'x', a number was expected, as in begun:3",
    "play begun:9": "study 'begun' has no trial 9",
    "confirm begun:9": "study 'begun' has no trial 9",
    "confirm :9": "':9' names no study; give STUDY or STUDY:TRIAL",
    "search dots --sources seed-7 --name a/b": "name: should be lower-case letters, digits, '.', '_' and '-', starting with",
    "search a/b": "domain name 'a/b' will not do: it should be lower-case letters, digits",
    "search dots --sources a/b": "unknown source model 'a/b'",
    "train dots --config {tmp}/small.json --name a/b": "study name 'a/b' will not do: it should be lower-case letters",
    "domains add a/b {tmp}/images": "domain name 'a/b' will not do: it should be lower-case letters",
    "sources train dots --name a/b": "source model name 'a/b' will not do: it should be lower-case letters",
    "sources add a/b {tmp}/both --domain x --images 1": "source model name 'a/b' will not do: it should be lower-case",
    "report nope": "unknown study 'nope'",
    "report begun nope": "unknown study 'nope'",
    "report begun --format pdf": "unknown format 'pdf'; known: csv, html, md, parquet, png",
    "compare begun nope": "unknown study 'nope'",
    "watch nope": "unknown study 'nope'",
    "watch begun --port 70000": "port 70000 can't be had",
    "report begun -o /proc/report.html": "output /proc/report.html can't be written",
    "report begun -o {tmp}/pickle.pt/report.html": "(not a folder: ",
    "sample begun:0 -o /proc/grid.png": "output /proc/grid.png can't be written",
    "sample begun:0 -o {tmp}/pickle.pt/grid.png": "(not a folder: ",
    "sample begun:0 -o {tmp}/images": "images is there already; give a folder that is new or empty",
    "sample begun:0 -o {tmp}/images --replace": "images is there already; give a folder that is new or empty",
    "sample begun:0 -o .": ". is there already; give a folder that is new or empty",
    "export begun:0 -o {tmp}/huge.json": "huge.json is there already; give a folder that is new or empty",
    "report begun --format png -o {tmp}/images --replace": "images is there already, and not a folder of figures",
    "report begun --format png -o {tmp}/images": "images is there already; give a folder that is new or empty",
    "pick dots -o {tmp}/huge.json": "huge.json is there already; give another name, or replace it with --replace",
    "sample begun:0 -n 0 -o {tmp}/grid.png": "'-n'",
    "export begun:0 -o /proc/out": "output /proc/out can't be written",
    "export begun:0 -o {tmp}/pickle.pt/out": "(not a folder: ",
    "sample nope -o {tmp}/grid.png": "unknown study 'nope'",
    "sample nope -o {tmp}/grid.jpg": "FILE.png (a grid), FILE.npz, or a new folder",
    "sample nope -o {tmp}/grid.gif": "would be a film; give --interpolate 16 too",
    "sample nope -o {tmp}/walk.mp4": "would be a film; give --interpolate 16 too",
    "sample nope -o {tmp}/walk.gif --interpolate 8 --inputs {tmp}": "a walk leads from noise to noise",
    "sample nope -o {tmp}/walk.gif --interpolate 1": "'--interpolate'",
    "export nope -o {tmp}/out": "unknown study 'nope'",
    "export nope -o {tmp}/out --format pkl": "unknown format 'pkl'; known: hub, onnx, safetensors",
}


QUITS = """import sys

def exits(trial, **about):
    sys.exit(3)
def interrupts(trial, **about):
    raise KeyboardInterrupt("it says so")
"""

HUGE = json.dumps(
    {"target": "dots", "source": "scratch", "network": {}, "budget": {"images": 10**30, "eval_every_images": 1}}
)


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path, line: str
) -> None:
    _make_traps(tmp_path, home)
    if " begun" in line:
        _begin_study(home, tiny_source)
    model = str(home.source("seed-7") / "generator.safetensors")
    code, _, complaint = run(line.replace("{tmp}", str(tmp_path)).replace("{model}", model))
    assert code == 2, complaint
    assert complaint.startswith("understock: ")
    assert len(complaint.splitlines()) == 1, complaint
    assert MISTAKES[line].replace("{tmp}", str(tmp_path)) in complaint
    assert set(home.names("studies")) <= {"begun"}


def test_no_home_directory_is_one_line_that_says_what_to_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.delenv("UNDERSTOCK_HOME")
    code, _, complaint = run("domains add cats builtin:mnist")
    assert (code, len(complaint.splitlines())) == (2, 1), complaint
    assert "home /proc/nowhere/.understock can't be written" in complaint
    assert "give another with --home PATH or UNDERSTOCK_HOME" in complaint


def _make_traps(folder: Path, home: Home) -> None:
    for name in ("empty", "texts", "images"):
        (folder / name).mkdir()
    (folder / "texts" / "a.txt").write_text("not an image")
    Image.new("RGB", (40, 40)).save(folder / "images" / "a.png")
    (folder / "quits.py").write_text(QUITS)
    (folder / "interrupts.py").write_text("raise KeyboardInterrupt")
    (folder / "huge.json").write_text(HUGE)
    (folder / "small.json").write_text(HUGE.replace(str(10**30), "64"))
    (folder / "cut.parquet").write_bytes(b"PAR1 and then nothing")
    (folder / "pickle.pt").write_bytes(pickle.dumps({"generator.x": 1}))
    (folder / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    home.domain("cut").mkdir(parents=True)
    whole = home.domain("dots")
    (home.domain("cut") / "domain.json").write_text((whole / "domain.json").read_text())
    (home.domain("cut") / "domain.arrow").write_bytes((whole / "domain.arrow").read_bytes()[:-500])


def _begin_study(home: Home, source: SourceModel) -> None:
    """Study "begun", whose trial 0 has left a generator."""
    paths = StudyPaths.of(home, "begun")
    write_spec(paths, resolve_study(home, "dots", "quickstart", name="begun", sources="seed-7").spec)
    trial = paths.trial(0)
    trial.mkdir(parents=True)
    network = source.facts.network
    about = {"network": network.model_dump_json(), "config": "{}"}
    write_tensors(source.weights()["generator"], trial / "generator.safetensors", about)


def test_nothing_is_left_behind_by_a_refused_import(run: Run, home: Home, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run(f"domains add cats {tmp_path / 'empty'}")
    assert home.names("domains") == []


def test_domains_are_added_listed_shown_and_removed(run: Run, tmp_path: Path) -> None:
    for number in range(6):
        Image.new("RGB", (40, 40), (40 * number, 0, 0)).save(tmp_path / f"{number}.png")
    assert "5 train and 1 val" in run(f"domains add reds {tmp_path} --resolution 32")[1]
    assert json.loads(run("domains list --json")[1])[0]["name"] == "reds"
    assert "contact sheet: " in run("domains show reds")[1]
    assert run("domains rm reds")[0] == 0
    assert json.loads(run("domains list --json")[1]) == []


@pytest.mark.slow
def test_a_source_model_is_trained_exported_and_added_again(run: Run, tiny_domain: str, tmp_path: Path) -> None:
    code, said, _ = run("sources train dots --max-images 160 --threads 1")
    assert (code, "160 images seen" in said) == (0, True)
    assert run(f"sources export dots -o {tmp_path / 'out'}")[0] == 0
    files = " ".join(str(tmp_path / "out" / f"{part}.safetensors") for part in ("generator", "discriminator"))
    added = run(f"sources add again {files} --domain dots --images 40")
    assert "resnet of 32 pixels, width 16, z 128" in added[1], added
    assert {"again", "dots"} <= {item["name"] for item in json.loads(run("sources list --json")[1])}


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


def test_a_training_that_another_process_runs_is_refused(run: Run, home: Home, tiny_domain: str) -> None:
    with claim(home, "sources", "dots"):
        code, _, complaint = run("sources train dots --max-images 160 --threads 1")
    assert code == 2
    assert complaint.startswith("understock: source model 'dots' is being made by another process")


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


def test_brackets_in_a_table_are_only_brackets(
    run: Run, home: Home, tiny_domain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = home.domain("dots") / "domain.json"
    facts.write_text(facts.read_text().replace('"test"', '"[/home/a] and [bold]b"'))
    assert "[/home/a] and [bold]b" in run("domains list")[1]


def test_a_table_in_a_pipe_is_not_cut_to_a_terminal(run: Run, home: Home, tiny_domain: str, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    facts = home.domain("dots") / "domain.json"
    facts.write_text(facts.read_text().replace('"test"', f'"{"x" * 80}"'))
    assert "x" * 80 in run("domains list")[1]


def test_an_import_names_ten_skipped_files_and_where_the_others_are(run: Run, home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.new("RGB", (40, 40), (40 * number, 0, 0)).save(folder / f"{number}.png")
    for number in range(12):
        (folder / f"{number:03}.txt").write_text("no image")
    said = run(f"domains add reds {folder} --resolution 32")[1]
    assert said.count("  skipped ") == 10
    assert f"  and 2 more, in {home.domain('reds') / 'domain.json'}" in said
    for number in range(12, 101):
        (folder / f"{number:03}.txt").write_text("no image")
    said = run(f"domains add reds {folder} --resolution 32 --replace")[1]
    assert f"  and 91 more, in {home.domain('reds') / 'skipped.txt'}" in said


def test_the_image_column_of_a_parquet_file_can_be_named(run: Run, tmp_path: Path) -> None:
    data = []
    for grey in (0, 90, 180):
        Image.new("RGB", (40, 40), (grey, grey, grey)).save(tmp_path / "a.png")
        data.append((tmp_path / "a.png").read_bytes())
    pq.write_table(pa.table({"left": data, "right": data}), tmp_path / "pairs.parquet")
    assert "--image-column" in run(f"domains add pairs {tmp_path / 'pairs.parquet'}")[2]
    assert run(f"domains add pairs {tmp_path / 'pairs.parquet'} --image-column right")[0] == 0


def test_what_a_search_leaves_out_is_noted(run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    code, said, notes = run("search dots --dry-run")
    left_out = {"mdi", "mnist", "twemoji", "seed-7"} - set(json.loads(said)["study"]["sources"])
    assert code == 0
    assert left_out
    assert all(line.startswith("note: ") for line in notes.splitlines())
    assert all(repr(name) in notes or name in notes for name in left_out)


NEEDED = {
    "domains add dots {tmp}/images --resolution 32 --replace": "domain 'dots'",
    "domains rm dots": "domain 'dots'",
    "sources add seed-7 {tmp}/both --domain x --images 1 --replace": "source model 'seed-7'",
    "sources train dots --name seed-7 --max-images 16 --replace": "source model 'seed-7'",
    "sources rm seed-7": "source model 'seed-7'",
}


@pytest.mark.parametrize("line", NEEDED)
@pytest.mark.slow
def test_what_an_unfinished_study_needs_is_replaced_and_removed_by_force_alone(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path, line: str
) -> None:
    write_spec(StudyPaths.of(home, "begun"), resolve_study(home, "dots", "quickstart", sources="seed-7").spec)
    (tmp_path / "images").mkdir()
    for shade in range(8):
        Image.new("RGB", (32, 32), (shade, 0, 0)).save(tmp_path / "images" / f"{shade}.png")
    tensors = {f"{part}.{name}": t for part, own in tiny_source.weights().items() for name, t in own.items()}
    write_tensors(tensors, tmp_path / "both")
    line = line.replace("{tmp}", str(tmp_path)) + (" --resolution 32 --width 2 --z-dim 8" if "both" in line else "")
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    code, said, complaint = run(line)
    assert (code, said, complaint.count("\n")) == (2, "", 1)
    assert (
        f"{NEEDED[next(key for key in NEEDED if key.split()[:3] == line.split()[:3])]} is what an unfinished"
        in complaint
    )
    assert {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()} == before
    code, _, complaint = run(f"{line} --force")
    assert code == 0, complaint
    assert "this ends: dots-quickstart (0 of 24 trials are through)\n" in complaint


def test_a_new_source_does_not_hide_a_builtin_one_that_an_unfinished_study_needs(
    run: Run, home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path
) -> None:
    write_spec(StudyPaths.of(home, "begun"), resolve_study(home, "dots", "quickstart", sources="mnist").spec)
    code, _, complaint = run(f"sources add mnist {tmp_path / 'nowhere'} --domain x --images 1")
    assert (code, complaint.count("\n")) == (2, 1)
    assert "source model 'mnist' is what an unfinished study was planned with: dots-quickstart" in complaint


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
