"""Scores class by class, against what they must be for classes that are known."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from spaces.config import Data
from spaces.errors import UserError
from spaces.protocol import IwProtocol, Protocol
from trainables.images.domains import Domain, write_domain
from trainables.images.grids import EACH_SHOWN, GAP, class_grid
from trainables.images.samples import Samples
from trainables.metrics.by_class import Labelled, chance, class_accuracy, classes_compared, mean_kernel_distance
from trainables.metrics.context import EvalContext
from trainables.metrics.distances import kernel_distance
from trainables.metrics.features import Extractor
from trainables.metrics.iw import measurable
from trainables.metrics.metrics import measure

IW = IwProtocol(folds=5)
CENTRES = np.array([[4.0, 0, 0], [0, 4, 0], [0, 0, 4]])


def clouds(n: int, seed: int, prior: tuple[float, ...] = (0.5, 0.3, 0.2)) -> Labelled:
    """Three clouds of features far apart, a class each."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=prior)
    return Labelled((CENTRES[labels] + rng.normal(0, 0.5, (n, 3))).astype(np.float32), labels)


def test_samples_of_the_class_they_were_asked_for_are_right_and_others_at_chance() -> None:
    held_out, own = clouds(200, 0), clouds(600, 1)
    right, ceiling = class_accuracy(own, held_out, IW)
    assert right.value > 0.98 and ceiling.value > 0.98 and right.se < 0.01
    shuffled = Labelled(own.features, np.random.default_rng(2).permutation(own.labels))
    guessed, same = class_accuracy(shuffled, held_out, IW)
    assert guessed.value == pytest.approx(chance(own.labels), abs=4 * guessed.se)
    assert guessed.se == pytest.approx(math.sqrt(0.38 * 0.62 / 600), rel=0.5)
    assert same == ceiling
    assert chance(own.labels) == pytest.approx(0.38, abs=0.03)  # 0.5^2 + 0.3^2 + 0.2^2


def test_real_images_are_judged_by_a_classifier_that_has_not_seen_them() -> None:
    noise = np.random.default_rng(0).normal(size=(200, 50))
    labels = np.random.default_rng(1).integers(0, 2, 200)
    _, ceiling = class_accuracy(None, Labelled(noise, labels), IW)  # labels that no feature tells
    assert abs(ceiling.value - 0.5) < 0.15


def test_samples_of_a_class_that_no_held_out_image_has_do_not_count() -> None:
    held_out, own = clouds(100, 0, prior=(0.5, 0.5, 0.0)), clouds(90, 1)
    known = own.labels < 2
    of_known = Labelled(own.features[known], own.labels[known])
    assert class_accuracy(own, held_out, IW) == class_accuracy(of_known, held_out, IW)
    assert class_accuracy(own, held_out, IW)[0].value > 0.98


@pytest.mark.parametrize("none", [None, clouds(50, 1, prior=(0.0, 0.0, 1.0))])
def test_without_samples_that_can_be_judged_class_accuracy_is_nan(none) -> None:
    held_out = clouds(100, 0, prior=(0.5, 0.5, 0.0))
    value, ceiling = class_accuracy(none, held_out, IW)
    assert math.isnan(value.value) and ceiling.value > 0.98
    with pytest.raises(UserError, match="class_accuracy: 3 held-out images; it needs 4"):
        class_accuracy(None, clouds(3, 0), IW)


def test_mkd_weighs_every_class_alike_and_is_zero_for_the_same_distribution() -> None:
    real, own = clouds(400, 0), clouds(300, 1)
    by_hand = [kernel_distance(own.of(label), real.of(label), seed=3) for label in range(3)]
    assert mean_kernel_distance(own, real, 3) == pytest.approx(np.mean(by_hand))
    assert abs(mean_kernel_distance(own, real, 3)) < 1
    others = Labelled(own.features, (own.labels + 1) % 3)  # overall the same images, class by class all wrong
    assert mean_kernel_distance(others, real, 3) > 30


def test_mkd_leaves_out_classes_with_less_than_two_images_of_either() -> None:
    real = Labelled(np.zeros((7, 3), np.float32), np.array([0, 0, 1, 2, 2, 2, 4]))
    own = Labelled(np.zeros((6, 3), np.float32), np.array([0, 0, 1, 1, 2, 3]))
    assert classes_compared(own.labels, real.labels) == [0]
    assert math.isnan(mean_kernel_distance(None, real, 0)) and math.isnan(mean_kernel_distance(own, real, 0, among=[2]))


@pytest.fixture
def context(tmp_path):
    """40 black and 20 white images, a third of each held out."""
    labels = np.arange(60) % 3 // 2
    images = np.broadcast_to((labels * 200).astype(np.uint8)[:, None, None, None], (60, 3, 32, 32)).copy()
    images[:, 0, 0, 0] = np.arange(60)
    write_domain(tmp_path / "x", images, labels, np.arange(60) >= 40, origin="test", resizer="none")
    mean = Extractor("mean", 3, 32, "none", "c0ffee", lambda x: x.float().mean((2, 3)), torch.device("cpu"))
    domain, protocol = Domain.open(tmp_path / "x"), Protocol(metrics=("kd", "class_accuracy", "mkd"), iw=IW)
    samples = Samples(torch.from_numpy(images[:30]), torch.from_numpy(labels[:30]))
    return EvalContext(samples, domain, domain.path, protocol, mean)


def test_a_measurement_has_class_scores_with_ceiling_and_chance(context) -> None:
    measured = measure(context)
    assert measured.values["class_accuracy"] == measured.values["class_accuracy_floor"] == 1
    assert measured.record["class_n"] == 20 and measured.record["mkd_classes"] == 2
    assert measured.record["class_judged"] == 30
    assert measured.record["class_chance"] == chance(context.domain.labels[40:])
    wrong = dataclasses.replace(context, samples=Samples(context.samples.images, 1 - context.samples.labels))
    assert measure(wrong).values["class_accuracy"] == 0
    assert measure(wrong).values["mkd"] > 100 * abs(measured.values["mkd"])
    none = measure(dataclasses.replace(context, samples=Samples(context.samples.images)))
    assert math.isnan(none.values["class_accuracy"]) and math.isnan(none.values["mkd"])
    assert none.values["class_accuracy_floor"] == 1 and none.record["mkd_classes"] == none.record["class_judged"] == 0


def test_mkd_and_its_floor_are_means_over_the_same_classes(context) -> None:
    both = measure(context).values
    labels = context.domain.labels.copy()
    white = np.flatnonzero(labels == 1)
    labels[white[white >= 40][1:]] = 0  # one white image is held out: no class of the floor
    fewer = dataclasses.replace(context, domain=dataclasses.replace(context.domain, labels=labels))
    measured = measure(fewer)
    rows = fewer.rows("val")
    held_out = Labelled(fewer.features_of(rows), labels[rows])
    seed, black = context.protocol.seed, fewer.labelled.of(0)
    assert measured.record["mkd_classes"] == 1 and measured.values["mkd"] != both["mkd"]
    assert measured.values["mkd"] == pytest.approx(kernel_distance(black, fewer.labelled_reference.of(0), seed=seed))
    assert measured.values["mkd_floor"] == pytest.approx(
        kernel_distance(held_out.of(0), fewer.labelled_reference.of(0), seed=seed)
    )
    few = Samples(context.samples.images[context.samples.labels == 0], torch.zeros(20, dtype=torch.int64))
    one = measure(dataclasses.replace(context, samples=few)).values
    assert one["mkd_floor"] != both["mkd_floor"], "a floor over two classes stands beside no mean over one"


def test_mkd_is_measured_where_no_class_is_held_out_and_has_no_floor(context) -> None:
    labels = context.domain.labels.copy()
    labels[40:] = 7
    bare = dataclasses.replace(context, domain=dataclasses.replace(context.domain, labels=labels))
    found = bare.classes_compared, measure(dataclasses.replace(bare, protocol=Protocol(metrics=("kd", "mkd")))).values
    assert found[0] == [0, 1] and math.isfinite(found[1]["mkd"]) and math.isnan(found[1]["mkd_floor"])


def test_the_classifier_is_trained_on_images_that_no_generator_saw(context) -> None:
    few = dataclasses.replace(context, trained_on=context.domain.subset(10, seed=0))
    assert len(few.labelled_held_out.labels) == 50
    assert len(context.labelled_held_out.labels) == 20


def test_a_domain_without_classes_has_no_such_scores(tmp_path, context) -> None:
    images = np.zeros((20, 3, 32, 32), np.uint8)
    write_domain(tmp_path / "y", images, np.full(20, -1), np.arange(20) < 8, origin="test", resizer="none")
    protocol, why = measurable(context.protocol, Domain.open(tmp_path / "y"), Data())
    assert protocol.metrics == ("kd",)
    assert (
        why == "class_accuracy and mkd left out: domain 'y' has no classes; import it from class folders, two at least"
    )
    bare = dataclasses.replace(context, domain=Domain.open(tmp_path / "y"), domain_folder=tmp_path / "y")
    with pytest.raises(UserError, match="metric 'class_accuracy': domain 'y' has no classes; leave it out"):
        measure(bare)


def test_a_protocol_goes_by_no_metric_that_rungs_do_not_have() -> None:
    with pytest.raises(ValueError, match="mkd is measured at a trial's end alone"):
        Protocol(metrics=("mkd", "fd"))
    assert Protocol(metrics=("fd", "mkd", "iw")).without_classes().metrics == ("fd", "iw")


def test_a_grid_of_classes_has_a_row_a_class() -> None:
    images = np.zeros((20, 3, 4, 4), np.uint8)
    labels = np.array([5, 2] * 8 + [2] * 4)
    images[:, 0] = np.where(labels == 5, 50, 20)[:, None, None]
    sheet = np.asarray(class_grid(images[:18], labels[:18]))
    assert sheet.shape == (2 * 4 + GAP, EACH_SHOWN * (4 + GAP) - GAP, 3)
    assert (sheet[0, ::6, 0] == 20).all() and (sheet[6, ::6, 0] == 50).all()
    short = np.asarray(class_grid(images[:4], labels[:4]))
    assert short[0, 12].tolist() == [255, 255, 255]  # what a class lacks
