"""A checkpoint of others on the command line: added, listed, shown, ranked, trained from, exported, with its licence."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from spaces.trials import parse_trial
from trainables.images.domains import open_domain
from trainables.methods.finetuning.families import LEARNERS
from trainables.methods.method import Given
from trainables.methods.registry import METHODS
from trainables.sources.shelf import open_source
from trainables.storage.home import Home
from trainables.training.parallel import Group

sys.path.append(str(Path(__file__).parents[1] / "trainables" / "sources" / "foreign"))
from foreign_files import networks_of, write_nvlabs

Run = Callable[..., tuple[int, str, str]]

SMALL = {"resolution": 32, "width": 4, "channel_max": 8, "z_dim": 6, "w_dim": 10, "mapping_layers": 2}


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    (average, critic), (trained, _) = networks_of(0, **SMALL), networks_of(5, **SMALL)
    networks = {
        "G": ("Generator", trained, {}),
        "D": ("Discriminator", critic, {}),
        "G_ema": ("Generator", average, {}),
    }
    return write_nvlabs(tmp_path / "network.pkl", networks)


@pytest.mark.slow
def test_from_a_pickle_to_a_ranking_and_out_again_the_licence_goes_along(
    run: Run, tmp_path: Path, tiny_domain: str, pickled: Path
) -> None:
    code, said, noted = run(
        f"sources add faces {pickled} --domain ffhq --images 700 --licence 'NVIDIA, not commercial'"
    )
    assert code == 0, noted
    assert (
        "source model faces added: generator and discriminator and generator_in_training, stylegan2 of 32 pixels"
        in said
    )
    assert "licence NVIDIA, not commercial; a StyleGAN2 of NVlabs (PyTorch), added from " in said
    assert "its critic's spread" in noted
    (row,) = (line for line in run("sources list")[1].splitlines() if line.startswith("faces "))
    assert "NVIDIA, not commercial" in row
    code, said, _ = run(f"sources show faces -n 6 --seed 3 -o {tmp_path / 'grid.png'}")
    assert code == 0
    assert Image.open(tmp_path / "grid.png").width > 3 * 32
    assert json.loads(said[: said.rindex("}") + 1])["licence"] == "NVIDIA, not commercial"
    code, said, complaint = run(f"rank {tiny_domain} --sources faces,mnist")
    assert code == 0, complaint
    assert "stylegan2, 32 px" in said
    assert "NVIDIA, not commercial" in said
    assert "origin of faces: a StyleGAN2 of NVlabs (PyTorch), added from" in said
    code, said, _ = run(f"sources export faces -o {tmp_path / 'out'}")
    assert "licence NVIDIA, not commercial" in said
    assert json.loads((tmp_path / "out" / "source.json").read_text())["licence"] == "NVIDIA, not commercial"


def test_training_goes_on_from_what_training_left_and_its_average_from_the_average(
    run: Run, home: Home, tiny_domain: str, pickled: Path
) -> None:
    assert run(f"sources add faces {pickled}")[0] == 0
    source = open_source(home, "faces")
    assert (source.facts.domain, source.facts.images) == ("unknown", None)
    values = {"target": tiny_domain, "source": "faces", "network": source.facts.network.model_dump()}
    values |= {"optim": {"batch": 8}, "budget": {"images": 16, "eval_every_images": 16}}
    values |= {"loss": {"name": "nonsaturating", "penalty": 1.0, "n_critic": 1}}
    config = parse_trial(values, "test")
    given = Given(open_domain(home, tiny_domain), source)
    learner = METHODS["finetune"].build(config, given, torch.device("cpu"), Group())
    assert isinstance(learner, LEARNERS["stylegan2"])
    weights, name = source.weights(), "synthesis.b8.conv0.weight"
    assert torch.equal(learner.generator.state_dict()[name], weights["generator_in_training"][name])
    assert torch.equal(learner.average.state_dict()[name], weights["generator"][name])


def test_a_file_of_nothing_known_leaves_nothing_and_says_which_classes_it_names(
    run: Run, home: Home, tmp_path: Path
) -> None:
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "x.pt")
    code, _, complaint = run(f"sources add faces {tmp_path / 'x.pt'}")
    assert code == 2
    assert len(complaint.splitlines()) == 1
    assert "torch.nn.modules.linear.Linear" in complaint
    assert not home.source("faces").exists()
