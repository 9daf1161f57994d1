import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spaces.protocol import Protocol
from trainables.images.domains import Domain, write_domain
from trainables.images.samples import Samples
from trainables.metrics.context import EvalContext
from trainables.metrics.diversity import MEMBERS, embedding, intra_cluster, within_classes
from trainables.metrics.features import Extractor, lite0, lite0_inputs
from trainables.metrics.metrics import measure

CPU = torch.device("cpu")


def blots(n, seed):
    """uint8 (n, 3, 32, 32): smooth noise, each of its own colours."""
    coarse = np.random.default_rng(seed).integers(0, 255, (n, 3, 4, 4), dtype=np.uint8)
    return coarse.repeat(8, 2).repeat(8, 3)


def pairwise(cluster):
    return [((a - b) ** 2).sum() for i, a in enumerate(cluster) for b in cluster[:i]]


def test_it_is_the_mean_over_clusters_of_the_mean_distance_of_two():
    random = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [100, 0]], np.float32)
    one, other = random.normal(size=(5, 2)), random.normal(size=(3, 2)) * 2 + [100, 0]
    found = intra_cluster(np.concatenate([one, other]).astype(np.float32), centres)
    assert found.value == pytest.approx((np.mean(pairwise(one)) + np.mean(pairwise(other))) / 2, rel=1e-5)
    assert found.empty == 0


def test_empty_clusters_and_those_of_one_count_as_nothing():
    centres = np.array([[0.0], [10], [20], [30]], np.float32)
    samples = np.array([[-1.0], [1], [10]], np.float32)
    found = intra_cluster(samples, centres)
    assert (found.value, found.empty) == (pytest.approx(4 / 4), 3)


def test_so_many_of_a_cluster_are_compared():
    samples = np.concatenate([np.zeros((MEMBERS, 1)), np.full((20, 1), 3.0)]).astype(np.float32)
    assert intra_cluster(samples, np.zeros((1, 1), np.float32)).value == 0


def test_distances_of_embeddings_are_those_of_unit_maps_at_each_place():
    images = blots(2, 0)
    network, _ = lite0(64, CPU)
    x, wanted = lite0_inputs(torch.from_numpy(images), 64), []
    with torch.no_grad():
        x = network._swish(network._bn0(network._conv_stem(x)))
        for block in network._blocks:
            x = block(x)
            wanted.append(x)
    last = {maps.shape[1]: F.normalize(maps, dim=1) for maps in wanted}  # the last of each stage
    expected = np.mean([float((m[0] - m[1]).square().sum(0).mean()) for m in (last[24], last[40], last[112])])
    one, other = embedding(CPU)(images)
    assert ((one - other) ** 2).sum() == pytest.approx(expected, rel=1e-4)


@pytest.fixture
def context(tmp_path):
    """A trial that trained on 4 of 60 images, and generated copies of one of them."""
    write_domain(tmp_path / "d", blots(60, 0), np.full(60, -1), np.arange(60) >= 40, origin="test", resizer="none")
    domain, protocol = Domain.open(tmp_path / "d"), Protocol(metrics=("intra_diversity",))
    trained_on = np.arange(4)
    copies = Samples(torch.from_numpy(domain.images[trained_on[:1]].repeat(30, 0)))
    return EvalContext(copies, domain, domain.path, protocol, None, trained_on)


def test_copies_of_one_image_are_not_diverse_and_the_empty_clusters_are_recorded(context):
    measured = measure(context)
    assert measured.values["intra_diversity"] == pytest.approx(0, abs=1e-6)
    assert measured.values["intra_diversity_floor"] > 0.1
    assert (measured.record["intra_n"], measured.record["empty_clusters"]) == (4, 3)


def test_the_floor_is_of_as_many_unseen_images_as_were_generated_or_as_there_are(context):
    many = dataclasses.replace(context, samples=Samples(context.samples.images.repeat(3, 1, 1, 1)))
    assert [measure(each).record["intra_floor_n"] for each in (context, many)] == [30, 56]
    own = Samples(torch.tensor(context.domain.images[context.diversity_floor_rows]))
    values = measure(dataclasses.replace(context, samples=own)).values
    assert values["intra_diversity"] == pytest.approx(values["intra_diversity_floor"], rel=1e-5)


def test_other_images_are_more_diverse_than_copies(context):
    others = dataclasses.replace(context, samples=Samples(torch.from_numpy(blots(200, 5))))
    measured = measure(others)
    assert measured.values["intra_diversity"] > 0.1
    assert measured.record["empty_clusters"] == 0


def test_within_classes_it_is_the_mean_over_classes_of_two_and_more():
    def embed(images):
        return images[:, 0, 0].astype(np.float32)

    images = np.random.default_rng(0).integers(0, 99, (11, 3, 4, 4), dtype=np.uint8)
    labels = np.array([7] * 6 + [2] * 4 + [5])  # a class of one image has no distance
    value, classes = within_classes(embed, images, labels)
    each = [np.mean(pairwise(embed(images[labels == label]))) for label in (7, 2)]
    assert (value, classes) == (pytest.approx(np.mean(each), rel=1e-5), 2)
    assert math.isnan(within_classes(embed, images[-1:], labels[-1:])[0])


@pytest.fixture
def of_classes(tmp_path):
    """A trial that trained on 20 images of two classes, whose images differ, and generated 20 copies of one of each class."""
    images, labels = blots(60, 0), np.arange(60) % 2
    write_domain(tmp_path / "d", images, labels, np.arange(60) >= 40, origin="test", resizer="none")
    domain, protocol = Domain.open(tmp_path / "d"), Protocol(metrics=("kd", "feature_diversity"), input_size=32)
    copies = Samples(torch.from_numpy(images[[0, 1] * 10]), torch.from_numpy(labels[[0, 1] * 10]))
    extractor = Extractor("mean", 3, 32, "none", "c0ffee", lambda x: x.float().mean((2, 3)), CPU)
    return EvalContext(copies, domain, domain.path, protocol, extractor, np.arange(20))


def test_copies_of_one_image_a_class_have_no_feature_diversity_and_unseen_ones_are_the_floor(of_classes):
    measured = measure(of_classes)
    assert measured.values["feature_diversity"] == pytest.approx(0, abs=1e-6)
    assert measured.values["feature_diversity_floor"] > 0.1
    assert measured.record["diversity_classes"] == 2
    unseen = Samples(torch.tensor(of_classes.domain.images[20:]), torch.tensor(of_classes.domain.labels[20:]))
    alike = measure(dataclasses.replace(of_classes, samples=unseen)).values
    assert alike["feature_diversity"] == pytest.approx(alike["feature_diversity_floor"], rel=1e-5)


def test_a_generator_without_classes_has_none_and_keeps_the_floor(of_classes):
    measured = measure(dataclasses.replace(of_classes, samples=Samples(of_classes.samples.images)))
    assert math.isnan(measured.values["feature_diversity"]) and measured.record["diversity_classes"] == 0
    assert measured.values["feature_diversity_floor"] > 0.1
