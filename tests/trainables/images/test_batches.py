from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from trainables.images import batches as module
from trainables.images.batches import batches
from trainables.images.domains import open_domain

CPU = torch.device("cpu")


@pytest.fixture
def domain(home, tiny_domain):
    return open_domain(home, tiny_domain)


def draw(domain, n, first=0, device=CPU):
    rows = domain.subset(20, seed=1)
    return list(islice(batches(domain, rows, 8, seed=2, first=first, device=device), n))


def test_batches_go_on_from_where_a_resumed_trial_stands(domain):
    whole, rest = draw(domain, 5), draw(domain, 2, first=3)
    assert whole[0].images.shape == (8, 3, 32, 32)
    assert whole[0].images.dtype == torch.uint8
    assert all(torch.equal(one.images, other.images) for one, other in zip(rest, whole[3:], strict=True))


def test_a_batch_has_the_labels_of_its_images(domain):
    batch = draw(domain, 1)[0]
    places = [int((domain.images == image.numpy()).all((1, 2, 3)).argmax()) for image in batch.images]
    assert batch.labels.tolist() == domain.labels[places].tolist()


def test_a_domain_without_labels_gives_none(home, domain):
    unlabelled = replace(domain, labels=np.full(len(domain.images), -1))
    assert draw(unlabelled, 1)[0].labels is None


def test_images_on_the_device_are_those_of_the_mapped_file(domain):
    rows, places = domain.subset(20, seed=1), np.array([3, 0, 19])
    assert torch.equal(module._resident(domain, rows, CPU)(places), module._mapped(domain, rows)(places))
