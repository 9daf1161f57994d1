"""Episodes: what few-shot methods learn from, batch by batch."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import torch

from spaces.config import TrialConfig
from spaces.errors import UserError
from trainables.images.domains import Domain
from trainables.methods.fewshot.episodes import Numbers, SeenClasses, episodes
from trainables.methods.registry import method_of
from trainables.running.given import gather
from trainables.storage.home import Home
from trainables.training.draws import Draws
from trainables.training.parallel import Group

CPU = torch.device("cpu")


def test_a_set_holds_different_training_images_of_one_class(seen: Domain) -> None:
    classes = SeenClasses.of(seen, 4)
    found = list(islice(episodes(classes, 4, 5, seed=1, first=0, device=CPU), 20))
    known = {seen.images[row].tobytes(): row for row in seen.indices("train")}
    drawn = set()
    for batch in found:
        for images, label in zip(batch.images.numpy(), batch.labels, strict=True):
            rows = [known[image.tobytes()] for image in images]
            assert len(set(rows)) == 4  # i != j
            assert set(seen.labels[rows]) == {int(label)}
            drawn.add(int(label))
    assert drawn == set(range(6))


def test_batches_are_a_pure_function_of_their_number(seen: Domain) -> None:
    classes = SeenClasses.of(seen, 2)
    whole, later = (list(islice(episodes(classes, 2, 3, seed=1, first=f, device=CPU), 4 - f)) for f in (0, 2))
    assert all(torch.equal(one.images, other.images) for one, other in zip(whole[2:], later, strict=True))
    other = next(episodes(classes, 2, 3, seed=2, first=0, device=CPU))
    assert not torch.equal(other.images, whole[0].images)


def test_classes_with_too_few_images_for_a_set_are_no_seen_classes(seen: Domain) -> None:
    with pytest.raises(UserError, match="no class of 7 training images, of which a set is made; its largest has 6"):
        SeenClasses.of(seen, 7)


def test_weights_lie_uniformly_on_the_simplex() -> None:
    weights = Numbers(Draws(0, 0), 4_000, Group(), CPU).simplex(3, 1.0).numpy()
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(weights.mean(0), 1 / 3, atol=0.02)
    assert weights.max() > 10 / 12  # what numbers from 1 to 10 over their sum never reach
    np.testing.assert_allclose((weights[:, 0] > 0.5).mean(), 0.25, atol=0.03)


@pytest.mark.parametrize("method", ["dagan", "matchinggan", "f2gan", "figr", "joint", "gmn", "funit"])
def test_every_learned_method_mirrors_images_where_asked_and_only_there(
    fewshot: Callable[..., TrialConfig], home: Home, method: str
) -> None:
    found, size = [], {"tasks": 4} if method == "figr" else {"batch": 2}
    own = {"adaptation": {"steps": 1}} if method == "figr" else {}
    for asked in ({}, {"flip": False}, {"flip": True}):
        config, ours = fewshot(method, width=2, training=size | asked, **own), method_of(method)
        given = gather(config, home)
        losses = ours.build(config, given, CPU, Group()).step(next(ours.batches(config, given, 0, CPU)))
        found.append({name: float(loss) for name, loss in losses.items()})
    assert found[0] == found[1] != found[2]
