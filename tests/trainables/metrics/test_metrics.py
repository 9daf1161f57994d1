import dataclasses
import math

import numpy as np
import pytest
import torch

from spaces.errors import UserError
from spaces.protocol import METRICS, IwProtocol, Protocol
from trainables.images.domains import Domain, write_domain
from trainables.images.samples import Samples
from trainables.metrics.context import EvalContext
from trainables.metrics.distances import Moments, frechet_distance, kernel_distance
from trainables.metrics.features import Extractor
from trainables.metrics.metrics import METRIC_FUNCTIONS, Measurement, measure

CPU = torch.device("cpu")
IW = IwProtocol(folds=5, held_out=60)
SEE_COPIES = ("copy_rate", "intra_diversity")
"""Metrics that copies of the training images are bad by."""


def stripes(n, seed, shift=0):
    """uint8 (n, 3, 32, 32): vertical stripes of random colours, brighter by `shift`."""
    colours = np.random.default_rng(seed).integers(20, 120, (n, 3, 1, 8), dtype=np.uint8) + np.uint8(shift)
    return colours.repeat(32, 2).repeat(4, 3)


def classes_of(images):
    """0 or 1: whether the first stripe has little red or much, whatever the shift."""
    return (images[:, 0, 0, 0].astype(np.int64) - 20) % 100 // 50


@pytest.fixture
def domain(tmp_path):
    """80 training and 40 validation images, of two classes."""
    is_val, images = np.arange(120) >= 80, stripes(120, 0)
    write_domain(tmp_path / "stripes", images, classes_of(images), is_val, origin="test", resizer="none")
    return Domain.open(tmp_path / "stripes")


@pytest.fixture
def colours():
    """The colours of four stripes, between 0 and 1: features that take no network."""
    return Extractor("colours", 12, 32, "none", "c0ffee", lambda x: x[:, :, 0, ::8].flatten(1) / 255, CPU)


@pytest.fixture
def context(domain, colours):
    return EvalContext(samples(stripes(60, 1)), domain, domain.path, Protocol(iw=IW), colours)


def samples(images):
    return Samples(torch.from_numpy(images), torch.from_numpy(classes_of(images)))


def with_generated(context, images):
    return dataclasses.replace(context, samples=samples(images))


def with_protocol(context, **changes):
    return dataclasses.replace(context, protocol=context.protocol.model_copy(update=changes))


def test_every_metric_that_a_protocol_can_name_is_there():
    assert METRIC_FUNCTIONS.keys() == METRICS.keys()


OF_ANY_IMAGES = [name for name, metric in METRICS.items() if not metric.beside]
"""Those of translations alone have tests of their own."""


@pytest.mark.parametrize("name", OF_ANY_IMAGES)
def test_metrics_are_best_for_the_domains_own_images_and_worse_for_shifted_ones(context, name):
    sets = context.domain.images[context.rows("train")], stripes(80, 1, shift=100)
    better, worse = (METRIC_FUNCTIONS[name](with_generated(context, images))[name] for images in sets)
    better, worse = (worse, better) if name in SEE_COPIES else (better, worse)
    assert better > worse if METRICS[name].direction == "maximize" else better < worse


@pytest.mark.parametrize(
    "name", [name for name in OF_ANY_IMAGES if METRICS[name].direction == "minimize" and not METRICS[name].held_out]
)
def test_distances_of_the_domains_own_images_are_zero_or_less(context, name):
    own = with_generated(context, context.domain.images[context.rows("train")])
    assert METRIC_FUNCTIONS[name](own)[name] < 1e-6


@pytest.mark.parametrize("name", OF_ANY_IMAGES)
def test_each_metric_comes_with_a_floor_that_generated_images_do_not_change(context, name):
    own, shifted = (METRIC_FUNCTIONS[name](with_generated(context, stripes(60, 1, shift))) for shift in (0, 100))
    assert own.keys() == set(METRICS[name].columns)
    assert own[f"{name}_floor"] == shifted[f"{name}_floor"]


def test_the_fd_floor_is_val_against_train_topped_up_to_the_count_that_was_generated(context, colours):
    images, rows = context.domain.images, context.rows
    train, val = colours(images[rows("train")]), colours(images[rows("val")])
    held_out, real = np.concatenate([val, train[60:]]), train[:60]  # 60 were generated, 40 are val, 80 train
    expected = frechet_distance(Moments.of(held_out), Moments.of(real))
    assert METRIC_FUNCTIONS["fd"](context)["fd_floor"] == pytest.approx(expected)


def test_the_floor_has_as_many_images_as_were_generated_but_takes_at_most_half_of_the_reference(context):
    few, many = (with_generated(context, stripes(n, 1)) for n in (25, 500))
    assert [c.floor_n for c in (few, context, many)] == [25, 60, 80]
    assert [len(part) for part in many.floor_features] == [80, 40]
    assert METRIC_FUNCTIONS["fd"](few)["fd_floor"] > METRIC_FUNCTIONS["fd"](context)["fd_floor"]


def test_with_val_as_the_reference_the_floor_is_of_training_images(context):
    val = with_protocol(context, split="val")
    own = with_generated(val, val.domain.images[val.rows("train")[:40]])
    measured = METRIC_FUNCTIONS["fd"](own)
    assert measured["fd"] == measured["fd_floor"] > 0


def test_held_out_are_validation_images_and_training_images_that_the_trial_never_saw(context):
    trained = context.domain.subset(30, seed=7)
    few = dataclasses.replace(with_protocol(context, iw=IwProtocol()), trained_on=trained)
    val, train = context.rows("val"), context.rows("train")
    assert context.held_out_rows.tolist() == val.tolist()  # trained on the whole split
    assert few.held_out_rows[:40].tolist() == val.tolist()
    assert sorted(few.held_out_rows[40:]) == sorted(set(train) - set(trained))
    assert few.trained_rows.tolist() == trained.tolist()
    assert sorted(few.spare_rows) == sorted(trained)  # the floor's, not among those held out
    assert len(with_protocol(few, iw=IwProtocol(held_out=50)).held_out_rows) == 50


def test_features_of_rows_are_those_of_the_images_there_in_any_order(context, colours):
    rows = np.random.default_rng(0).permutation(120)
    few = with_protocol(context, n_real=30)  # of the others none is kept
    assert np.array_equal(few.features_of(rows), colours(context.domain.images[rows]))


def test_copies_of_training_images_are_told_from_images_that_the_trial_never_saw(context):
    few = dataclasses.replace(context, trained_on=context.domain.subset(30, seed=7))
    copies, unseen = (
        METRIC_FUNCTIONS["copy_rate"](with_generated(few, context.domain.images[rows]))["copy_rate"]
        for rows in (few.trained_on, np.setdiff1d(context.rows("train"), np.r_[few.trained_on, few.held_out_rows]))
    )
    assert copies == 1
    assert unseen < 0.1


def test_a_trial_of_too_few_training_images_has_an_iw_without_a_floor(context):
    few = dataclasses.replace(context, trained_on=context.domain.subset(3, seed=0))
    measured = METRIC_FUNCTIONS["iw"](with_protocol(few, iw=IwProtocol(held_out=500)))
    assert math.isfinite(measured["iw"])
    assert math.isnan(measured["iw_floor"])


def test_floors_are_stored_beside_the_domain_by_all_that_they_depend_on(context):
    def stored(**changes):
        METRIC_FUNCTIONS["iw"](with_protocol(context, **changes))
        return len(list((context.domain_folder / "moments").glob("iw-floor-*.json")))

    assert [stored(), stored(), stored(seed=1), stored(iw=IW.model_copy(update={"ridge": 2.0}))] == [1, 1, 2, 3]


def test_a_measurement_names_what_its_numbers_depend_on(context):
    measured = measure(context)
    assert measured.values.keys() == {name for metric in context.protocol.metrics for name in METRICS[metric].columns}
    assert {"iw", "iw_se", "iw_floor", "iw_floor_se", "copy_rate_se"} < measured.values.keys()
    assert measured.record == {
        **{"extractor": "colours", "input_size": 32, "resizer": "none", "split": "train", "n_real": 80},
        **{"n_fake": 60, "n_drawn": None, "metric_seed": 0, "kd_subset": 60, "floor_n": 60},
        **{"iw_n": 40, "copy_n": 80, "iw_protocol": "critics on features, 3 x 5 folds, ridge 1, seed 0"},
        **dict.fromkeys(
            ("intra_n", "intra_floor_n", "empty_clusters", "class_n", "class_chance", "class_judged", "mkd_classes")
        ),
        **dict.fromkeys(("pair_n", "content_n", "diversity_classes")),
    }


def test_equal_contexts_measure_equal_numbers(context):
    fewer = with_protocol(context, metrics=("fd", "kd"))
    assert measure(fewer) == measure(dataclasses.replace(fewer))


def test_one_generated_image_measures_nan(context):
    one = with_generated(with_protocol(context, metrics=("fd", "kd")), stripes(1, 1))
    assert isinstance(measured := measure(one), Measurement)
    assert all(math.isnan(value) for value in measured.values.values())


def test_a_domain_without_validation_images_has_a_floor_of_its_own_halves_and_no_iw(tmp_path, context):
    write_domain(
        tmp_path / "x", stripes(20, 0), np.zeros(20, np.int64), np.zeros(20, bool), origin="test", resizer="none"
    )
    bare = dataclasses.replace(context, domain=Domain.open(tmp_path / "x"), domain_folder=tmp_path / "x")
    assert [len(part) for part in bare.floor_features] == [10, 10]
    with pytest.raises(UserError, match="iw: 0 held-out real images"):
        METRIC_FUNCTIONS["iw"](bare)


@pytest.mark.parametrize(("train", "val"), [(58, 2), (40, 0), (41, 3), (30, 60), (80, 40)])
def test_neighbourhoods_are_measured_with_equally_many_images_on_every_side(context, train, val, tmp_path):
    images = stripes(train + val, 0)
    is_val = np.arange(train + val) >= train
    write_domain(tmp_path / "d", images, np.zeros(train + val, np.int64), is_val, origin="test", resizer="none")
    own = Domain.open(tmp_path / "d")
    context = dataclasses.replace(context, domain=own, domain_folder=own.path)
    real, held_out = context.manifold_floor_features
    assert len(real) == len(held_out) == context.manifold_n == min(60, train, (train + val) // 2)
    assert not {row.tobytes() for row in real} & {row.tobytes() for row in held_out}  # no image is on both sides


def test_at_a_rung_a_distance_is_carried_on_to_the_count_of_the_protocol(context):
    whole = METRIC_FUNCTIONS["fd"](with_protocol(context, n_fake=60))
    rung = with_generated(with_protocol(context, n_fake=60, n_rung=20), context.generated[:20])
    measured = measure(dataclasses.replace(rung, protocol=rung.protocol.model_copy(update={"metrics": ("fd",)})))
    plain = METRIC_FUNCTIONS["fd"](with_generated(context, context.generated[:20]))
    assert (measured.record["n_fake"], measured.record["n_drawn"], measured.record["floor_n"]) == (60, 20, 60)
    assert measured.values["fd_floor"] == whole["fd_floor"] < plain["fd_floor"]
    assert measured.values["fd"] < plain["fd"]


def test_images_that_a_trial_is_given_of_each_class_are_among_no_real_ones(context, colours):
    """And rows that were measured with them don't compare."""
    given, train = context.rows("train")[:6], context.rows("train")
    few = dataclasses.replace(context, trained_on=given, left_out=given)
    left = colours(context.domain.images[train[6:]])
    assert np.array_equal(few.reference.features, left)
    assert np.array_equal(few.labelled_reference.labels, context.domain.labels[train[6:]])
    own, found = context.features, [METRIC_FUNCTIONS[name](few)[name] for name in ("fd", "kd")]
    assert found[0] == pytest.approx(frechet_distance(Moments.of(own), Moments.of(left)))
    assert found[1] == pytest.approx(kernel_distance(own, left, seed=context.protocol.seed))
    both = [METRIC_FUNCTIONS["fd"](each)["fd_floor"] for each in (context, few, context)]
    assert both[0] == both[2] != both[1]  # each is kept under a name of its own
    assert [measure(each).record["split"] for each in (context, few)] == ["train", "shot-free train"]
    other = dataclasses.replace(few, left_out=train[6:12])
    assert not np.array_equal(other.reference.features, few.reference.features)


def test_mirrored_copies_are_copies_of_a_trial_that_mirrors(context):
    trained = context.trained_rows
    copies = with_generated(context, np.ascontiguousarray(context.domain.images[trained][..., ::-1]))
    plain, mirroring = (dataclasses.replace(copies, mirrors=mirrors) for mirrors in (False, True))
    found = [measure(with_protocol(each, metrics=("copy_rate",))) for each in (plain, mirroring, mirroring)]
    assert found[0].values["copy_rate"] < 0.5
    assert [each.values["copy_rate"] for each in found[1:]] == [1, 1]  # computed, and read again
    assert [each.record["copy_n"] for each in found] == [80, 160, 160]


def test_damaged_features_of_mirror_images_are_computed_anew(context):
    mirroring = with_protocol(dataclasses.replace(context, mirrors=True), metrics=("copy_rate",))
    before = measure(mirroring).values
    (kept,) = (context.domain_folder / "moments").glob("*mirrored*.npy")
    for damage in (kept.read_bytes()[:-4], b"", b"PK\x03\x04"):
        kept.write_bytes(damage)
        assert measure(dataclasses.replace(mirroring)).values == before
