"""A study holds one family and one resolution of networks."""

from collections.abc import Callable

import pytest

from search.launch import Resolved, resolve_study
from spaces.errors import UserError
from spaces.networks import StyleGAN2Config
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

STYLEGAN2 = {"family": "stylegan2", "resolution": 32, "width": 2, "channel_max": 4, "z_dim": 4, "w_dim": 4}
New = Callable[..., SourceModel]


def resolve(home: Home, **settings: object) -> Resolved:
    return resolve_study(home, "dots", "quickstart", **settings)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def shelf(tiny_domain: str, new_source: New) -> None:
    new_source("styles", **STYLEGAN2)
    new_source("seed-7")


def test_sources_of_another_family_are_left_out_with_a_line(home: Home) -> None:
    found = resolve(home, family="stylegan2")
    assert list(found.spec.sources) == ["styles"]
    assert found.spec.base.network.family == "stylegan2"
    (why,) = (note for note in found.notes if "'seed-7'" in note)
    assert "it is a resnet, and a study holds one family and resolution, here stylegan2; search with --family" in why


def test_without_a_family_the_commonest_network_is_taken_and_the_line_names_the_family(
    home: Home, new_source: New
) -> None:
    new_source("more", **STYLEGAN2)
    new_source("styles-3", **STYLEGAN2)  # the builtin models of 32 pixels are of another network
    new_source("styles-4", **STYLEGAN2)
    found = resolve(home)
    assert set(found.spec.sources) == {"more", "styles", "styles-3", "styles-4"}
    assert any("'seed-7' is left out: it is a resnet, and a study holds one family" in note for note in found.notes)


def test_naming_one_of_another_family_is_an_error_that_says_the_same(home: Home) -> None:
    with pytest.raises(UserError, match="'seed-7' can't be in the study: it is a resnet, and a study holds one family"):
        resolve(home, family="stylegan2", sources="styles,seed-7")
    with pytest.raises(UserError, match="a study holds one family and resolution: search them apart"):
        resolve(home, sources="styles,seed-7")


def test_a_stylegan2_study_trains_as_its_authors_do(home: Home) -> None:
    base = resolve(home, family="stylegan2").spec.base
    assert (base.loss.name, base.loss.penalty_every, base.loss.n_critic) == ("nonsaturating", 16, 1)
    assert base.loss.penalty == pytest.approx(0.0064)
    assert (base.optim.batch, base.optim.beta2, base.style.path_length) == (32, 0.99, 2.0)


def test_without_sources_of_the_family_trials_start_from_its_small_preset(home: Home, new_source: New) -> None:
    new_source("styles", **STYLEGAN2 | {"classes": 3})
    found = resolve(home, family="stylegan2")
    assert not found.spec.sources
    assert isinstance(found.spec.base.network, StyleGAN2Config)
    assert found.spec.base.network.width == 16
    assert any("its mapping network is another" in note or "mapping network is another" in note for note in found.notes)
    assert any("understock sources train DOMAIN --family stylegan2" in note for note in found.notes)


def test_an_unknown_family_is_refused_with_the_known_ones(home: Home) -> None:
    with pytest.raises(UserError, match="unknown family of networks 'stylegan9'"):
        resolve(home, family="stylegan9")


@pytest.mark.slow
def test_rank_says_which_family_each_source_is_of(home: Home, run: Callable[..., tuple[int, str, str]]) -> None:
    code, said, _ = run("rank dots --sources styles,seed-7")
    assert code == 0
    assert "styles is a stylegan2" in said
    assert "seed-7 is a resnet" in said
