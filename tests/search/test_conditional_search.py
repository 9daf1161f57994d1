"""Studies, rankings and picks of conditional GANs: kept apart from unconditional ones, and refused where there are no classes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from search.launch import Resolved, resolve_study
from search.picking.bench import Network
from search.proposals import load_space, probe
from search.recommendation import recommend
from search.records.results import config_of, flat_config
from spaces.errors import UserError
from spaces.networks import Resnet
from trainables.images.domains import write_domain
from trainables.running.source_training import train_source
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

NewSource = Callable[..., SourceModel]


@pytest.fixture
def bare(home: Home) -> str:
    """Domain "bare", without labels."""
    images = np.random.default_rng(0).integers(0, 256, (16, 3, 32, 32), dtype=np.uint8)
    write_domain(home.domain("bare"), images, np.full(16, -1), np.arange(16) < 6, origin="test", resizer="none")
    return "bare"


def resolved(home: Home, target: str, space: str = "quickstart", **settings: Any) -> Resolved:
    return resolve_study(home, target, space, **settings)


def test_a_conditional_study_is_of_the_targets_classes_and_scores_them(
    home: Home, tiny_domain: str, new_source: NewSource
) -> None:
    new_source("plain")
    new_source("by-class", classes=5, conditioning="concat")
    new_source("strange", family="dcgan")
    of_shelf = resolved(home, tiny_domain, conditional=True)  # the builtin ones' network is the commonest
    assert of_shelf.spec.base.network == Resnet(resolution=32, width=16, classes=2)
    assert any("'strange' is left out: a dcgan has no conditional form" in note for note in of_shelf.notes)
    found = resolved(home, tiny_domain, sources="plain,by-class", conditional=True)
    assert found.spec.base.network == Resnet(resolution=32, width=2, z_dim=8, classes=2)
    assert found.spec.base.protocol.metrics[-3:] == ("class_accuracy", "mkd", "feature_diversity")
    with pytest.raises(UserError, match="a dcgan has no conditional form"):
        resolved(home, tiny_domain, sources="strange", conditional=True)
    plain = resolved(home, tiny_domain, sources="plain,by-class").spec
    assert plain.base.network == Resnet(resolution=32, width=2, z_dim=8)
    assert not {"class_accuracy", "mkd", "feature_diversity"} & set(plain.base.protocol.metrics)


def test_the_space_that_says_so_varies_the_form_and_the_classifiers_weight(
    home: Home, tiny_domain: str, new_source: NewSource
) -> None:
    new_source("plain")
    spec = resolved(home, tiny_domain, "conditional", sources="plain").spec
    tried = [probe(spec.model_copy(update={"seed": seed}), load_space("conditional"))[0] for seed in range(8)]
    assert {config.network.conditioning for config in tried} == {"norm", "concat"}
    assert all(config.network.classes == 2 for config in tried)
    assert len({config.classifier.generator for config in tried}) == 8


def test_a_domain_without_labels_is_refused_in_a_line(home: Home, bare: str) -> None:
    reason = "domain 'bare' has no classes; import it from class folders, two at least"
    ways = [
        lambda: resolved(home, bare, conditional=True),
        lambda: train_source(home, bare, "x", "small", conditional=True),
        lambda: recommend(home, bare, conditional=True),
    ]
    for way in ways:
        with pytest.raises(UserError) as error:
            way()
        assert str(error.value) == f"--conditional: {reason}"
    with pytest.raises(UserError) as error:
        resolved(home, bare, "conditional")
    assert str(error.value) == f"a space of conditional GANs: {reason}"


def test_evidence_tells_conditional_gans_apart_whatever_their_classes(tiny_config: Callable[..., Any]) -> None:
    rows = {}
    for name, more in {
        "plain": {},
        "two": {"classes": 2},
        "five": {"classes": 5},
        "concat": {"classes": 2, "conditioning": "concat"},
    }.items():
        row = flat_config(tiny_config(network={"resolution": 32, "width": 2, "z_dim": 8, **more}))
        rows[name] = Network.of_row(row, None)
        assert config_of(row) == tiny_config(network={"resolution": 32, "width": 2, "z_dim": 8, **more})
    assert rows["two"] == rows["five"] != rows["plain"]
    assert rows["concat"] != rows["two"] and rows["concat"].shape == rows["plain"]
    earlier = {"network/resolution": 32, "network/width": 2, "network/z_dim": 8, "network/family": None}
    assert Network.of_row(earlier, None) == rows["plain"]


@pytest.mark.slow
def test_without_any_trial_a_conditional_pick_is_a_conditional_config(
    home: Home, tiny_domain: str, new_source: NewSource
) -> None:
    new_source("plain")
    new_source("by-class", classes=5)
    picked, _ = recommend(home, tiny_domain, sources=["plain", "by-class"], conditional=True)
    assert picked.config.network.classes == 2
    assert recommend(home, tiny_domain, sources=["plain"])[0].config.network.classes is None
