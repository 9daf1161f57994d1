from collections.abc import Iterator

import pytest
import torch

import trainables.source_training as under_test
from trainables.home import Home
from trainables.sources import SourceError, open_source, shelf
from trainables.training import Evaluation

IMAGES = 640  # four evaluations of one iteration each


def train(home: Home, name: str) -> None:
    under_test.train_source(home, "dots", name, "small", max_images=IMAGES, threads=1)


def test_a_trained_source_knows_its_facts(home: Home, tiny_domain: str) -> None:
    train(home, "one")
    facts = open_source(home, "one").facts
    assert (facts.domain, facts.images, facts.classes, facts.images_per_class) == ("dots", 40, 2, 24.0)
    assert (facts.images_seen, facts.network.width) == (IMAGES, 16)
    assert facts.scores["fd"] > 0
    assert facts.protocol["extractor"] == "efficientnet_lite0"


def test_an_interrupted_training_goes_on_and_gives_the_same_weights(
    home: Home, tiny_domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(home, "unbroken")
    whole = under_test.run_trial

    def interrupted(*arguments: object) -> Iterator[Evaluation]:
        yield next(whole(*arguments))  # type: ignore[arg-type]
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


def test_a_taken_name_is_refused_before_any_training(home: Home, tiny_domain: str) -> None:
    train(home, "one")
    with pytest.raises(SourceError, match="--replace"):
        train(home, "one")
