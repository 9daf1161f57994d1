from collections.abc import Iterator

import numpy as np
import pytest
import torch

import trainables.running.source_training as under_test
from spaces.errors import UserError
from spaces.networks import StyleGAN2Config
from trainables.images.domains import open_domain, write_domain
from trainables.sources.shelf import SourceError, open_source, shelf
from trainables.storage.home import Home, claim
from trainables.training.loop import Evaluation, evaluations

IMAGES = 640  # four evaluations of one iteration each


def train(home: Home, name: str) -> None:
    under_test.train_source(home, "dots", name, "small", max_images=IMAGES, threads=1)


@pytest.mark.slow
def test_a_trained_source_knows_its_facts(home: Home, tiny_domain: str) -> None:
    train(home, "one")
    facts = open_source(home, "one").facts
    assert (facts.domain, facts.images, facts.classes, facts.images_per_class) == ("dots", 40, 2, 20.0)
    assert (facts.images_seen, facts.network.width) == (IMAGES, 16)
    assert facts.scores["fd"] > 0
    assert facts.protocol["extractor"] == "efficientnet_lite0"


@pytest.mark.slow
def test_an_interrupted_training_goes_on_and_gives_the_same_weights(
    home: Home, tiny_domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(home, "unbroken")
    whole = under_test.run_trial

    def interrupted(*arguments: object) -> Iterator[Evaluation]:
        yield next(evaluations(whole(*arguments)))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(under_test, "run_trial", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(home, "broken")
    assert "broken" not in shelf(home)
    monkeypatch.setattr(under_test, "run_trial", whole)
    train(home, "broken")
    one, other = (open_source(home, name).weights()["generator"] for name in ("unbroken", "broken"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not list(home.source("broken").parent.glob(".training-*"))


@pytest.mark.slow
def test_a_training_that_was_cut_off_does_not_go_on_with_other_images(
    home: Home, tiny_domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> Iterator[Evaluation]:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut_off, pytest.raises(KeyboardInterrupt):
        cut_off.setattr(under_test, "run_trial", interrupted)
        train(home, "one")
    old = open_domain(home, "dots")
    images = np.array(old.images)
    write_domain(old.path, 255 - images, old.labels, old.is_val, origin="test", resizer="none")
    with pytest.raises(
        SourceError, match=r"'one' was begun with other images of domain 'dots' .digest .*--name, or remove"
    ):
        train(home, "one")
    write_domain(old.path, images, old.labels, old.is_val, origin="test", resizer="none")
    train(home, "one")
    assert open_source(home, "one").facts.images_seen == IMAGES


def test_a_taken_name_is_refused_before_any_training(home: Home, tiny_domain: str) -> None:
    home.source("one").mkdir(parents=True)
    with pytest.raises(SourceError, match="--replace"):
        train(home, "one")


@pytest.mark.slow
def test_without_a_preset_the_machine_decides(home: Home, tiny_domain: str) -> None:
    under_test.train_source(home, "dots", "one", max_images=1, threads=1)
    width = open_source(home, "one").facts.network.width
    assert width == (64 if torch.cuda.is_available() else 16)


@pytest.mark.slow
def test_two_processes_do_not_train_the_same_source_model(home: Home, tiny_domain: str) -> None:
    folder = home.source("one").with_name(".training-one")
    with claim(home, "sources", "one"), pytest.raises(UserError, match="'one' is being made by another process"):
        train(home, "one")
    assert not folder.exists()
    under_test.train_source(home, "dots", "one", "small", max_images=1, threads=1)
    assert not folder.exists()


@pytest.mark.slow
def test_a_stylegan2_is_trained_for_the_shelf_by_its_familys_presets(home: Home, tiny_domain: str) -> None:
    facts = under_test.train_source(home, tiny_domain, "styles", max_images=64, threads=1, family="stylegan2")
    assert isinstance(facts.network, StyleGAN2Config)
    assert (facts.network.width, facts.images_seen) == (16, 64)
    assert set(facts.networks) == {"generator", "discriminator"}
    with pytest.raises(UserError, match="unknown preset 'nope'; known: auto, paper, small"):
        under_test.train_source(home, tiny_domain, "other", "nope", family="stylegan2")
