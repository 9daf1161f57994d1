"""Every mistake that a user can make at the command line ends in one line that helps, and exit code 2."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from search.launch import resolve_study
from search.records.study import StudyPaths, write_spec
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.storage.weights import write_tensors

Run = Callable[..., tuple[int, str, str]]


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
    "resume begun --trials 0": "--trials 0: study 'begun' has ",
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
