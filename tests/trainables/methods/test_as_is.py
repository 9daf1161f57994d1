"""The source as it is: the baseline that every method must beat."""

from collections.abc import Callable

import pytest
import torch

from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.trials import parse_trial
from trainables.methods.registry import open_sampler
from trainables.networks.sampling import ZSampler
from trainables.running.trial import run_trial
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home
from trainables.training.checkpoints import recorded
from trainables.training.loop import Evaluation
from trainables.training.trial_files import TrialFiles

CPU = torch.device("cpu")
Make = Callable[..., TrialConfig]


@pytest.fixture
def config(tiny_domain: str) -> Callable[..., TrialConfig]:
    values = {
        "target": tiny_domain,
        "method": "as_is",
        "source": "seed-7",
        "network": {"resolution": 32, "width": 2, "z_dim": 8},
        "protocol": {"metrics": ("fd",), "input_size": 32, "n_fake": 24},
        "budget": {"images": 32, "eval_every_images": 16},
    }
    return lambda **fields: parse_trial(values | fields, "test")


def test_it_is_evaluated_once_after_no_image(
    config: Make, home: Home, tiny_source: SourceModel, files: TrialFiles
) -> None:
    (only,) = run_trial(config(), home, files, CPU)
    assert isinstance(only, Evaluation)
    assert (only.status, only.images_seen, only.iterations, only.losses) == ("completed", 0, 0, {})
    assert only.metrics["fd"] > 0
    assert only.record["origin"] == "source seed-7 as it is"
    assert recorded(files) == [only]
    assert [path.name for path in files.samples.iterdir()] == ["000000000.png"]


def test_it_leaves_the_source_models_generator_alone_and_untouched(
    config: Make, home: Home, tiny_source: SourceModel, files: TrialFiles
) -> None:
    list(run_trial(config(), home, files, CPU))
    assert {path.name for path in files.model.iterdir()} == {"generator.safetensors", "model.json"}
    theirs = ZSampler(tiny_source.model())(8, seed=2).images
    assert torch.equal(open_sampler(files.model)(8, seed=2).images, theirs)


def test_a_source_without_a_critic_is_enough(
    config: Make, home: Home, new_source: Callable[..., SourceModel], files: TrialFiles
) -> None:
    new_source("alone", critic=False)
    assert next(iter(run_trial(config(source="alone"), home, files, CPU)))


def test_another_network_than_the_sources_is_refused_with_the_way_out(
    config: Make, home: Home, tiny_source: SourceModel, files: TrialFiles
) -> None:
    with pytest.raises(UserError, match="network") as refused:
        list(run_trial(config(network={"resolution": 32, "width": 4, "z_dim": 8}), home, files, CPU))
    assert str(refused.value) == (
        "source 'seed-7' is a resnet of 32 pixels, width 2, z 8, the config's network a resnet of 32 pixels, width 4, z 8; "
        "nothing is trained that could make up for it, so give the source's own network"
    )


def test_nothing_can_be_sampled_from_scratch(config: Make) -> None:
    with pytest.raises(UserError, match="source 'scratch' is none; name one of the shelf") as refused:
        config(source="scratch")
    assert len(str(refused.value).splitlines()) == 1
