"""GANs of PyTorch's DCGAN tutorial, from their files to the shelf, the ranking, a trial and a search."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spaces.methods.finetune import Loss
from trainables.methods.registry import open_sampler
from trainables.networks.models import read_model
from trainables.networks.sampling import ZSampler
from trainables.sources.shelf import SourceModel, open_source
from trainables.storage.home import Home

Run = Callable[..., tuple[int, str, str]]

WIDTH, Z = 2, 8
OPTIONS = f"--family dcgan --resolution 32 --width {WIDTH} --z-dim {Z}"
ABOUT = "--domain celeba --images 200000"


def tutorial(seed: int) -> dict[str, dict[str, Tensor]]:
    """The tensors of the tutorial's two networks with one layer less, for 32 pixels, by its names; random weights."""
    torch.manual_seed(seed)
    up, down, norm = nn.ConvTranspose2d, nn.Conv2d, nn.BatchNorm2d
    generator = [
        up(Z, WIDTH * 4, 4, 1, 0, bias=False),
        norm(WIDTH * 4),
        nn.ReLU(),
        up(WIDTH * 4, WIDTH * 2, 4, 2, 1, bias=False),
        norm(WIDTH * 2),
        nn.ReLU(),
        up(WIDTH * 2, WIDTH, 4, 2, 1, bias=False),
        norm(WIDTH),
        nn.ReLU(),
        up(WIDTH, 3, 4, 2, 1, bias=False),
        nn.Tanh(),
    ]
    critic = [
        down(3, WIDTH, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2),
        down(WIDTH, WIDTH * 2, 4, 2, 1, bias=False),
        norm(WIDTH * 2),
        nn.LeakyReLU(0.2),
        down(WIDTH * 2, WIDTH * 4, 4, 2, 1, bias=False),
        norm(WIDTH * 4),
        nn.LeakyReLU(0.2),
        down(WIDTH * 4, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    ]
    return {
        name: nn.ModuleDict({"main": nn.Sequential(*layers)}).state_dict()
        for name, layers in {"generator": generator, "discriminator": critic}.items()
    }


def saved(folder: Path, kind: str, seed: int = 0) -> str:
    """The files of a kind, as the command line takes them."""
    tensors = tutorial(seed)
    if kind == "one file with both":
        both = {f"{name}.{key}": t for name, each in tensors.items() for key, t in each.items()}
        save_file(both, folder / f"both-{seed}.safetensors")
        return str(folder / f"both-{seed}.safetensors")
    names = ["generator"] if kind == "generator alone" else ["generator", "discriminator"]
    for name in names:
        save_file(tensors[name], folder / f"{name}-{seed}.safetensors")
    return " ".join(str(folder / f"{name}-{seed}.safetensors") for name in names)


@pytest.fixture
def on_the_shelf(run: Run, tmp_path: Path) -> Callable[..., str]:
    """Adds a DCGAN to the shelf, and gives its name."""

    def add(name: str, kind: str = "two files", seed: int = 0) -> str:
        code, said, complaint = run(f"sources add {name} {saved(tmp_path, kind, seed)} {ABOUT}")
        assert code == 0, complaint
        assert f"{name} added: " in said
        return name

    return add


@pytest.fixture
def write_config(tmp_path: Path, tiny_domain: str) -> Callable[..., str]:
    """Writes a tiny trial's config, and gives the words of `train` that take it."""

    def write(**fields: Any) -> str:
        network = {"family": "dcgan", "resolution": 32, "width": WIDTH, "z_dim": Z}
        values = {
            "target": tiny_domain,
            "source": "faces",
            "network": network,
            "loss": {"name": "nonsaturating", "penalty": 0, "n_critic": 1},
            "optim": {"batch": 8},
            "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 24},
            "budget": {"images": 32, "eval_every_images": 16},
            **fields,
        }
        (tmp_path / "config.json").write_text(json.dumps(values))
        return f"train {tiny_domain} --config {tmp_path / 'config.json'} --threads 1 --name t"

    return write


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor], but: tuple[str, ...] = ()) -> bool:
    kept = [name for name in one if not name.endswith(but or "nothing")]
    return one.keys() == other.keys() and all(torch.equal(one[name].float(), other[name].float()) for name in kept)


@pytest.mark.parametrize("options", [OPTIONS, "--family dcgan", ""])
@pytest.mark.parametrize("kind", ["generator alone", "two files", "one file with both"])
def test_files_of_the_tutorial_come_to_the_shelf_and_out_again(
    run: Run, tmp_path: Path, kind: str, options: str
) -> None:
    code, _, complaint = run(f"sources add faces {saved(tmp_path, kind)} {ABOUT} {options}")
    assert code == 0, complaint
    shown = run("sources show faces")[1]
    facts = json.loads(shown[: shown.rindex("}") + 1])
    expected = {"family": "dcgan", "resolution": 32, "width": WIDTH, "z_dim": Z, "classes": None}
    names = ["generator"] if kind == "generator alone" else ["generator", "discriminator"]
    assert facts["networks"] == dict.fromkeys(names, expected)
    (row,) = (line for line in run("sources list")[1].splitlines() if line.startswith("faces "))
    assert row.split()[1:4] == ["dcgan", "32", str(WIDTH)]
    assert run(f"sources export faces -o {tmp_path / 'out'}")[0] == 0
    for name in names:
        exported = load_file(tmp_path / "out" / f"{name}.safetensors")
        computed = ("running_mean", "running_var", "num_batches_tracked") if name == "generator" else ()
        assert same(tutorial(0)[name], exported, but=computed)


@pytest.mark.slow
def test_a_tutorials_gan_is_ranked_with_and_without_a_critic(
    run: Run, tiny_domain: str, tiny_source: SourceModel, on_the_shelf: Callable[..., str]
) -> None:
    on_the_shelf("faces"), on_the_shelf("alone", "generator alone", seed=1)
    code, said, complaint = run("rank dots --sources faces,alone,seed-7 --json")
    assert code == 0, complaint
    rows = {row["source"]: row["parts"] for row in json.loads(said)["rows"]}
    assert rows.keys() == {"faces", "alone", "seed-7"}
    assert rows["alone"]["critic"]["note"] == "it has no critic"
    assert rows["faces"]["critic"]["value"] is not None
    assert len({parts["fd"]["value"] for parts in rows.values()}) == 3


def test_a_trial_from_it_freezes_is_sampled_and_exported(
    run: Run, home: Home, on_the_shelf: Callable[..., str], write_config: Callable[..., str], tmp_path: Path
) -> None:
    on_the_shelf("faces")
    code, _, complaint = run(write_config(transfer={"parts": "both", "freeze_d": 2}))
    assert code == 0, complaint
    model, _ = read_model(home.study("t") / "trials" / "00000" / "model")
    before, after = open_source(home, "faces").weights(), model.weights
    critic, moved = before["discriminator"], after["discriminator"]
    layers = {name: torch.equal(critic[name], moved[name]) for name in critic if name.endswith(".weight")}
    held = {"main.0.weight", "main.2.weight", "main.3.weight"}  # two convolutions, and the norm behind the second
    assert {name for name, held_fixed in layers.items() if held_fixed} == held
    assert not torch.equal(before["generator"]["main.0.weight"], after["generator"]["main.0.weight"])
    (trial,) = json.loads(run("status t --json")[1])["trials"]
    assert (trial["status"], trial["source"]) == ("completed", "faces")
    for line in (f"sample t -n 8 -o {tmp_path / 'grid.png'}", f"export t -o {tmp_path / 'out'}"):
        assert run(line)[0] == 0, line
    found = open_sampler(tmp_path / "out")(8, seed=0).images
    assert torch.equal(found, ZSampler(model)(8, seed=0).images)


def test_it_is_sampled_as_it_is(
    run: Run, home: Home, on_the_shelf: Callable[..., str], write_config: Callable[..., str], tmp_path: Path
) -> None:
    on_the_shelf("faces", "generator alone")
    line = write_config()
    config = json.loads((tmp_path / "config.json").read_text())
    del config["loss"], config["optim"]
    (tmp_path / "config.json").write_text(json.dumps(config | {"method": "as_is"}))
    assert run(line)[0] == 0
    assert run(f"sample t -n 8 -o {tmp_path / 'images'}")[0] == 0
    assert len(list((tmp_path / "images").iterdir())) == 8
    (trial,) = json.loads(run("status t --json")[1])["trials"]
    assert (trial["status"], trial["images_seen"]) == ("completed", 0)


MISTAKES: Mapping[str, tuple[dict[str, Any], str]] = {
    "a penalty with a critic of batch norm": (
        {"loss": {"name": "wgan_gp", "penalty": 10}},
        "loss/penalty=10: the critic of a dcgan normalises over its batch",
    ),
    "a resnet's weights in a dcgan": (
        {"source": "seed-7"},
        "source 'seed-7' is a resnet, the trial's network a dcgan; set network/family='resnet' or take another source",
    ),
    "a dcgan's weights in a resnet": (
        {"network": {"resolution": 32, "width": WIDTH, "z_dim": Z}},
        "source 'faces' is a dcgan, the trial's network a resnet; set network/family='dcgan' or take another source",
    ),
    "a critic that the source does not have": (
        {"source": "alone", "transfer": {"parts": "both"}},
        "source 'alone' does not fit target 'dots': it has no discriminator; set transfer/parts to 'generator'",
    ),
    "another width": (
        {"network": {"family": "dcgan", "resolution": 32, "width": 4, "z_dim": Z}},
        "source 'faces' does not fit target 'dots': generator.main.0.weight is (8, 8, 4, 4) there, (8, 16, 4, 4) here",
    ),
    "a setting of another method": ({"method": "as_is"}, "'loss' is no setting of method 'as_is'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_is_refused_in_a_line(
    run: Run,
    tiny_source: SourceModel,
    on_the_shelf: Callable[..., str],
    write_config: Callable[..., str],
    mistake: str,
) -> None:
    on_the_shelf("faces"), on_the_shelf("alone", "generator alone", seed=1)
    fields, said = MISTAKES[mistake]
    code, _, complaint = run(write_config(**fields))
    assert code == 2
    assert said in complaint
    assert len(complaint.splitlines()) == 1, complaint


def test_a_search_over_them_has_their_familys_settings(
    run: Run, tiny_domain: str, on_the_shelf: Callable[..., str]
) -> None:
    on_the_shelf("faces"), on_the_shelf("alone", "generator alone", seed=1)
    code, said, _ = run("search dots --sources faces,alone --dry-run")
    base = json.loads(said)["study"]["base"]
    assert code == 0
    assert base["network"]["family"] == "dcgan"
    assert Loss(**base["loss"]) == Loss(name="nonsaturating", penalty=0.0, n_critic=1)
    assert (base["optim"]["beta1"], base["optim"]["beta2"]) == (0.5, 0.999)


@pytest.mark.ray
def test_a_search_over_them_finds_an_answer(
    run: Run, home: Home, tiny_domain: str, on_the_shelf: Callable[..., str], tmp_path: Path
) -> None:
    on_the_shelf("faces"), on_the_shelf("others", seed=1)
    settings = "--trials 4 --max-images 64 --concurrency 1 --threads-per-trial 1 --name s"
    code, _, complaint = run(f"search dots --sources faces,others {settings}")
    assert code == 0, complaint
    trials = json.loads(run("status s --json")[1])["trials"]
    assert {trial["source"] for trial in trials} == {"faces", "others", "scratch"}
    assert {trial["status"] for trial in trials} <= {"completed", "stopped"}
    assert run(f"sample s -n 8 -o {tmp_path / 'grid.png'}")[0] == 0
    assert (home.study("s") / "report.html").is_file()
