from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from spaces.errors import UserError
from spaces.networks import told
from trainables.networks.families import DISCRIMINATOR, GENERATOR
from trainables.networks.stylegan2_layers import double
from trainables.sources.cutting import cut
from trainables.sources.shelf import SourceModel, open_source
from trainables.storage.home import Home

NETWORK = {"family": "stylegan2", "resolution": 64, "width": 2, "channel_max": 6, "z_dim": 4, "w_dim": 4}
Run = Callable[..., tuple[int, str, str]]


def test_a_cut_generator_gives_the_image_that_the_finer_blocks_start_from(
    new_source: Callable[..., SourceModel],
) -> None:
    whole = new_source("faces", **NETWORK).model()
    z = torch.randn(2, 4)
    small, large = (model.network(GENERATOR) for model in (cut(whole, 32, "test", 0), whole))
    finest: list[Tensor] = []
    large.synthesis.b64.torgb.register_forward_hook(lambda layer, given, share: finest.append(share))  # type: ignore[union-attr]
    expected = large(z)
    torch.testing.assert_close(double(small(z)) + finest[0], expected)


def test_a_cut_critic_keeps_its_lower_blocks_and_has_a_new_input_layer(new_source: Callable[..., SourceModel]) -> None:
    whole = new_source("faces", **NETWORK).model()
    one, other = (cut(whole, 32, "test", seed).weights[DISCRIMINATOR] for seed in (0, 1))
    new = {name for name in one if not torch.equal(one[name], other[name])}
    assert new == {"b32.fromrgb.weight"}
    assert not any(name.startswith("b64.") for name in one)
    assert all(torch.equal(one[name], t) for name, t in whole.weights[DISCRIMINATOR].items() if name in one)


def test_cut_is_a_verb_that_says_it_is_an_initialisation(
    home: Home, run: Run, new_source: Callable[..., SourceModel]
) -> None:
    new_source("faces", **NETWORK)
    code, said, _ = run("sources cut faces --resolution 32")
    assert (code, "an initialisation" in said) == (0, True)
    facts = open_source(home, "faces-32").facts
    assert told(facts.network) == "stylegan2 of 32 pixels, width 4, z 4"
    assert facts.scores == {}
    assert "cut from 64 to 32 pixels, an initialisation" in facts.origin
    assert (home.source("faces-32") / "samples.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("network", "resolution", "said"),
    [
        ({}, 32, "is a resnet, and only a stylegan2"),
        (NETWORK, 64, "has 64 pixels; give fewer than that, not 64"),
        (NETWORK, 24, "resolution: Input should be 16, 32"),
        (NETWORK | {"generator_architecture": "resnet"}, 32, "only 'skip' can be cut"),
    ],
)
def test_what_cant_be_cut_is_refused_in_a_line(
    new_source: Callable[..., SourceModel], network: dict[str, object], resolution: int, said: str
) -> None:
    model = new_source("faces", **network).model()
    with pytest.raises(UserError, match=said) as refused:
        cut(model, resolution, "source model 'faces'", 0)
    assert len(str(refused.value).splitlines()) == 1
