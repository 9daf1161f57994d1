import dataclasses

import numpy as np
import pytest
import torch

from spaces.errors import UserError
from trainables.images.domains import Domain, write_domain
from trainables.metrics.features import Extractor
from trainables.metrics.reference import extract, once, reference


class CornerPixels:
    """A feature extractor's network that keeps count: the first 3 x 2 x 2 values of each image."""

    def __init__(self):
        self.images_seen = 0

    def __call__(self, images):
        self.images_seen += len(images)
        return images[:, :, :2, :2].flatten(1).float()


@pytest.fixture
def corners():
    return Extractor("corners", 12, 8, "none", "c0ffee", CornerPixels(), torch.device("cpu"))


@pytest.fixture
def domain(tmp_path):
    """40 training and 10 validation images of noise, 8 x 8."""
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
    write_domain(tmp_path / "noise", images, np.zeros(50, np.int64), np.arange(50) >= 40, origin="test", resizer="none")
    return Domain.open(tmp_path / "noise")


def test_a_reference_is_the_features_of_the_images_that_the_seed_draws(domain, corners):
    found = reference(domain, domain.path, corners, "train", 30, seed=3)
    expected = domain.images[domain.subset(30, 3)][:, :, :2, :2].reshape(30, 12)
    np.testing.assert_array_equal(found.features, expected)
    np.testing.assert_allclose(found.moments.cov, np.cov(expected.T))


def test_a_split_smaller_than_asked_for_is_taken_whole(domain, corners):
    assert reference(domain, domain.path, corners, "val", 1000, seed=0).moments.n == 10


def test_a_reference_is_computed_once(domain, corners):
    first = reference(domain, domain.path, corners, "train", 30, seed=0)
    again = reference(domain, domain.path, corners, "train", 30, seed=0)
    assert corners.network.images_seen == 30
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.moments.spread, again.moments.spread)


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"split": "val"}, {"n_real": 9}, {"digest": "beef"}, {"resizer": "box"}, {"input_size": 4}]
)
def test_another_protocol_is_another_reference(domain, corners, change):
    def stored(digest="c0ffee", resizer="none", input_size=8, split="train", n_real=10, seed=0):
        extractor = dataclasses.replace(corners, digest=digest, resizer=resizer, input_size=input_size)
        reference(domain, domain.path, extractor, split, n_real, seed)
        return len(list((domain.path / "moments").iterdir()))

    assert (stored(), stored(**change)) == (1, 2)


@pytest.mark.parametrize("damage", ["cut", "flipped", "replaced"])
def test_a_damaged_file_is_computed_anew(domain, corners, damage):
    before = reference(domain, domain.path, corners, "train", 30, seed=0)
    (path,) = (domain.path / "moments").iterdir()
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes({"cut": data[:700], "flipped": data, "replaced": b"nonsense"}[damage])
    after = reference(domain, domain.path, corners, "train", 30, seed=0)
    np.testing.assert_array_equal(before.features, after.features)
    assert corners.network.images_seen == 60


def test_a_reference_of_one_image_is_refused(domain, corners):
    with pytest.raises(UserError, match="domain 'noise': 1 train image to compare with"):
        reference(domain, domain.path, corners, "train", 1, seed=0)


def test_no_rows_have_no_features(domain, corners):
    assert extract(corners, domain, np.array([], np.int64)).shape == (0, 12)


def test_a_number_is_computed_once_for_what_it_depends_on(tmp_path):
    values = iter([0.1, 0.2])
    found = [once(tmp_path, "floor", [key, 3], lambda: next(values)) for key in ("a", "a", "b")]
    assert found == [0.1, 0.1, 0.2]


def test_a_number_that_is_not_finite_is_kept_and_a_damaged_one_is_not(tmp_path):
    assert np.isnan([once(tmp_path, "floor", 0, lambda: float("nan")) for _ in range(2)]).all()
    (path,) = (tmp_path / "moments").iterdir()
    path.write_text('{"not": "a number"}')
    assert once(tmp_path, "floor", 0, lambda: 2.5) == 2.5
